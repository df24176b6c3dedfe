//! Requests in progress while another request of the same session re-authenticates its user.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_identity::Identity;
use actix_web::{HttpResponse, Result, web};
use session_expire::{
    Overflow, Policy, PolicyPatch, SessionHandle, SignInError, minutes,
    registry::{Query, Registry},
};
use session_expire_tests::{Barrier, Browser, Site, TestResponse, block_on};

/// Confirms the session of alice if the body is her name.
async fn confirm(session: SessionHandle, password: String) -> Result<HttpResponse> {
    if password != "alice" {
        session.confirm_failed().await?;
        return Ok(HttpResponse::Unauthorized().body("wrong"));
    }
    session.confirm("alice")?;
    Ok(HttpResponse::SeeOther().insert_header(("location", "/settings")).finish())
}

async fn confirm_slowly(
    session: SessionHandle,
    barrier: web::Data<Barrier>,
    password: String,
) -> Result<HttpResponse> {
    barrier.wait().await;
    confirm(session, password).await
}

async fn sign_in_slowly(
    session: SessionHandle,
    barrier: web::Data<Barrier>,
    user: String,
) -> Result<HttpResponse, SignInError> {
    barrier.wait().await;
    session.sign_in(user).await?;
    Ok(HttpResponse::Ok().finish())
}

/// Reserves the slot of the login before it waits.
async fn respond_slowly(
    session: SessionHandle,
    barrier: web::Data<Barrier>,
    user: String,
) -> Result<HttpResponse, SignInError> {
    session.sign_in(user).await?;
    barrier.wait().await;
    Ok(HttpResponse::Ok().finish())
}

async fn refresh_slowly(
    session: SessionHandle,
    barrier: web::Data<Barrier>,
) -> Result<HttpResponse> {
    barrier.wait().await;
    session.refresh_policy().await?;
    Ok(HttpResponse::Ok().finish())
}

async fn set_stamp_slowly(
    session: SessionHandle,
    barrier: web::Data<Barrier>,
) -> Result<HttpResponse> {
    barrier.wait().await;
    session.set_stamp("new").await?;
    Ok(HttpResponse::Ok().finish())
}

async fn require_stamp(session: SessionHandle) -> Result<&'static str> {
    session.require_stamp("new").await?;
    Ok("current")
}

async fn end_others_slowly(session: SessionHandle, barrier: web::Data<Barrier>) -> Result<String> {
    barrier.wait().await;
    let Some(current) = session.id() else { return Ok(String::new()) };
    Ok(session.sessions().end_others("alice", current).await?.to_string())
}

/// Ends the sessions of alice except one that the body names.
async fn end_all_but(session: SessionHandle, id: String) -> Result<String> {
    let id = id.parse().map_err(actix_web::error::ErrorBadRequest)?;
    Ok(session.sessions().end_others("alice", id).await?.to_string())
}

async fn whoami(user: Identity) -> Result<String> {
    Ok(user.id()?)
}

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/settings").wrap(PolicyPatch::new().fresh(minutes(10))).to(whoami))
        .route("/end-all-but", web::post().to(end_all_but))
        .route("/end-others-slowly", web::post().to(end_others_slowly))
        .route("/confirm", web::post().to(confirm))
        .route("/confirm-slowly", web::post().to(confirm_slowly))
        .route("/sign-in-slowly", web::post().to(sign_in_slowly))
        .route("/respond-slowly", web::post().to(respond_slowly))
        .route("/refresh-slowly", web::post().to(refresh_slowly))
        .route("/set-stamp-slowly", web::post().to(set_stamp_slowly))
        .route("/require-stamp", web::get().to(require_stamp));
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

/// Sends a form, confirms while the request is in its handler, and returns its response.
fn post_during_confirm(
    site: &Site,
    alice: &Browser,
    path: &'static str,
    form: &'static str,
) -> TestResponse {
    let tab = alice.copy();
    let slower = std::thread::spawn(move || tab.post(path, form));
    site.wait_for_arrivals(1);
    assert_eq!(alice.post("/confirm", "alice").cookies().len(), 1);
    site.open_barrier();
    slower.join().unwrap()
}

fn open_sessions(site: &Site, user: &str) -> usize {
    block_on(site.registry.list(Query::open(user))).unwrap().len()
}

fn end_reason(browser: &Browser) -> String {
    browser.fetch("/private").header("x-session-expired").to_owned()
}

#[test]
fn sign_out_ends_the_session() {
    let site = site();
    let alice = site.signed_in("alice");
    let response = post_during_confirm(&site, &alice, "/slow-logout", "");
    assert_eq!(response.redirect(), (303, "/login"));
    assert_eq!(end_reason(&alice), "logged_out");
}

