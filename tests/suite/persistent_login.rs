//! Persistent logins ("keep me signed in"): limits, cookie lifetime, and remembered sessions.

use actix_session::Session;
use actix_web::{HttpResponse, web};
use session_expire::{
    PolicyPatch, SessionHandle, SignInError, days,
    error::ConfirmError,
    hours, minutes,
    registry::{Query, Registry},
    seconds,
    sign_in::SignInOptions,
};
use session_expire_tests::{Browser, Site, TestResponse, block_on};

/// Signs alice in for 30 days, or for as many as the path names.
async fn keep(
    session: SessionHandle,
    lifetime: web::Path<u64>,
) -> Result<HttpResponse, SignInError> {
    let options = SignInOptions::new().persistent(days(*lifetime));
    session.sign_in_with("alice", options).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn keep_with_policy(session: SessionHandle) -> Result<HttpResponse, SignInError> {
    let policy = PolicyPatch::new().idle(hours(1)).absolute(hours(2));
    session.sign_in_with("alice", SignInOptions::from(policy).persistent(days(30))).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn renew(session: Session) -> HttpResponse {
    session.renew();
    HttpResponse::Ok().finish()
}

async fn confirm(session: SessionHandle) -> Result<HttpResponse, ConfirmError> {
    session.confirm("alice")?;
    Ok(HttpResponse::Ok().finish())
}

fn site() -> Site {
    Site::builder()
        .routes(|cfg| {
            cfg.route("/keep/{days}", web::post().to(keep))
                .route("/keep-with-policy", web::post().to(keep_with_policy))
                .route("/confirm", web::post().to(confirm))
                .route("/renew", web::post().to(renew));
        })
        .start()
}

fn kept(site: &Site) -> Browser {
    let browser = site.browser();
    assert_eq!(browser.post("/keep/30", "").status, 200);
    browser
}

/// Returns the lifetime in seconds of the session cookie that the response sets.
fn max_age(response: &TestResponse) -> Option<u64> {
    let cookie = response.cookies().into_iter().find(|cookie| cookie.starts_with("id="))?;
    cookie.split_once("Max-Age=")?.1.split(';').next()?.parse().ok()
}

const DAY: u64 = 24 * 60 * 60;

#[test]
fn persistent_login_sets_limits_and_cookie_lifetime() {
    let site = site();
    let alice = site.browser();
    assert_eq!(max_age(&alice.post("/keep/30", "")), Some(30 * DAY));
    site.advance(days(30) - seconds(1));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "idle for 30 days");
    site.advance(seconds(1));
    assert_eq!(alice.fetch("/private").header("x-session-expired"), "absolute");
}

#[test]
fn renewed_cookie_has_the_remaining_lifetime() {
    let site = site();
    let alice = kept(&site);
    site.advance(days(10));
    assert_eq!(max_age(&alice.post("/renew", "")), Some(20 * DAY));
    let plain = site.signed_in("alice");
    let renewed = plain.post("/renew", "");
    assert!(renewed.has_cookie("id") && max_age(&renewed).is_none(), "{renewed:?}");
}

#[test]
fn cookie_lifetime_is_at_most_400_days() {
    let site = site();
    let alice = site.browser();
    assert_eq!(max_age(&alice.post("/keep/500", "")), Some(400 * DAY));
    site.advance(days(50));
    assert_eq!(max_age(&alice.post("/renew", "")), Some(400 * DAY));
    site.advance(days(100));
    assert_eq!(max_age(&alice.post("/renew", "")), Some(350 * DAY));
}

#[test]
fn persistent_login_overrides_the_timeouts_of_its_policy() {
    let site = site();
    let alice = site.browser();
    assert_eq!(max_age(&alice.post("/keep-with-policy", "")), Some(30 * DAY));
    site.advance(days(29));
    assert!(alice.user_at("/private").is_some());
}

#[test]
fn stricter_page_keeps_its_limits_for_a_kept_session() {
    let site = site();
    let alice = kept(&site);
    site.advance(minutes(1));
    assert_eq!(alice.user_at("/stricter"), None);
}

fn is_remembered(site: &Site) -> bool {
    let open = block_on(site.registry.list(Query::open("alice"))).unwrap();
    open.first().is_some_and(|record| record.remembered)
}

#[test]
fn kept_session_is_remembered_after_the_idle_timeout() {
    let site = site();
    let alice = kept(&site);
    site.advance(minutes(10) - seconds(1));
    assert!(alice.user_at("/private").is_some() && !is_remembered(&site));
    site.advance(minutes(10));
    assert!(alice.user_at("/private").is_some() && is_remembered(&site));
    site.advance(seconds(30));
    assert!(alice.user_at("/private").is_some() && is_remembered(&site), "it stays remembered");
}

#[test]
fn remembering_costs_no_write_of_its_own() {
    let site = site();
    let alice = kept(&site);
    site.advance(minutes(10));
    site.registry.take_operations();
    alice.get("/private");
    assert_eq!(site.registry.take_operations(), ["load", "update"]);
    alice.get("/private");
    assert_eq!(site.registry.take_operations(), ["load"]);
}

#[test]
fn passive_request_does_not_mark_a_session_as_remembered() {
    let site = site();
    let alice = kept(&site);
    site.advance(minutes(10));
    assert_eq!(alice.user_at("/poll").as_deref(), Some("alice"));
    assert!(!is_remembered(&site));
    alice.get("/private");
    assert!(is_remembered(&site));
}

#[test]
fn keep_alive_marks_a_session_as_remembered() {
    // The time that a keep-alive reports does not hide the absence.
    for (after, form, remembered) in [
        (minutes(10) - seconds(1), "idle_for=0", false),
        (minutes(10), "idle_for=0", true),
        (minutes(10), "idle_for=1", true),
        (minutes(50), "idle_for=2460", true),
    ] {
        let site = site();
        let alice = kept(&site);
        site.advance(after);
        assert_eq!(alice.post("/session/keep-alive", form).status, 200);
        assert_eq!(is_remembered(&site), remembered, "{after:?} {form}");
    }
}

#[test]
fn other_sessions_on_lax_pages_are_not_remembered() {
    let site = site();
    let alice = site.signed_in("alice");
    site.advance(minutes(30));
    assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"));
    assert!(!is_remembered(&site));
}

#[test]
fn confirmed_session_is_not_remembered_and_has_its_lifetime_anew() {
    let site = site();
    let alice = kept(&site);
    site.advance(days(10));
    assert_eq!(max_age(&alice.post("/confirm", "")), Some(30 * DAY));
    assert!(!is_remembered(&site));
    assert!(alice.user_at("/private").is_some() && !is_remembered(&site));
    site.advance(minutes(10));
    assert!(alice.user_at("/private").is_some() && is_remembered(&site), "the next absence");
}

#[test]
fn login_in_a_remembered_session_is_not_remembered() {
    let site = site();
    let alice = kept(&site);
    site.advance(minutes(10));
    alice.get("/private");
    assert!(is_remembered(&site));
    assert_eq!(alice.post("/keep/30", "").status, 200);
    assert!(!is_remembered(&site));
}
