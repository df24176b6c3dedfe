//! Security stamps: a changed credential ends the sessions that were started with the earlier one.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
    thread,
};

use actix_identity::Identity;
use actix_web::{HttpResponse, Result, web};
use session_expire::{
    SessionExpireBuilder, SessionHandle, SignInError, error::StampError, sign_in::SignInOptions,
};
use session_expire_tests::{Barrier, Browser, Site, SiteBuilder};

/// Password hashes of the users, as in a database that many routes write.
#[derive(Clone, Default)]
struct Passwords(Arc<Mutex<HashMap<String, Option<String>>>>);

impl Passwords {
    fn set(&self, user: &str, hash: Option<&str>) {
        self.0.lock().unwrap().insert(user.to_owned(), hash.map(str::to_owned));
    }

    /// Returns the hash of a user; an error for the user `broken`.
    fn get(&self, user: &str) -> io::Result<Option<String>> {
        let hashes = self.0.lock().unwrap();
        match hashes.get(user) {
            Some(hash) => Ok(hash.clone()),
            None => Err(io::Error::other("the database is down")),
        }
    }
}

/// Signs alice in with the credential of the body.
async fn sign_in(session: SessionHandle, credential: String) -> Result<HttpResponse, SignInError> {
    let options = SignInOptions::new().stamp(&credential);
    session.sign_in_with("alice", options).await?;
    Ok(HttpResponse::Ok().finish())
}

/// Requires the stamp of the credential in the path.
async fn require(
    session: SessionHandle,
    current: web::Path<String>,
) -> Result<HttpResponse, StampError> {
    session.require_stamp(current.as_bytes()).await?;
    Ok(HttpResponse::Ok().body("current"))
}

