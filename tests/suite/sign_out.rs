//! Sign-out. It succeeds only if the session has ended.

use std::pin::Pin;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    HttpResponse,
    dev::{Service, ServiceRequest, ServiceResponse},
    error::ErrorBadGateway,
    web,
};
use session_expire::{SessionHandle, minutes};
use session_expire_tests::{RequestBuilder, Site, TestResponse};

type LocalBoxFuture = Pin<Box<dyn Future<Output = actix_web::Result<ServiceResponse>>>>;

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/purge", web::post().to(purge))
        .route("/clear", web::post().to(clear))
        .route("/insert-and-clear", web::post().to(insert_and_clear))
        .route("/clear-and-insert", web::post().to(clear_and_insert))
        .route("/remove", web::post().to(remove))
        .route("/account/sign-out", web::post().to(sign_out_if_signed_in))
        .route("/purge", web::head().to(purge))
        .route("/kept-401", web::get().to(kept_401))
        .service(web::resource("/failing").wrap_fn(fail_after).route(web::post().to(purge)));
}

async fn purge(session: Session) -> &'static str {
    session.purge();
    "done"
}

async fn clear(session: Session) -> &'static str {
    session.clear();
    "done"
}

async fn insert_and_clear(session: Session) -> &'static str {
    session.insert("a", 1).unwrap();
    session.clear();
    "done"
}

async fn clear_and_insert(session: Session) -> &'static str {
    session.clear();
    session.insert("a", 1).unwrap();
    "done"
}

async fn remove(session: Session) -> &'static str {
    session.remove("actix_identity.user_id");
    "done"
}

/// Fails after the handler has signed out the user.
fn fail_after<S>(req: ServiceRequest, service: &S) -> LocalBoxFuture
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = actix_web::Error>,
    S::Future: 'static,
{
    let inner = service.call(req);
    Box::pin(async move { inner.await.and_then(|_| Err(ErrorBadGateway("no"))) })
}

async fn sign_out_if_signed_in(user: Option<Identity>) -> HttpResponse {
    if let Some(user) = user {
        user.logout();
    }
    HttpResponse::Ok().body("done")
}

fn site() -> Site {
    let site = Site::builder().routes(routes);
    site.customise(|builder| builder.logout_url("/account/sign-out")).start()
}

const ALL: [&str; 9] = [
    "/purge",
    "/clear",
    "/insert-and-clear",
    "/clear-and-insert",
    "/remove",
    "/account/sign-out",
    "/logout",
    "/sign-out",
    "/session/logout",
];

fn assert_unavailable(response: &TestResponse, case: &str) {
    assert_eq!((response.status, response.cookies().len()), (503, 0), "{case}: {response:?}");
    assert!(!response.body.contains("done"), "{case}");
}

#[test]
fn sign_out_ends_the_session_and_deletes_its_cookie() {
    for path in ALL {
        let site = site();
        let alice = site.signed_in("alice");
        let copy = alice.copy();
        let response = alice.post(path, "");
        assert!(response.status < 400, "{path}");
        assert!(response.cookies()[0].starts_with("id=; "), "{path}: {response:?}");
        assert_eq!(copy.user_at("/laxer"), None, "{path}");
        assert_eq!(copy.fetch("/private").header("x-session-expired"), "logged_out", "{path}");
        assert_eq!(site.take_events()[1], "alice ended: logged_out", "{path}");
    }
}

#[test]
fn sign_out_during_an_outage_is_no_success() {
    // The session has no entries in an outage, so removing one does not sign out.
    let sign_outs = ALL.iter().filter(|path| !matches!(**path, "/remove" | "/clear-and-insert"));
    for path in sign_outs {
        let site = site();
        let alice = site.signed_in("alice");
        site.registry.set_down(true);
        assert_unavailable(&alice.post(path, ""), path);
        site.registry.set_down(false);
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{path}");
    }
}

#[test]
fn sign_out_that_cannot_be_stored_is_no_success() {
    for path in ALL {
        let site = site();
        let alice = site.signed_in("alice");
        site.registry.fail_next("end");
        assert_unavailable(&alice.post(path, ""), path);
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{path}");
    }
}

#[test]
fn sign_out_of_ended_session_keeps_its_cookie() {
    for (path, message) in [("/sign-out", ""), ("/session/logout", "[success logged_out] ")] {
        let site = site();
        let alice = site.signed_in("alice");
        alice.copy().post("/sign-out", "");
        let response = alice.post(path, "");
        assert_eq!(response.status, 303, "{path}");
        assert!(!response.has_cookie("id"), "{response:?}");
        assert!(alice.read_messages().starts_with(message), "{path}");
        assert_eq!(alice.read_messages(), "", "{path}");
        drop(site.registry.take_operations());
        assert_eq!(alice.user_at("/public").as_deref(), Some("anonymous"));
        assert!(site.registry.take_operations().is_empty(), "the key is not loaded again");
    }
}

#[test]
fn sign_out_failed_by_a_middleware_ends_nothing() {
    let site = site();
    let (alice, expired) = (site.signed_in("alice"), site.signed_in("bob"));
    let response = alice.post("/failing", "");
    assert_eq!((response.status, response.cookies().len()), (502, 0));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    site.advance(minutes(10));
    let response = expired.post("/failing", "");
    assert_eq!((response.status, response.cookies().len()), (502, 0));
    assert_eq!(expired.user_at("/laxer").as_deref(), Some("bob"));
}

#[test]
fn head_request_signs_no_user_out() {
    let site = site();
    let alice = site.signed_in("alice");
    let response = alice.request("HEAD", "/purge").send();
    assert_eq!((response.status, response.cookies().len()), (200, 0));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn logout_endpoint_serves_pages_scripts_and_htmx() {
    let site = Site::start();
    let page = site.signed_in("alice");
    assert_eq!(page.post("/session/logout", "").redirect(), (303, "/login"));
    assert_eq!(page.read_messages(), "[success logged_out] You have signed out.");
    let script = site.signed_in("alice");
    let response = script.request("POST", "/session/logout").script().send();
    assert_eq!((response.status, response.json()["state"].as_str()), (200, Some("anonymous")));
    let htmx = site.signed_in("alice");
    let response =
        htmx.request("POST", "/session/logout").script().header("hx-request", "true").send();
    assert_eq!((response.status, response.header("hx-redirect")), (200, "/login"));
    for browser in [page, script, htmx] {
        assert_eq!(browser.user_at("/private"), None);
    }
}

#[test]
fn every_use_of_an_ended_session_is_an_event() {
    let site = site();
    let alice = site.signed_in("alice");
    let attacker = alice.copy();
    alice.post("/logout", "");
    let image = |request: RequestBuilder<'_>| {
        let request = request.header("sec-fetch-mode", "no-cors");
        request.header("sec-fetch-dest", "image").send();
    };
    site.take_events();
    image(attacker.request("GET", "/public"));
    assert_eq!(site.take_events(), ["refused: logged_out"]);
    attacker.fetch("/session/status");
    assert_eq!(site.take_events(), ["refused: logged_out"]);
    attacker.request("HEAD", "/public").send();
    assert_eq!(site.take_events(), ["refused: logged_out"]);
}

async fn kept_401(session: SessionHandle) -> HttpResponse {
    session.keep_response();
    session.sign_out();
    HttpResponse::Unauthorized().body("signed out")
}

#[test]
fn kept_response_still_signs_out() {
    let site = site();
    let alice = site.signed_in("alice");
    let attacker = alice.copy();
    assert_eq!(alice.get("/kept-401").body, "signed out");
    assert_eq!(attacker.user_at("/private"), None);
}
