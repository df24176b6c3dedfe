//! actix-limitation 0.6 (feature `session`) inside the middleware, with its own Redis client.
//!
//! Its key function reads `Session`: the limiter must be wrapped inside. It depends on redis 1, and
//! actix-session on redis 0.32; both use one server.

use actix_identity::IdentityExt;
use actix_limitation::{Limiter, RateLimiter};
use actix_session::{Session, SessionExt};
use actix_web::{App, dev::ServiceRequest, web};
use session_expire::{Policy, PolicyPatch, SessionExpire, clock::ManualClock, minutes};
use session_expire_tests::{Browser, RedisServer, Server, pages, serve};

const LIMIT: u32 = 3;

type KeyOf = fn(&ServiceRequest) -> Option<String>;

/// The key function in the documentation of actix-limitation: a session entry, or else a cookie.
fn session_id(req: &ServiceRequest) -> Option<String> {
    req.get_session()
        .get("session-id")
        .unwrap_or_else(|_| req.cookie("rate-api-id").map(|cookie| cookie.to_string()))
}

fn user(req: &ServiceRequest) -> Option<String> {
    req.get_identity().ok()?.id().ok()
}

/// Stores the entries that key functions read.
async fn mark(session: Session, id: String) -> actix_web::Result<String> {
    session.insert("session-id", &id)?;
    // The default of actix-limitation.
    session.insert("rate-api-id", &id)?;
    Ok(id)
}

fn routes(cfg: &mut web::ServiceConfig) {
    let whoami = || web::get().to(|req: actix_web::HttpRequest| async move { name_of(&req) });
    let strict = web::resource("/api/strict").wrap(PolicyPatch::new().idle(minutes(1)));
    cfg.service(strict.route(whoami()));
    cfg.route("/api/whoami", whoami()).route("/mark", web::post().to(mark)).configure(pages);
}

fn name_of(req: &actix_web::HttpRequest) -> String {
    let user = req.get_identity().ok().and_then(|identity| identity.id().ok());
    user.unwrap_or_else(|| "anonymous".to_owned())
}

struct Api {
    server: Server,
    clock: ManualClock,
    redis: RedisServer,
}

#[derive(Clone, Copy)]
enum LimiterPosition {
    Inner,
    Outer,
}

impl Api {
    fn start(key_of: Option<KeyOf>, position: LimiterPosition) -> Self {
        let redis = RedisServer::start();
        let clock = ManualClock::default();
        let policy = Policy::new().idle(minutes(10));
        let expire = SessionExpire::builder(policy).plain_http(true).clock(clock.clone());
        let expire = expire.build().unwrap();
        let mut limiter = Limiter::builder(redis.url());
        limiter.limit(LIMIT as usize);
        if let Some(key_of) = key_of {
            limiter.key_by(key_of);
        }
        let data = web::Data::new(limiter.build().unwrap());
        let limiter = RateLimiter::default;
        let app = move || App::new().app_data(data.clone()).configure(routes);
        let server = match position {
            LimiterPosition::Inner => serve!(app().wrap(limiter()).wrap(expire.clone())),
            LimiterPosition::Outer => serve!(app().wrap(expire.clone()).wrap(limiter())),
        };
        Self { server, clock, redis }
    }

    fn browser(&self) -> Browser {
        self.server.browser()
    }

    fn signed_in(&self, user: &str) -> Browser {
        let browser = self.browser();
        browser.sign_in(user);
        browser
    }
}

/// Returns how many of five requests were served.
fn served(browser: &Browser, path: &str) -> usize {
    (0..5).filter(|_| browser.fetch(path).status == 200).count()
}

#[test]
fn requests_of_one_session_entry_are_limited() {
    for key_of in [Some(session_id as KeyOf), None] {
        let api = Api::start(key_of, LimiterPosition::Inner);
        let [alice, bob] = ["alice", "bob"].map(|user| api.signed_in(user));
        assert_eq!(served(&alice, "/api/whoami"), 5, "a session without the entry");
        alice.post("/mark", "one");
        assert_eq!(served(&alice, "/api/whoami"), 3);
        bob.post("/mark", "two");
        assert_eq!(served(&bob, "/api/whoami"), 3);
    }
}

#[test]
fn requests_of_one_user_are_limited_on_all_devices() {
    let api = Api::start(Some(user), LimiterPosition::Inner);
    let [laptop, phone] = [(); 2].map(|()| api.signed_in("alice"));
    assert_eq!(laptop.fetch("/api/whoami").body, "alice");
    assert_eq!(phone.fetch("/api/whoami").body, "alice");
    assert_eq!(served(&laptop, "/api/whoami"), 1);
    assert_eq!(served(&phone, "/api/whoami"), 0);
    assert_eq!(served(&api.signed_in("bob"), "/api/whoami"), 3);
    assert_eq!(served(&api.browser(), "/api/whoami"), 5, "an anonymous visitor");
    let counted: u32 = api.redis.command(&["GET", "alice"]);
    assert_eq!(counted, 2 + 5 + 5);
}

#[test]
fn limited_response_is_private_and_ends_no_session() {
    let api = Api::start(Some(user), LimiterPosition::Inner);
    let alice = api.signed_in("alice");
    served(&alice, "/api/whoami");
    let response = alice.get("/api/whoami");
    assert_eq!((response.status, response.header("cache-control")), (429, "no-store"));
    assert_eq!(response.cookies().len(), 0);
    // A limited request is activity: nine minutes later the session is still active.
    api.clock.advance(minutes(9));
    assert_eq!(alice.get("/api/whoami").status, 429);
    api.clock.advance(minutes(9));
    let _: u32 = api.redis.command(&["DEL", "alice"]);
    assert_eq!(alice.fetch("/api/whoami").body, "alice");
}

#[test]
fn expired_session_is_not_counted_as_the_user() {
    let api = Api::start(Some(user), LimiterPosition::Inner);
    let alice = api.signed_in("alice");
    api.clock.advance(minutes(10));
    assert_eq!(alice.fetch("/api/whoami").body, "anonymous");
    assert_eq!(api.redis.command::<u32>(&["EXISTS", "alice"]), 0);
}

#[test]
fn limiter_around_a_stricter_page_counts_the_user() {
    let api = Api::start(Some(user), LimiterPosition::Inner);
    let alice = api.signed_in("alice");
    api.clock.advance(minutes(5));
    assert_eq!(alice.fetch("/api/strict").body, "anonymous");
    assert_eq!(api.redis.command::<u32>(&["GET", "alice"]), 1);
}

#[test]
fn entry_of_an_anonymous_visitor_is_limited() {
    let api = Api::start(Some(session_id), LimiterPosition::Inner);
    let visitor = api.browser();
    visitor.post("/mark", "visitor");
    assert_eq!(served(&visitor, "/api/whoami"), 3);
}

#[test]
fn outer_limiter_sees_no_session() {
    let api = Api::start(Some(session_id), LimiterPosition::Outer);
    let alice = api.signed_in("alice");
    alice.post("/mark", "one");
    assert_eq!(served(&alice, "/api/whoami"), 5);
    assert_eq!(api.redis.command::<u32>(&["DBSIZE"]), 0);
}
