//! Cache headers: no shared cache stores what is one user's.

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder,
    body::BoxBody,
    dev::{Service, ServiceResponse},
    error::ErrorNotFound,
    web,
};
use session_expire::{FlashMessages, minutes, seconds};
use session_expire_tests::{Answer, Site};

const PUBLIC: (&str, &str) = ("cache-control", "public, max-age=600");

fn routes(cfg: &mut web::ServiceConfig) {
    let gone = web::resource("/gone").wrap_fn(|req, service| {
        let inside = service.call(req);
        async move {
            inside.await?;
            Err::<ServiceResponse<BoxBody>, _>(ErrorNotFound("no such account of alice"))
        }
    });
    cfg.service(gone.route(web::get().to(whose)));
    cfg.route("/asset", web::get().to(asset))
        .route("/asset/{header}", web::get().to(asset))
        .route("/cached/login", web::post().to(login))
        .route("/cached/messages", web::get().to(messages))
        .route("/cached/push", web::get().to(push))
        .route("/cached/write", web::get().to(write))
        .route("/cached/renew", web::get().to(renew))
        .route("/cached/purge", web::get().to(purge))
        .route("/whose", web::get().to(whose));
}

fn cached() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header(PUBLIC);
    response
}

async fn asset(req: HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    match req.match_info().get("header") {
        None => response.insert_header(PUBLIC),
        Some("etag") => response.insert_header(("etag", "\"1\"")),
        Some("last-modified") => {
            response.insert_header(("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"))
        }
        Some("expires") => response.insert_header(("expires", "Thu, 01 Jan 2026 00:00:00 GMT")),
        Some("pragma") => response.insert_header(("pragma", "no-cache")),
        Some(_) => &mut response,
    };
    response.body("body")
}

async fn login(req: HttpRequest) -> HttpResponse {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    cached().finish()
}

async fn messages(messages: FlashMessages) -> HttpResponse {
    cached().body(messages.into_iter().map(|message| message.to_string()).collect::<String>())
}

async fn push(messages: FlashMessages) -> HttpResponse {
    messages.info("hello");
    cached().finish()
}

async fn write(session: Session) -> HttpResponse {
    session.insert("entry", 1).unwrap();
    cached().finish()
}

async fn renew(session: Session) -> HttpResponse {
    session.renew();
    cached().finish()
}

async fn purge(session: Session) -> HttpResponse {
    session.purge();
    cached().finish()
}

async fn whose(user: Option<Identity>) -> String {
    user.map_or_else(|| "a visitor's".to_owned(), |user| user.id().unwrap())
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

fn caching(answer: &Answer) -> (&str, &str) {
    (answer.header("cache-control"), answer.header("vary"))
}

/// A cached response must not hand a cookie to every user.
#[track_caller]
fn assert_no_live_cookie(answer: &Answer) {
    let may_be_cached = answer.header("cache-control") != "no-store";
    assert!(!may_be_cached || answer.cookies().is_empty(), "{answer:?}");
}

#[test]
fn login_renewal_and_sign_out_are_never_stored() {
    let site = site();
    let alice = site.browser();
    let answers =
        [alice.post("/cached/login", ""), alice.get("/cached/renew"), alice.get("/cached/purge")];
    for answer in answers {
        assert_eq!((answer.status, answer.cookies().len()), (200, 1), "{answer:?}");
        assert_eq!(caching(&answer), ("no-store", ""), "{answer:?}");
    }
}

#[test]
fn activity_leaves_a_cacheable_response_without_a_cookie() {
    let site = site();
    let alice = site.signed_in("alice");
    for path in ["/asset", "/cached/write", "/cached/push"] {
        site.pass(minutes(1));
        drop(site.registry.asked());
        let answer = alice.get(path);
        assert_eq!(site.registry.asked(), ["load", "update"], "{path}");
        assert_eq!(caching(&answer), (PUBLIC.1, ""), "{path}");
        assert!(answer.cookies().is_empty(), "{path}: {answer:?}");
    }
}

#[test]
fn consumed_message_is_never_stored() {
    let site = site();
    for browser in [site.browser(), site.signed_in("alice")] {
        browser.post("/push", "hello");
        let shown = browser.get("/cached/messages");
        assert_eq!((shown.body.as_str(), caching(&shown)), ("hello", ("no-store", "")));
        let empty = browser.get("/cached/messages");
        assert_eq!((empty.body.as_str(), empty.header("cache-control")), ("", PUBLIC.1));
    }
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    let reason = alice.get("/cached/messages");
    assert!(!reason.body.is_empty());
    assert_eq!(caching(&reason), ("no-store", ""));
}

#[test]
fn anonymous_response_with_a_cookie_is_never_stored() {
    let site = site();
    for path in ["/cached/write", "/cached/push"] {
        let answer = site.browser().get(path);
        assert_eq!((answer.cookies().len(), caching(&answer)), (1, ("no-store", "")), "{path}");
    }
}

#[test]
fn anonymous_response_varies_by_cookie() {
    let site = site();
    let browser = site.browser();
    for path in ["/public", "/whose", "/messages", "/vars", "/asset/etag", "/missing"] {
        assert_eq!(caching(&browser.get(path)), ("", "Cookie"), "{path}");
    }
    assert_eq!(caching(&browser.get("/asset")), (PUBLIC.1, ""), "the handler has decided");
    browser.post("/push", "hello");
    browser.get("/messages");
    browser.get("/visits");
    assert_eq!(caching(&browser.get("/whose")), ("", "Cookie"), "with an anonymous cookie");
}

#[test]
fn response_for_a_signed_in_user_is_private() {
    let site = site();
    let alice = site.signed_in("alice");
    for pause in [0, 60] {
        for (path, cache_control) in [
            ("/whose", "no-store"),
            ("/missing", "no-store"),
            ("/asset/etag", "private, no-cache"),
            ("/asset/last-modified", "private, no-cache"),
            ("/asset", PUBLIC.1),
            ("/asset/expires", ""),
            ("/asset/pragma", ""),
        ] {
            site.pass(seconds(pause));
            let answer = alice.get(path);
            assert_eq!(answer.header("cache-control"), cache_control, "{path} {pause}");
            assert_no_live_cookie(&answer);
        }
    }
}

/// A cache may keep a 404 without being told so (RFC 9111 §4.2.2).
#[test]
fn error_of_a_middleware_for_a_user_is_never_stored() {
    for pause in [0, 5] {
        let site = site();
        let alice = site.signed_in("alice");
        site.pass(minutes(pause));
        let answer = alice.get("/gone");
        assert_eq!((answer.status, answer.header("cache-control")), (404, "no-store"), "{pause}");
    }
}

#[test]
fn response_for_an_expired_visitor_is_not_shared() {
    let site = site();
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    for answer in [alice.fetch("/whose"), alice.fetch("/private"), alice.get("/private")] {
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    }
}
