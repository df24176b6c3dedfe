//! Retention of sessions on laxer pages.

use actix_identity::Identity;
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, web};
use session_expire::{
    Policy, SessionExpire, clock::ManualClock, hours, minutes, seconds, session_policy,
};
use session_expire_tests::{Browser, TestRegistry, serve};

/// Users of this page may be idle for 30 days.
#[session_policy(idle = "720h", absolute = "never")]
async fn lax(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

async fn private(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

async fn login(user: web::Path<String>, req: HttpRequest) -> HttpResponse {
    Identity::login(&req.extensions(), user.into_inner()).unwrap();
    HttpResponse::Ok().finish()
}

/// A site without `idle = "never"` elsewhere, which the site of the harness has.
macro_rules! site {
    ($registry:expr, $clock:expr) => {{
        let policy = Policy::new().idle(minutes(10)).absolute(hours(8));
        let expire = SessionExpire::builder(policy)
            .plain_http(true)
            .cookie_key(actix_web::cookie::Key::from(&[7; 64]))
            .clock($clock.clone())
            .registry($registry.clone())
            .build()
            .unwrap();
        serve!(
            App::new()
                .route("/login/{user}", web::get().to(login))
                .route("/private", web::get().to(private))
                .route("/lax", web::get().to(lax))
                .wrap(expire.clone())
        )
    }};
}

fn is_alice_at(browser: &Browser, path: &str) -> bool {
    let response = browser.get(path);
    (response.status, &*response.body) == (200, "alice")
}

/// A first request to a handler reveals its policy. The session of that request must last as long
/// as this policy accepts it.
#[test]
fn first_visitor_of_a_lax_handler_stays_signed_in() {
    let (registry, clock) = (TestRegistry::default(), ManualClock::default());
    let site = site!(registry, clock);
    let alice = site.browser();
    assert_eq!(alice.get("/login/alice").status, 200);
    clock.advance(seconds(5)); // less than the write interval of `last_seen`
    assert!(is_alice_at(&alice, "/lax"));
    clock.advance(hours(24 * 3));
    assert_eq!(site.browser().get("/login/alice").status, 200, "another device");
    assert!(is_alice_at(&alice, "/lax"), "3 of 30 days");
}

/// After a restart, or in another process, no request has revealed the policy of the handler yet.
#[test]
fn restart_does_not_shorten_the_retention_of_a_session() {
    let (registry, clock) = (TestRegistry::shared(), ManualClock::default());
    let before = site!(registry, clock);
    before.browser().get("/lax");
    let alice = before.browser();
    assert_eq!(alice.get("/login/alice").status, 200);
    clock.advance(minutes(1));
    assert!(is_alice_at(&alice, "/lax"));
    let after = site!(registry, clock);
    let moved = alice.at(after.browser().base());
    clock.advance(minutes(5));
    assert!(is_alice_at(&moved, "/private"), "overwrites the longest timeouts");
    clock.advance(hours(24 * 3));
    assert_eq!(before.browser().get("/login/alice").status, 200, "another device");
    assert!(is_alice_at(&alice, "/lax"), "3 of 30 days, in the process that knows the policy");
}
