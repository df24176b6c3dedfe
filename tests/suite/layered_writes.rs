//! Middlewares between policy layers read and write the session, too: what they write is kept.

use actix_session::{Session, SessionExt};
use actix_web::{
    HttpResponse,
    dev::{Service, ServiceRequest, ServiceResponse},
    error::{ErrorBadGateway, ErrorUnauthorized},
    web,
};
use session_expire::{FlashMessages, PolicyPatch, hours, minutes};
use session_expire_tests::{Browser, Site};

/// Counts the requests that pass, in the entry `name`.
fn count(session: &Session, name: &str) {
    let passed = session.get::<u32>(name).unwrap().unwrap_or_default();
    session.insert(name, passed + 1).unwrap();
}

fn outer<S: Service<ServiceRequest>>(req: ServiceRequest, service: &S) -> S::Future {
    count(&req.get_session(), "outer");
    if req.query_string() == "large" {
        req.get_session().insert("large", "x".repeat(70_000)).unwrap();
    }
    service.call(req)
}

fn inner<S: Service<ServiceRequest>>(req: ServiceRequest, service: &S) -> S::Future {
    count(&req.get_session(), "inner");
    if req.query_string() == "clear" {
        req.get_session().clear();
    }
    service.call(req)
}

/// The outermost layer is the last one that is wrapped.
fn routes(cfg: &mut web::ServiceConfig) {
    let strict = || PolicyPatch::new().idle(minutes(1));
    let lax = || PolicyPatch::new().idle(hours(1));
    let scope = |path| web::scope(path).wrap_fn(inner).wrap(strict()).wrap_fn(outer);
    let failing = web::scope("/failing").wrap_fn(|req, service: &_| {
        let inside = Service::<ServiceRequest>::call(service, req);
        async move {
            inside.await?;
            Err::<ServiceResponse, _>(ErrorBadGateway("no"))
        }
    });
    let refusing = web::resource("/refusing/messages").wrap_fn(|req, service: &_| {
        let inside = Service::<ServiceRequest>::call(service, req);
        async move {
            inside.await?;
            Err::<ServiceResponse, _>(ErrorUnauthorized(""))
        }
    });
    cfg.service(refusing.route(web::get().to(messages)));
    cfg.service(scope("/strict").route("/page", web::get().to(page)).route("/purge", purges()))
        .service(scope("/again").service(web::resource("/page").wrap(lax()).to(page)))
        .service(
            failing
                .route("/messages", web::get().to(messages))
                .service(scope("/strict").route("/page", web::get().to(page))),
        )
        .route("/page", web::get().to(page));
}

/// Counts itself, and names all entries that are not the user.
async fn page(session: Session) -> String {
    count(&session, "page");
    let mut entries: Vec<_> = session.entries().iter().map(|(k, v)| format!("{k}={v}")).collect();
    entries.retain(|entry| !entry.starts_with("actix_identity"));
    entries.sort();
    entries.join(" ")
}

fn purges() -> actix_web::Route {
    web::post().to(|session: Session| async move {
        session.purge();
        "purged"
    })
}

async fn messages(messages: FlashMessages) -> HttpResponse {
    HttpResponse::Ok().body(messages.into_iter().map(|m| m.to_string()).collect::<String>())
}

fn visited(after: std::time::Duration) -> (Site, Browser) {
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.fetch("/page").body, "page=1");
    site.pass(after);
    (site, alice)
}

#[test]
fn write_outside_of_a_refusing_layer_is_stored_in_the_record() {
    let (_site, alice) = visited(minutes(5));
    assert_eq!(alice.fetch("/strict/page").body, "inner=1 page=1", "as an anonymous visitor");
    assert_eq!(alice.fetch("/strict/page").body, "inner=2 page=2");
    assert_eq!(alice.fetch("/page").body, "outer=2 page=2");
}

#[test]
fn write_outside_of_a_refusing_layer_that_fails_is_an_error() {
    for (path, status) in [("/strict/page", 503), ("/strict/page?large", 500)] {
        let (site, alice) = visited(minutes(5));
        if status == 503 {
            site.registry.fail_next("update");
        }
        assert_eq!(alice.fetch(path).status, status, "{path}");
    }
}

/// Where the session is suspended, a handler works on the entries of an anonymous visitor.
#[test]
fn purge_under_a_refusing_layer_keeps_the_record() {
    let (_site, alice) = visited(minutes(5));
    assert_eq!(alice.request("POST", "/strict/purge").script().send().status, 200);
    assert_eq!(alice.fetch("/page").body, "outer=1 page=2");
}

#[test]
fn clear_between_two_layers_keeps_the_record() {
    let (_site, alice) = visited(minutes(5));
    assert_eq!(alice.fetch("/again/page?clear").body, "outer=1 page=2");
    assert_eq!(alice.fetch("/page").body, "outer=1 page=3");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn writes_of_a_failed_request_under_a_layer_are_dropped() {
    let (_site, alice) = visited(minutes(5));
    assert_eq!(alice.fetch("/failing/strict/page").status, 502);
    assert_eq!(alice.fetch("/page").body, "page=2");
}

#[test]
fn writes_of_all_layers_reach_a_restored_session() {
    for after in [minutes(0), minutes(5)] {
        let (_site, alice) = visited(after);
        assert_eq!(alice.fetch("/again/page").body, "inner=1 outer=1 page=2", "{after:?}");
        assert_eq!(alice.fetch("/page").body, "inner=1 outer=1 page=3", "{after:?}");
        assert!(!alice.cookie().contains("anonymous"), "{after:?}");
    }
}

#[test]
fn write_where_the_application_refuses_reaches_a_laxer_handler() {
    let (_site, alice) = visited(minutes(30));
    assert_eq!(alice.fetch("/again/page").body, "inner=1 outer=1 page=2");
    assert_eq!(alice.fetch("/page").body, "inner=1 outer=1 page=3");
}

#[test]
fn login_deletes_the_anonymous_cookie_of_a_suspended_session() {
    let (_site, alice) = visited(minutes(5));
    alice.fetch("/strict/page");
    assert!(alice.cookie().contains("anonymous"));
    alice.sign_in("alice");
    assert!(!alice.cookie().contains("anonymous"));
    assert_eq!(alice.fetch("/page").body, "outer=1 page=2");
}

#[test]
fn messages_of_a_failed_request_stay_unread() {
    let site = Site::builder().routes(routes).start();
    for browser in [site.browser(), site.signed_in("alice")] {
        browser.post("/push", "saved");
        assert_eq!(browser.get("/failing/messages").status, 502);
        assert_eq!(browser.messages(), "[success] saved");
        assert_eq!(browser.messages(), "");
    }
}

#[test]
fn messages_of_a_challenged_request_stay_unread() {
    let site = Site::builder().routes(routes).start();
    let expired = site.signed_in("alice");
    site.pass(minutes(10));
    for browser in [site.browser(), expired] {
        browser.fetch("/page");
        browser.request("POST", "/push").script().form("saved").send();
        assert_eq!(browser.get("/refusing/messages").status, 303);
        assert!(browser.messages().starts_with("[success] saved"));
        assert_eq!(browser.messages(), "");
    }
}