async fn set_stamp(session: SessionHandle, credential: String) -> Result<HttpResponse> {
    session.set_stamp(&credential).await?;
    // The new stamp also applies within the same request.
    session.require_stamp(&credential).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn set_stamp_of_login(session: SessionHandle, credential: String) -> Result<HttpResponse> {
    session.sign_in("alice").await?;
    session.set_stamp(&credential).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn whoami_and_require(user: Identity, session: SessionHandle) -> Result<String> {
    let before = user.id()?;
    let failed = session.require_stamp("another").await.is_err();
    Ok(format!("{before} {failed} {:?}", session.verdict()))
}

/// Waits at the barrier, and then requires the stamp of a credential that has changed in between.
async fn require_later(session: SessionHandle, barrier: web::Data<Barrier>) -> Result<String> {
    barrier.wait().await;
    session.require_stamp("second").await?;
    Ok("current".to_owned())
}

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/require-later", web::get().to(require_later))
        .route("/stamped", web::post().to(sign_in))
        .route("/require/{current}", web::get().to(require))
        .route("/set-stamp", web::post().to(set_stamp))
        .route("/set-stamp-of-login", web::post().to(set_stamp_of_login))
        .route("/handled", web::get().to(whoami_and_require));
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

fn checked(passwords: &Passwords) -> SiteBuilder {
    passwords.set("alice", Some("first"));
    let passwords = passwords.clone();
    let check = |builder: SessionExpireBuilder| {
        builder.stamp(move |user| {
            let hash = passwords.get(&user);
            async move { Ok(hash?) }
        })
    };
    Site::builder().routes(routes).customise(check)
}

fn stamped(site: &Site, credential: &str) -> Browser {
    let browser = site.browser();
    assert_eq!(browser.post("/stamped", credential).status, 200);
    browser
}

fn is_signed_in(browser: &Browser) -> bool {
    browser.user_at("/private").is_some()
}

const TEXT: &str =
    "You were signed out because your sign-in details have changed. Please sign in again.";

#[test]
fn current_stamp_is_accepted_without_an_operation() {
    let site = site();
    let alice = stamped(&site, "first");
    site.registry.take_operations();
    assert_eq!(alice.get("/require/first").body, "current");
    assert_eq!(site.registry.take_operations(), ["load"]);
}

#[test]
fn other_stamp_ends_the_session_with_cause_and_text() {
    let site = site();
    let (alice, other) = (stamped(&site, "first"), stamped(&site, "first"));
    let response = alice.fetch("/require/second");
    assert_eq!((response.status, response.header("x-session-expired")), (401, "revoked"));
    let body = response.json();
    assert_eq!((&body["cause"], &body["detail"]), (&"credential_changed".into(), &TEXT.into()));
    assert!(!is_signed_in(&alice) && is_signed_in(&other), "only the session that was checked");
    assert!(site.take_events().contains(&"alice ended: revoked".to_owned()));
}

#[test]
fn navigation_with_another_stamp_is_challenged_with_the_text() {
    let site = site();
    let alice = stamped(&site, "first");
    let response = alice.get("/require/second");
    assert_eq!(response.redirect(), (303, "/login?next=/require/second"));
    assert_eq!(alice.get("/login").body, format!("[warning revoked] {TEXT}"));
}

#[test]
fn session_without_a_stamp_ends() {
    let site = site();
    let alice = site.signed_in("alice");
    assert_eq!(alice.fetch("/require/first").status, 401);
    assert!(!is_signed_in(&alice));
}

#[test]
fn request_without_a_session_fails_the_check() {
    let site = site();
    let response = site.browser().get("/require/first");
    assert_eq!(response.redirect(), (303, "/login?next=/require/first"));
}

#[test]
fn failed_check_during_an_outage_is_503_and_ends_nothing() {
    let site = site();
    let alice = stamped(&site, "first");
    for operation in ["end", "load"] {
        site.registry.fail_next(operation);
        assert_eq!(alice.fetch("/require/second").status, 503, "{operation}");
        assert!(is_signed_in(&alice), "{operation}");
    }
}

#[test]
fn handler_that_goes_on_after_a_failed_check_sees_an_ended_session() {
    let site = site();
    let alice = stamped(&site, "first");
    assert_eq!(alice.get("/handled").body, "alice true Expired(Revoked)");
    assert!(!is_signed_in(&alice));
}

#[test]
fn new_stamp_keeps_the_session_that_changed_it() {
    let site = site();
    let (alice, other) = (stamped(&site, "first"), stamped(&site, "first"));
    assert_eq!(alice.post("/set-stamp", "second").status, 200);
    assert_eq!(alice.get("/require/second").body, "current");
    assert_eq!(other.fetch("/require/second").status, 401);
}

#[test]
fn new_stamp_holds_for_requests_that_were_in_progress() {
    let site = site();
    let (alice, other) = (stamped(&site, "first"), stamped(&site, "first"));
    thread::scope(|scope| {
        let later = |browser: &Browser| {
            let browser = browser.clone();
            scope.spawn(move || browser.fetch("/require-later").status)
        };
        let (own, others) = (later(&alice), later(&other));
        site.wait_for_arrivals(2);
        assert_eq!(alice.post("/set-stamp", "second").status, 200);
        site.open_barrier();
        assert_eq!((own.join().unwrap(), others.join().unwrap()), (200, 401));
    });
    assert!(is_signed_in(&alice) && !is_signed_in(&other));
}

#[test]
fn new_stamp_of_a_login_in_the_same_request_is_stored() {
    let site = site();
    let alice = site.browser();
    assert_eq!(alice.post("/set-stamp-of-login", "second").status, 200);
    assert_eq!(alice.get("/require/second").body, "current");
}

#[test]
fn changed_password_signs_the_others_out_on_each_route() {
    for path in ["/private", "/laxer", "/stricter", "/poll"] {
        let passwords = Passwords::default();
        let site = checked(&passwords).start();
        let (alice, other) = (site.signed_in("alice"), site.signed_in("alice"));
        assert!(is_signed_in(&alice) && is_signed_in(&other));
        passwords.set("alice", Some("second"));
        let response = other.fetch(path);
        assert_eq!(response.json()["cause"], "credential_changed", "{path}");
        assert!(!is_signed_in(&other) && !is_signed_in(&alice), "{path}");
        assert!(is_signed_in(&site.signed_in("alice")), "{path}: a login has the new stamp");
    }
}

async fn change_password(
    session: SessionHandle,
    passwords: web::Data<Passwords>,
) -> Result<HttpResponse> {
    passwords.set("alice", Some("second"));
    session.set_stamp("second").await?;
    Ok(HttpResponse::Ok().finish())
}

/// The passwords of this test are in a static, because routes are a function pointer.
#[test]
fn session_that_changes_the_password_stays_signed_in() {
    static PASSWORDS: Mutex<Option<Passwords>> = Mutex::new(None);
    let passwords = Passwords::default();
    *PASSWORDS.lock().unwrap() = Some(passwords.clone());
    let site = checked(&passwords)
        .routes(|cfg| {
            let passwords = PASSWORDS.lock().unwrap().clone().unwrap();
            cfg.app_data(web::Data::new(passwords))
                .route("/change-password", web::post().to(change_password));
        })
        .start();
    let (alice, other) = (site.signed_in("alice"), site.signed_in("alice"));
    assert_eq!(alice.post("/change-password", "").status, 200);
    assert!(is_signed_in(&alice) && !is_signed_in(&other));
}

#[test]
fn disabled_user_is_signed_out() {
    let passwords = Passwords::default();
    let site = checked(&passwords).start();
    let alice = site.signed_in("alice");
    passwords.set("alice", None);
    let status = alice.fetch("/session/status").json();
    assert_eq!((&status["state"], &status["reason"]), (&"expired".into(), &"revoked".into()));
    assert!(!is_signed_in(&alice));
}

#[test]
fn suspended_session_is_checked_before_a_lax_page_restores_it() {
    let passwords = Passwords::default();
    let site = checked(&passwords).start();
    let alice = site.signed_in("alice");
    site.advance(session_expire::minutes(30));
    assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"));
    site.advance(session_expire::minutes(30));
    passwords.set("alice", Some("second"));
    assert_eq!(alice.fetch("/laxer").json()["cause"], "credential_changed");
}

#[test]
fn unreadable_credential_is_an_outage_and_ends_nothing() {
    let passwords = Passwords::default();
    let site = checked(&passwords).start();
    let alice = site.signed_in("alice");
    passwords.0.lock().unwrap().clear();
    assert_eq!(alice.fetch("/private").status, 503);
    assert_eq!(alice.user_at("/public").as_deref(), Some("anonymous"));
    passwords.set("alice", Some("first"));
    assert!(is_signed_in(&alice));
}

#[test]
fn sessions_from_before_the_first_use_of_stamps_end() {
    let before = Site::start();
    let alice = before.signed_in("alice");
    let passwords = Passwords::default();
    let after = checked(&passwords).registry(before.registry.clone()).start();
    let alice = alice.moved_to(&after);
    assert_eq!(alice.fetch("/private").json()["cause"], "credential_changed");
}
