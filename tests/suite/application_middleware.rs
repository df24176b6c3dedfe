//! Middlewares of an application that use `Session`, inside and outside of [`SessionExpire`].

use actix_session::{Session, SessionExt};
use actix_web::{
    App, Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::ErrorBadGateway,
    middleware::{Next, from_fn},
    web,
};
use session_expire::{Policy, SessionExpire, clock::ManualClock, minutes};
use session_expire_tests::{Browser, Server, pages, serve};

const USER: &str = "actix_identity.user_id";

fn count(session: &Session, name: &str) {
    let passed = session.get::<u32>(name).unwrap().unwrap_or_default();
    session.insert(name, passed + 1).unwrap();
}

/// Counts before and after the handler. The header `x-seen` has the user of each moment.
async fn inner(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let session = req.get_session();
    count(&session, "before");
    let seen = session.get::<String>(USER)?.unwrap_or_default();
    let mut res = next.call(req).await?;
    count(&session, "after");
    if res.request().path() == "/failing" {
        return Err(ErrorBadGateway("after the handler"));
    }
    let after = res.request().get_session().get::<String>(USER)?.unwrap_or_default();
    let seen = format!("{seen}>{after}").parse().unwrap();
    res.headers_mut().insert("x-seen".parse().unwrap(), seen);
    Ok(res)
}

/// Reads the user before the handler, and writes after the session is settled.
async fn outer(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let seen = req.get_session().get::<String>(USER)?.unwrap_or_default();
    let mut res = next.call(req).await?;
    let session = res.request().get_session();
    count(&session, "late");
    session.renew();
    res.headers_mut().insert("x-outer".parse().unwrap(), format!("<{seen}>").parse().unwrap());
    Ok(res)
}

/// Responds with the entries but those of actix-identity.
async fn entries(session: Session) -> String {
    let mut entries: Vec<_> = session.entries().iter().map(|(k, v)| format!("{k}={v}")).collect();
    entries.retain(|entry| !entry.starts_with("actix_identity"));
    entries.sort();
    entries.join(" ")
}

async fn news() -> &'static str {
    "news"
}

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/entries", web::get().to(entries))
        .route("/news", web::get().to(news))
        .route("/failing", web::get().to(news))
        .configure(pages);
}

fn start(clock: &ManualClock) -> Server {
    let expire = SessionExpire::builder(Policy::new().idle(minutes(10)));
    let expire = expire.plain_http(true).clock(clock.clone()).build().unwrap();
    serve!(
        App::new().configure(routes).wrap(from_fn(inner)).wrap(expire.clone()).wrap(from_fn(outer))
    )
}

fn signed_in(server: &Server) -> Browser {
    let alice = server.browser();
    alice.sign_in("alice");
    alice
}

#[test]
fn inner_middleware_writes_are_stored() {
    let server = start(&ManualClock::default());
    let alice = signed_in(&server);
    assert_eq!(alice.get("/entries").body, "after=1 before=2", "after the login");
    alice.get("/news");
    assert_eq!(alice.get("/entries").body, "after=3 before=4");
    let visitor = server.browser();
    assert_eq!(visitor.get("/entries").body, "before=1");
    visitor.get("/news");
    assert_eq!(visitor.get("/entries").body, "after=2 before=3");
}

#[test]
fn inner_middleware_sees_the_user() {
    let clock = ManualClock::default();
    let server = start(&clock);
    let alice = signed_in(&server);
    assert_eq!(alice.get("/news").header("x-seen"), "alice>alice");
    assert_eq!(alice.post("/login", "user=bob").header("x-seen"), "alice>bob");
    assert_eq!(alice.post("/logout", "").header("x-seen"), "bob>");
    alice.sign_in("alice");
    clock.advance(minutes(10));
    assert_eq!(alice.get("/news").header("x-seen"), ">");
}

#[test]
fn writes_of_a_failing_middleware_are_dropped() {
    let server = start(&ManualClock::default());
    let alice = signed_in(&server);
    assert_eq!(alice.get("/failing").status, 502);
    assert_eq!(alice.get("/entries").body, "after=1 before=2");
}

#[test]
fn outer_middleware_sees_no_session() {
    let server = start(&ManualClock::default());
    for browser in [signed_in(&server), server.browser()] {
        let response = browser.get("/news");
        assert_eq!(response.header("x-outer"), "<>");
        let cookie = browser.cookie();
        assert!(!browser.get("/entries").body.contains("late"));
        assert_eq!(browser.cookie().contains("id="), cookie.contains("id="));
    }
}
