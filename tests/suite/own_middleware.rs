//! Middlewares of an application that read and write `Session`: inside, all they write is stored;
//! outside, they see no session, and what they write is lost.

use actix_session::{Session, SessionExt};
use actix_web::{
    App, Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::ErrorBadGateway,
    middleware::{Next, from_fn},
    web,
};
use session_expire::{ManualClock, Policy, SessionExpire, minutes};
use session_expire_tests::{Browser, Server, pages, serve};

const USER: &str = "actix_identity.user_id";

fn count(session: &Session, name: &str) {
    let passed = session.get::<u32>(name).unwrap().unwrap_or_default();
    session.insert(name, passed + 1).unwrap();
}

/// Counts before and after the handler, and says whom it sees.
async fn inside(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let session = req.get_session();
    count(&session, "before");
    let seen = session.get::<String>(USER)?.unwrap_or_default();
    let mut res = next.call(req).await?;
    count(&session, "after");
    if res.request().path() == "/broken" {
        return Err(ErrorBadGateway("after the handler"));
    }
    let after = res.request().get_session().get::<String>(USER)?.unwrap_or_default();
    let seen = format!("{seen}>{after}").parse().unwrap();
    res.headers_mut().insert("x-seen".parse().unwrap(), seen);
    Ok(res)
}

/// Reads on the way in, and writes once the response is settled.
async fn outside(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let seen = req.get_session().get::<String>(USER)?.unwrap_or_default();
    let mut res = next.call(req).await?;
    let session = res.request().get_session();
    count(&session, "late");
    session.renew();
    if res.request().query_string() == "purge" {
        session.purge();
    }
    res.headers_mut().insert("x-outside".parse().unwrap(), format!("<{seen}>").parse().unwrap());
    Ok(res)
}

/// Names the entries that are not the user.
async fn entries(session: Session) -> String {
    let mut entries: Vec<_> = session.entries().iter().map(|(k, v)| format!("{k}={v}")).collect();
    entries.retain(|entry| !entry.starts_with("actix_identity"));
    entries.sort();
    entries.join(" ")
}

async fn same_for_all() -> &'static str {
    "news"
}

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/entries", web::get().to(entries))
        .route("/news", web::get().to(same_for_all))
        .route("/broken", web::get().to(same_for_all))
        .configure(pages);
}

fn start(clock: &ManualClock) -> Server {
    let expire = SessionExpire::builder(Policy::new().idle(minutes(10)));
    let expire = expire.plain_http(true).clock(clock.clone()).build().unwrap();
    serve!(
        App::new()
            .configure(routes)
            .wrap(from_fn(inside))
            .wrap(expire.clone())
            .wrap(from_fn(outside))
    )
}

fn signed_in(server: &Server) -> Browser {
    let alice = server.browser();
    alice.sign_in("alice");
    alice
}

#[test]
fn write_before_and_after_the_handler_is_stored() {
    let server = start(&ManualClock::default());
    // The login was the first request.
    let alice = signed_in(&server);
    assert_eq!(alice.get("/entries").body, "after=1 before=2");
    alice.get("/news");
    assert_eq!(alice.get("/entries").body, "after=3 before=4");
    let visitor = server.browser();
    assert_eq!(visitor.get("/entries").body, "before=1");
    visitor.get("/news");
    assert_eq!(visitor.get("/entries").body, "after=2 before=3");
}

#[test]
fn middleware_inside_sees_the_user_before_and_after() {
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
fn write_of_a_failing_middleware_is_dropped() {
    let server = start(&ManualClock::default());
    let alice = signed_in(&server);
    assert_eq!(alice.get("/broken").status, 502);
    assert_eq!(alice.get("/entries").body, "after=1 before=2");
}

#[test]
fn middleware_outside_sees_no_session_and_its_write_is_lost() {
    let server = start(&ManualClock::default());
    for browser in [signed_in(&server), server.browser()] {
        let response = browser.get("/news");
        assert_eq!(response.header("x-outside"), "<>");
        let cookie = browser.cookie();
        assert!(!browser.get("/entries").body.contains("late"));
        assert_eq!(browser.cookie().contains("id="), cookie.contains("id="));
    }
}

#[test]
fn purge_by_a_middleware_outside_signs_no_user_out() {
    let server = start(&ManualClock::default());
    let alice = signed_in(&server);
    assert_eq!(alice.get("/news?purge").status, 200);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}