#[test]
fn sign_out_with_the_old_key_after_a_refresh_ends_the_session() {
    let site = site();
    let alice = site.signed_in("alice");
    let old = alice.copy();
    alice.post("/confirm", "alice");
    site.open_barrier();
    assert_eq!(alice.post("/refresh-slowly", "").status, 200);
    assert_eq!(old.post("/sign-out", "").status, 303);
    assert_eq!(end_reason(&alice), "logged_out");
}

#[test]
fn login_of_the_same_user_replaces_the_session() {
    for path in ["/sign-in-slowly", "/respond-slowly"] {
        let site = site();
        let alice = site.signed_in("alice");
        assert_eq!(post_during_confirm(&site, &alice, path, "alice").status, 200);
        assert_eq!(open_sessions(&site, "alice"), 1, "{path}: one browser, one session");
    }
}

#[test]
fn login_of_the_same_user_is_not_refused() {
    let policy = Policy::new().idle(minutes(10)).overflow(Overflow::Refuse).max_sessions(1);
    let site = Site::builder().policy(policy).routes(routes).start();
    let alice = site.signed_in("alice");
    let response = post_during_confirm(&site, &alice, "/sign-in-slowly", "alice");
    assert_eq!(response.status, 200, "{response:?}");
}

#[test]
fn login_of_another_user_ends_the_session() {
    let site = site();
    let alice = site.signed_in("alice");
    assert_eq!(post_during_confirm(&site, &alice, "/sign-in-slowly", "bob").status, 200);
    assert_eq!(open_sessions(&site, "alice"), 0);
}

#[test]
fn end_of_the_other_sessions_ends_them() {
    let site = site();
    let (alice, other) = (site.signed_in("alice"), site.signed_in("alice"));
    assert_eq!(post_during_confirm(&site, &alice, "/end-others-slowly", "").body, "1");
    assert_eq!(end_reason(&other), "revoked");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn end_of_the_others_of_an_unknown_session_ends_none() {
    let site = site();
    let (alice, other) = (site.signed_in("alice"), site.signed_in("alice"));
    assert_eq!(alice.post("/end-all-but", "AAAAAAAAAAAAAAAA").body, "0");
    assert_eq!(other.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn stamp_is_stored() {
    let site = site();
    let alice = site.signed_in("alice");
    assert_eq!(post_during_confirm(&site, &alice, "/set-stamp-slowly", "").status, 200);
    let response = alice.get("/require-stamp");
    assert_eq!(response.body, "current", "{response:?}");
}

#[test]
fn refreshed_policy_applies() {
    static IS_STRICT: AtomicBool = AtomicBool::new(false);
    let user_policy = |_| async {
        match IS_STRICT.load(Ordering::SeqCst) {
            true => PolicyPatch::new().idle(minutes(1)),
            false => PolicyPatch::new(),
        }
    };
    let site =
        Site::builder().routes(routes).customise(move |builder| builder.user_policy(user_policy));
    let site = site.start();
    let alice = site.signed_in("alice");
    IS_STRICT.store(true, Ordering::SeqCst);
    assert_eq!(post_during_confirm(&site, &alice, "/refresh-slowly", "").status, 200);
    site.advance(minutes(2));
    assert_eq!(end_reason(&alice), "idle");
}

#[test]
fn wrong_password_counts_for_the_confirmed_session() {
    let site = site();
    let alice = site.signed_in("alice");
    let response = post_during_confirm(&site, &alice, "/confirm-slowly", "wrong");
    assert_eq!((response.status, response.body.as_str()), (401, "wrong"));
    for _ in 0..3 {
        assert_eq!(alice.post("/confirm", "wrong").body, "wrong");
    }
    assert_eq!(alice.post("/confirm", "wrong").redirect().0, 303);
    assert_eq!(end_reason(&alice), "revoked");
}

#[test]
fn right_password_after_the_fifth_failure_looks_like_a_wrong_one() {
    let site = site();
    let thief = site.signed_in("alice");
    let guesses = ["wrong", "alice"].map(|password| {
        let tab = thief.copy();
        std::thread::spawn(move || tab.post("/confirm-slowly", password))
    });
    site.wait_for_arrivals(2);
    for _ in 0..5 {
        thief.copy().post("/confirm", "wrong");
    }
    site.open_barrier();
    let [wrong, right] = guesses.map(|guess| {
        let response = guess.join().unwrap();
        let cookies: Vec<_> = response.cookies().iter().map(|cookie| cookie.len()).collect();
        let cache = response.header("cache-control").to_owned();
        (response.status, response.header("location").to_owned(), cookies, cache, response.body)
    });
    assert!(wrong.1.starts_with("/login"), "{wrong:?}");
    assert_eq!(right, wrong);
}
