//! Cache headers of responses.

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
use session_expire_tests::{Site, TestResponse};

const PUBLIC: (&str, &str) = ("cache-control", "public, max-age=600");

fn routes(cfg: &mut web::ServiceConfig) {
    let failing = web::resource("/failing").wrap_fn(|req, service| {
        let inner = service.call(req);
        async move {
            inner.await?;
            Err::<ServiceResponse<BoxBody>, _>(ErrorNotFound("no account of alice"))
        }
    });
    cfg.service(failing.route(web::get().to(user)));
    cfg.route("/asset", web::get().to(asset))
        .route("/asset/{header}", web::get().to(asset))
        .route("/cached/login", web::post().to(login))
        .route("/cached/messages", web::get().to(messages))
        .route("/cached/push", web::get().to(push))
        .route("/cached/write", web::get().to(write))
        .route("/cached/renew", web::get().to(renew))
        .route("/cached/purge", web::get().to(purge))
        .route("/user", web::get().to(user));
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

async fn user(user: Option<Identity>) -> String {
    user.map_or_else(|| "anonymous".to_owned(), |user| user.id().unwrap())
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

fn caching(response: &TestResponse) -> (&str, &str) {
    (response.header("cache-control"), response.header("vary"))
}

/// A cache would send the cookie of a stored response to other users.
#[track_caller]
fn assert_no_cached_cookie(response: &TestResponse) {
    let may_be_cached = response.header("cache-control") != "no-store";
    assert!(!may_be_cached || response.cookies().is_empty(), "{response:?}");
}

#[test]
fn login_renewal_and_sign_out_are_no_store() {
    let site = site();
    let alice = site.browser();
    let responses =
        [alice.post("/cached/login", ""), alice.get("/cached/renew"), alice.get("/cached/purge")];
    for response in responses {
        assert_eq!((response.status, response.cookies().len()), (200, 1), "{response:?}");
        assert_eq!(caching(&response), ("no-store", ""), "{response:?}");
    }
}

#[test]
fn activity_keeps_a_response_cacheable() {
    let site = site();
    let alice = site.signed_in("alice");
    for path in ["/asset", "/cached/write", "/cached/push"] {
        site.advance(minutes(1));
        drop(site.registry.take_operations());
        let response = alice.get(path);
        assert_eq!(site.registry.take_operations(), ["load", "update"], "{path}");
        assert_eq!(caching(&response), (PUBLIC.1, ""), "{path}");
        assert!(response.cookies().is_empty(), "{path}: {response:?}");
    }
}

#[test]
fn response_with_a_message_is_no_store() {
    let site = site();
    for browser in [site.browser(), site.signed_in("alice")] {
        browser.post("/push", "hello");
        let shown = browser.get("/cached/messages");
        assert_eq!((shown.body.as_str(), caching(&shown)), ("hello", ("no-store", "")));
        let empty = browser.get("/cached/messages");
        assert_eq!((empty.body.as_str(), empty.header("cache-control")), ("", PUBLIC.1));
    }
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    let reason = alice.get("/cached/messages");
    assert!(!reason.body.is_empty());
    assert_eq!(caching(&reason), ("no-store", ""));
}

#[test]
fn anonymous_response_with_a_cookie_is_no_store() {
    let site = site();
    for path in ["/cached/write", "/cached/push"] {
        let response = site.browser().get(path);
        assert_eq!((response.cookies().len(), caching(&response)), (1, ("no-store", "")), "{path}");
    }
}

#[test]
fn anonymous_response_varies_by_cookie() {
    let site = site();
    let browser = site.browser();
    for path in ["/public", "/user", "/messages", "/vars", "/asset/etag", "/missing"] {
        assert_eq!(caching(&browser.get(path)), ("", "Cookie"), "{path}");
    }
    assert_eq!(caching(&browser.get("/asset")), (PUBLIC.1, ""), "the header of the handler");
    browser.post("/push", "hello");
    browser.get("/messages");
    browser.get("/visits");
    assert_eq!(caching(&browser.get("/user")), ("", "Cookie"), "with an anonymous cookie");
}

#[test]
fn response_for_a_signed_in_user_is_private() {
    let site = site();
    let alice = site.signed_in("alice");
    for pause in [0, 60] {
        for (path, cache_control) in [
            ("/user", "no-store"),
            ("/missing", "no-store"),
            ("/asset/etag", "private, no-cache"),
            ("/asset/last-modified", "private, no-cache"),
            ("/asset", PUBLIC.1),
            ("/asset/expires", ""),
            ("/asset/pragma", ""),
        ] {
            site.advance(seconds(pause));
            let response = alice.get(path);
            assert_eq!(response.header("cache-control"), cache_control, "{path} {pause}");
            assert_no_cached_cookie(&response);
        }
    }
}

/// A cache may store a 404 without a `Cache-Control` header (RFC 9111 §4.2.2).
#[test]
fn error_of_a_middleware_for_a_user_is_no_store() {
    for pause in [0, 5] {
        let site = site();
        let alice = site.signed_in("alice");
        site.advance(minutes(pause));
        let response = alice.get("/failing");
        assert_eq!(
            (response.status, response.header("cache-control")),
            (404, "no-store"),
            "{pause}"
        );
    }
}

#[test]
fn response_for_an_expired_session_is_no_store() {
    let site = site();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    for response in [alice.fetch("/user"), alice.fetch("/private"), alice.get("/private")] {
        assert_eq!(response.header("cache-control"), "no-store", "{response:?}");
    }
}
