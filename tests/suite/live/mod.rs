//! Streams and pages that end with their session.

mod activity;
mod bodies;
mod deadlines;
mod endings;
mod event_pages;
mod events;
mod faults;
mod outages;
mod races;
mod reports;
mod subscriptions;

use std::{
    pin::Pin,
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody},
    rt::time::{Sleep, sleep},
    web::{self, Bytes},
};
use session_expire::{PolicyPatch, SessionHandle, SignInError, hours, minutes};
use session_expire_tests::{Site, SiteBuilder, block_on, watch_session};

/// Response body that produces a line every millisecond, up to a number of lines.
struct Lines {
    left: usize,
    next: Pin<Box<Sleep>>,
    size: BodySize,
}

impl Lines {
    fn new(left: usize) -> Self {
        Self { left, next: Box::pin(sleep(Duration::ZERO)), size: BodySize::Stream }
    }
}

impl MessageBody for Lines {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        std::task::ready!(self.next.as_mut().poll(cx));
        self.next = Box::pin(sleep(Duration::from_millis(1)));
        self.left -= 1;
        Poll::Ready(Some(Ok(Bytes::from_static(b"line\n"))))
    }
}

/// Responds with a guarded body that ends only with its session.
async fn lines(session: SessionHandle) -> HttpResponse {
    HttpResponse::Ok().body(session.guard(Lines::new(usize::MAX)))
}

async fn renew(session: actix_session::Session) -> &'static str {
    session.renew();
    "renewed"
}

async fn confirm(session: SessionHandle, user: String) -> actix_web::Result<&'static str> {
    session.confirm(&user)?;
    Ok("confirmed")
}

async fn refresh(session: SessionHandle) -> actix_web::Result<&'static str> {
    session.refresh_policy().await?;
    Ok("refreshed")
}

async fn keep_me_signed_in(session: SessionHandle) -> Result<&'static str, SignInError> {
    session.sign_in_with("alice", PolicyPatch::new().idle(hours(24)).absolute(hours(720))).await?;
    Ok("signed in")
}

async fn id(session: SessionHandle) -> String {
    session.id().map(|id| id.to_string()).unwrap_or_default()
}

fn routes(cfg: &mut web::ServiceConfig) {
    let page = |path, idle| {
        web::resource(path).wrap(PolicyPatch::new().idle(idle)).route(web::get().to(watch_session))
    };
    cfg.service(page("/vault/{number}", minutes(1)))
        .service(page("/editor/{number}", hours(1)))
        .route("/watch/{number}", web::get().to(watch_session))
        .route("/lines", web::get().to(lines))
        .route("/renew", web::post().to(renew))
        .route("/confirm", web::post().to(confirm))
        .route("/refresh", web::post().to(refresh))
        .route("/keep-me-signed-in", web::post().to(keep_me_signed_in))
        .route("/id", web::get().to(id));
}

fn builder() -> SiteBuilder {
    Site::builder().routes(routes).customise(|builder| builder.live_pages(true))
}

fn site() -> Site {
    builder().start()
}

/// Ends all sessions of a user.
fn end_all(site: &Site, user: &str) {
    block_on(site.expire.sessions().end_all(user)).unwrap();
}

/// Waits until `is_reached` returns `true`.
fn wait_until(what: &str, is_reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_reached() {
        assert!(start.elapsed() < Duration::from_secs(120), "not reached: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until the watch thread has loaded a session.
fn wait_for_load(site: &Site) {
    wait_until("a load", || site.registry.take_operations().contains(&"load"));
}

/// Waits until the watch thread has processed all changes before this call.
///
/// The thread processes changes in order. This function ends a session of another user, and waits
/// for the end of its stream.
fn settle(site: &Site) {
    let stream = site.signed_in("last").watch("/editor");
    end_all(site, "last");
    assert_eq!(stream.reason(), "revoked");
}
