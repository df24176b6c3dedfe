//! Writes to `Session` in and around layers that suspend the session.

use std::time::Duration;

use actix_session::{Session, SessionExt};
use actix_web::{
    dev::{Service, ServiceRequest, ServiceResponse},
    error::ErrorBadGateway,
    web,
};
use session_expire::{PolicyPatch, hours, minutes};
use session_expire_tests::{Browser, Site};

/// Counts a request in the entry `name`.
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

/// The last `wrap` is the outermost.
fn routes(cfg: &mut web::ServiceConfig) {
    let strict = || PolicyPatch::new().idle(minutes(1));
    let lax = || PolicyPatch::new().idle(hours(1));
    let scope = |path| web::scope(path).wrap_fn(inner).wrap(strict()).wrap_fn(outer);
    let failing = web::scope("/failing").wrap_fn(|req, service: &_| {
        let inner = Service::<ServiceRequest>::call(service, req);
        async move {
            inner.await?;
            Err::<ServiceResponse, _>(ErrorBadGateway("no"))
        }
    });
    cfg.service(scope("/strict").route("/page", web::get().to(page)).route("/purge", purge()))
        .service(scope("/restored").service(web::resource("/page").wrap(lax()).to(page)))
        .service(failing.service(scope("/strict").route("/page", web::get().to(page))))
        .route("/page", web::get().to(page));
}

/// Counts the request, and responds with the entries but those of actix-identity.
async fn page(session: Session) -> String {
    count(&session, "page");
    let mut entries: Vec<_> = session.entries().iter().map(|(k, v)| format!("{k}={v}")).collect();
    entries.retain(|entry| !entry.starts_with("actix_identity"));
    entries.sort();
    entries.join(" ")
}

fn purge() -> actix_web::Route {
    web::post().to(|session: Session| async move {
        session.purge();
        "purged"
    })
}

fn visited(after: Duration) -> (Site, Browser) {
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.fetch("/page").body, "page=1");
    site.advance(after);
    (site, alice)
}

#[test]
fn write_outside_suspending_layer_is_stored() {
    let (_site, alice) = visited(minutes(5));
    assert_eq!(alice.fetch("/strict/page").body, "inner=1 page=1", "the entries of a visitor");
    assert_eq!(alice.fetch("/strict/page").body, "inner=2 page=2");
    assert_eq!(alice.fetch("/page").body, "outer=2 page=2");
}

#[test]
fn failed_write_outside_suspending_layer_is_error() {
    for (path, status) in [("/strict/page", 503), ("/strict/page?large", 500)] {
        let (site, alice) = visited(minutes(5));
        if status == 503 {
            site.registry.fail_next("update");
        }
        assert_eq!(alice.fetch(path).status, status, "{path}");
    }
}

/// In a suspended session, a handler sees the entries of an anonymous visitor.
#[test]
fn purge_of_a_suspended_session_keeps_the_record() {
    let (_site, alice) = visited(minutes(5));
    assert_eq!(alice.request("POST", "/strict/purge").script().send().status, 200);
    assert_eq!(alice.fetch("/page").body, "outer=1 page=2");
}

#[test]
fn clear_of_a_suspended_session_keeps_the_record() {
    let (_site, alice) = visited(minutes(5));
    assert_eq!(alice.fetch("/restored/page?clear").body, "outer=1 page=2");
    assert_eq!(alice.fetch("/page").body, "outer=1 page=3");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn writes_of_a_failed_request_are_dropped() {
    let (_site, alice) = visited(minutes(5));
    assert_eq!(alice.fetch("/failing/strict/page").status, 502);
    assert_eq!(alice.fetch("/page").body, "page=2");
}

#[test]
fn writes_of_all_layers_reach_a_restored_session() {
    for after in [minutes(0), minutes(5)] {
        let (_site, alice) = visited(after);
        assert_eq!(alice.fetch("/restored/page").body, "inner=1 outer=1 page=2", "{after:?}");
        assert_eq!(alice.fetch("/page").body, "inner=1 outer=1 page=3", "{after:?}");
        assert!(!alice.cookie().contains("anonymous"), "{after:?}");
    }
}

#[test]
fn write_outside_a_laxer_layer_is_stored() {
    let (_site, alice) = visited(minutes(30));
    assert_eq!(alice.fetch("/restored/page").body, "inner=1 outer=1 page=2");
    assert_eq!(alice.fetch("/page").body, "inner=1 outer=1 page=3");
}

#[test]
fn login_deletes_anonymous_cookie_of_suspended_session() {
    let (_site, alice) = visited(minutes(5));
    alice.fetch("/strict/page");
    assert!(alice.cookie().contains("anonymous"));
    alice.sign_in("alice");
    assert!(!alice.cookie().contains("anonymous"));
    assert_eq!(alice.fetch("/page").body, "outer=1 page=2");
}

#[test]
fn laxer_page_restores_the_whole_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/visits").body, "1");
    site.advance(minutes(30));
    assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"));
    assert_eq!(alice.get("/visits").body, "2");
}

#[test]
fn write_of_a_subresource_request_is_kept() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    let request = alice.request("GET", "/visits").header("sec-fetch-mode", "no-cors");
    assert_eq!(request.header("sec-fetch-dest", "image").send().body, "1");
    assert_eq!(alice.get("/visits").body, "2");
}
