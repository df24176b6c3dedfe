//! Step-up: pages that need a fresh session, and the confirmation page.

use std::time::Duration;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{HttpResponse, web};
use session_expire::{
    Policy, PolicyPatch, SessionHandle, SessionVars, error::ConfirmError, hours, minutes, seconds,
    session_policy,
};
use session_expire_tests::{Barrier, Browser, Site, TestResponse};

const FRESH: Duration = minutes(10);
const MILLISECOND: Duration = Duration::from_millis(1);

#[session_policy(fresh = "10m")]
async fn settings(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

/// Handler with the policy below the route attribute, so that an extractor checks the policy.
#[actix_web::get("/extracted")]
#[session_policy(fresh = "10m")]
async fn extracted() -> &'static str {
    "extracted"
}

#[session_policy(fresh = "10m")]
async fn fresh_vars(session: SessionVars) -> String {
    session.seconds_until_confirm.to_string()
}

/// Confirms if the password is the user's name.
async fn confirm(
    user: Identity,
    session: SessionHandle,
    password: String,
) -> actix_web::Result<HttpResponse> {
    let user = user.id()?;
    match password.strip_prefix("as ") {
        Some(other) => session.confirm(other)?,
        None if password == user => session.confirm(&user)?,
        None => {
            let left = session.confirm_failed().await?;
            return Ok(HttpResponse::Unauthorized().body(left.to_string()));
        }
    }
    Ok(HttpResponse::SeeOther().insert_header(("location", "/settings")).finish())
}

async fn confirm_slowly(
    session: SessionHandle,
    data: Session,
    barrier: web::Data<Barrier>,
) -> Result<HttpResponse, ConfirmError> {
    barrier.wait().await;
    data.insert("slow", true).ok();
    session.confirm("alice")?;
    Ok(HttpResponse::Ok().finish())
}

async fn insert_slowly(data: Session, barrier: web::Data<Barrier>) -> actix_web::Result<String> {
    barrier.wait().await;
    data.insert("late", "kept")?;
    Ok(String::new())
}

async fn late(data: Session) -> actix_web::Result<String> {
    Ok(data.get::<String>("late")?.unwrap_or_default())
}

/// Counts the attempt, waits, and then checks the password.
async fn confirm_begun(
    session: SessionHandle,
    barrier: web::Data<Barrier>,
    password: String,
) -> actix_web::Result<HttpResponse> {
    session.begin_confirmation().await?;
    barrier.wait().await;
    match password.as_str() {
        "alice" => session.confirm("alice")?,
        _ => drop(session.confirm_failed().await?),
    }
    Ok(HttpResponse::Ok().finish())
}

async fn page() -> &'static str {
    "page"
}

fn routes(cfg: &mut web::ServiceConfig) {
    let fresh = |limit| PolicyPatch::new().fresh(limit);
    let strict = web::scope("/strict")
        .service(web::resource("/lax").wrap(fresh(hours(1))).to(page))
        .service(web::resource("/never").wrap(PolicyPatch::new().fresh(None)).to(page))
        .wrap(fresh(minutes(2)));
    cfg.route("/settings", web::to(settings))
        .service(extracted)
        .route("/fresh-vars", web::get().to(fresh_vars))
        .route("/confirm-begun", web::post().to(confirm_begun))
        .route("/confirm", web::post().to(confirm))
        .route("/confirm", web::get().to(page))
        .route("/confirm-slowly", web::post().to(confirm_slowly))
        .route("/insert-slowly", web::post().to(insert_slowly))
        .route("/late", web::get().to(late))
        .service(web::resource("/short").wrap(fresh(minutes(1)).idle(minutes(2))).to(settings))
        .service(web::resource("/elsewhere").wrap(fresh(FRESH).confirm_url("/sudo?x=1")).to(page))
        .service(strict);
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

/// Moves the clock by some minutes, in which the user is active.
fn be_active(site: &Site, browser: &Browser, minutes: u64) {
    for _ in 0..minutes {
        site.advance(seconds(60));
        assert_eq!(browser.get("/private").status, 200);
    }
}

fn confirm_as(browser: &Browser, user: &str) -> TestResponse {
    browser.post("/confirm", user)
}

/// Returns a site with a browser whose session is active and no longer fresh.
fn stale(site: &Site) -> Browser {
    let alice = site.signed_in("alice");
    be_active(site, &alice, 11);
    alice
}

#[test]
fn active_user_confirms_and_reaches_the_page() {
    let site = site();
    let alice = stale(&site);
    assert_eq!(alice.get("/settings").redirect(), (303, "/confirm?next=/settings"));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(alice.get("/confirm").status, 200);
    assert_eq!(confirm_as(&alice, "alice").redirect(), (303, "/settings"));
    assert_eq!(alice.user_at("/settings").as_deref(), Some("alice"));
}

#[test]
fn session_is_fresh_until_exactly_the_limit() {
    for path in ["/settings", "/extracted"] {
        let site = site();
        let alice = site.signed_in("alice");
        be_active(&site, &alice, 9);
        site.advance(minutes(1) - MILLISECOND);
        assert_eq!(alice.get(path).status, 200, "{path}");
        site.advance(MILLISECOND);
        assert_eq!(alice.get(path).status, 303, "{path}");
    }
}

#[test]
fn api_client_receives_an_authentication_challenge() {
    let site = site();
    let alice = stale(&site);
    let response = alice.fetch("/settings");
    assert_eq!(response.status, 401);
    let scheme = "Bearer error=\"insufficient_user_authentication\", max_age=\"600\"";
    assert_eq!(response.header("www-authenticate"), scheme);
    assert_eq!(response.header("x-session-expired"), "");
    let problem = response.json();
    assert_eq!(problem["type"], "urn:session-expire:confirm");
    assert_eq!((&problem["max_age"], &problem["reason"]), (&600.into(), &().into()));
    assert_eq!(problem["confirm_url"], "/confirm?next=/");
}

#[test]
fn expired_session_is_challenged_and_not_confirmed() {
    let site = site();
    let alice = stale(&site);
    site.advance(minutes(10));
    assert_eq!(alice.fetch("/settings").header("x-session-expired"), "idle");
    let bob = site.signed_in("bob");
    site.advance(minutes(2));
    // The handler's own idle timeout has passed, too.
    assert_eq!(bob.get("/short").redirect(), (303, "/login?next=/short"));
}

#[test]
fn post_that_is_not_fresh_returns_to_its_page() {
    let site = site();
    let alice = stale(&site);
    assert_eq!(alice.post("/settings", "x=1").redirect(), (303, "/confirm?next=/form"));
    let bare = alice.request("POST", "/settings").form("x=1").send();
    assert_eq!(bare.redirect(), (303, "/confirm?next=/"));
    assert_eq!(alice.get("/elsewhere").redirect(), (303, "/sudo?x=1&next=/elsewhere"));
}

#[test]
fn refused_request_counts_as_activity_of_the_user() {
    let site = site();
    let alice = stale(&site);
    site.advance(minutes(9));
    assert_eq!(alice.get("/settings").status, 303);
    site.advance(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn old_key_is_refused_as_renewed_and_touches_no_cookie() {
    let site = site();
    let alice = stale(&site);
    let old = alice.copy();
    confirm_as(&alice, "alice");
    for path in ["/private", "/public", "/messages", "/confirm"] {
        let navigation = old.get(path);
        assert!(navigation.cookies().is_empty(), "{path}: {navigation:?}");
        let response = old.fetch(path);
        assert!(response.cookies().is_empty(), "{path}: {response:?}");
    }
    assert_eq!(old.fetch("/private").header("x-session-expired"), "renewed");
    let status = old.fetch("/session/status");
    assert!(status.cookies().is_empty());
    assert_eq!(status.json()["reason"], "renewed");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn confirmation_restarts_both_timeouts_and_keeps_the_session() {
    let site = site();
    let alice = site.signed_in("alice");
    alice.get("/visits");
    for _ in 0..10 {
        be_active(&site, &alice, 60);
        assert_eq!(confirm_as(&alice, "alice").status, 303);
    }
    site.advance(minutes(9));
    assert_eq!(alice.get("/visits").body, "2", "the data is that of the login");
    site.advance(minutes(10));
    assert_eq!(alice.fetch("/private").header("x-session-expired"), "idle");
    let ends = site.take_events().into_iter().filter(|event| event.contains("ended")).count();
    assert_eq!(ends, 1, "one session in all");
}

#[test]
fn other_user_cannot_confirm() {
    let site = site();
    let alice = stale(&site);
    let response = alice.request("POST", "/confirm").script().form("as bob").send();
    assert_eq!(response.status, 403);
    assert_eq!(response.json()["type"], "urn:session-expire:confirmation-refused");
    assert!(response.cookies().is_empty());
    assert_eq!(alice.get("/settings").status, 303);
    assert_eq!(site.browser().post("/confirm", "alice").redirect().0, 303);
}

#[test]
fn fifth_failure_in_a_row_ends_the_session() {
    let site = site();
    let alice = stale(&site);
    for left in ["4", "3", "2", "1"] {
        let response = confirm_as(&alice, "wrong");
        assert_eq!((response.status, response.body.as_str()), (401, left));
    }
    assert_eq!(confirm_as(&alice, "alice").status, 303);
    be_active(&site, &alice, 11);
    let copy = alice.copy();
    for _ in 1..5 {
        assert_eq!(confirm_as(&alice, "wrong").status, 401);
    }
    assert_eq!(confirm_as(&alice, "wrong").redirect(), (303, "/login?next=/form"));
    let problem = copy.fetch("/private").json();
    assert_eq!(problem["reason"], "revoked");
    assert_eq!(problem["cause"], "too_many_attempts");
    let body = alice.get("/login").body;
    assert!(body.contains("revoked"), "the login page shows the reason: {body}");
}

#[test]
fn sixth_simultaneous_attempt_ends_the_session_unchecked() {
    let site = site();
    let alice = stale(&site);
    let guess = |password: &'static str| {
        let tab = alice.copy();
        std::thread::spawn(move || tab.post("/confirm-begun", password))
    };
    let begun: Vec<_> = ["1", "2", "alice", "4", "5"].map(guess).into_iter().collect();
    site.wait_for_arrivals(5);
    // These do not reach the barrier in front of the check.
    for password in ["6", "alice"] {
        assert_eq!(guess(password).join().unwrap().redirect().0, 303);
    }
    site.open_barrier();
    for response in begun.into_iter().map(|guess| guess.join().unwrap()) {
        assert_eq!(response.redirect(), (303, "/login?next=/form"), "{response:?}");
        assert!(!response.has_cookie("id"));
    }
    assert_eq!(alice.fetch("/private").json()["cause"], "too_many_attempts");
}

#[test]
fn begun_attempts_count_once() {
    let site = site();
    let alice = stale(&site);
    site.open_barrier();
    for _ in 1..5 {
        assert_eq!(alice.post("/confirm-begun", "wrong").status, 200);
    }
    assert_eq!(alice.post("/confirm-begun", "alice").cookies().len(), 1);
    for _ in 1..5 {
        assert_eq!(alice.post("/confirm-begun", "wrong").status, 200);
    }
    assert_eq!(alice.post("/confirm-begun", "wrong").redirect().0, 303);
    assert_eq!(alice.fetch("/private").json()["cause"], "too_many_attempts");
}

#[test]
fn slower_of_two_confirmations_sets_no_cookie() {
    let site = site();
    let alice = stale(&site);
    let tab = alice.copy();
    let slower = std::thread::spawn(move || tab.post("/confirm-slowly", ""));
    site.wait_for_arrivals(1);
    assert_eq!(confirm_as(&alice, "alice").cookies().len(), 1);
    site.open_barrier();
    let response = slower.join().unwrap();
    assert_eq!((response.status, response.cookies().len()), (200, 0));
    assert_eq!(alice.user_at("/settings").as_deref(), Some("alice"));
}

#[test]
fn data_of_a_parallel_request_is_kept() {
    let site = site();
    let alice = stale(&site);
    let tab = alice.copy();
    let slower = std::thread::spawn(move || tab.post("/insert-slowly", ""));
    site.wait_for_arrivals(1);
    confirm_as(&alice, "alice");
    site.open_barrier();
    assert_eq!(slower.join().unwrap().status, 200);
    assert_eq!(alice.get("/late").body, "kept");
}

#[test]
fn sign_out_with_the_old_key_ends_the_session() {
    let site = site();
    let alice = stale(&site);
    let old = alice.copy();
    confirm_as(&alice, "alice");
    assert_eq!(old.post("/sign-out", "").status, 303);
    assert_eq!(alice.fetch("/private").header("x-session-expired"), "logged_out");
}

#[test]
fn strictest_layer_applies() {
    let site = site();
    let alice = site.signed_in("alice");
    be_active(&site, &alice, 1);
    assert_eq!(alice.get("/strict/lax").status, 200);
    be_active(&site, &alice, 1);
    for path in ["/strict/lax", "/strict/never"] {
        assert_eq!(alice.get(path).status, 303, "{path}");
    }
    assert_eq!(alice.get("/settings").status, 200);
}

#[test]
fn user_policy_can_only_shorten_the_time() {
    let user_policy = |user: String| async move {
        let minutes = if user == "alice" { 1 } else { 60 };
        PolicyPatch::new().fresh(seconds(60 * minutes))
    };
    let site = Site::builder()
        .routes(routes)
        .customise(move |builder| builder.user_policy(user_policy))
        .start();
    for (user, minutes, status) in [("alice", 1, 303), ("bob", 9, 200), ("bob", 10, 303)] {
        let browser = site.signed_in(user);
        for _ in 0..minutes {
            site.advance(seconds(60));
            browser.get("/confirm");
        }
        assert_eq!(browser.get("/settings").status, status, "{user} {minutes}");
    }
}

#[test]
fn login_page_confirm_page_and_endpoints_are_never_refused() {
    let policy = Policy::new().idle(minutes(10)).fresh(minutes(1));
    let site = Site::builder().policy(policy).routes(routes).start();
    let alice = site.signed_in("alice");
    site.advance(minutes(2));
    for path in ["/login", "/confirm", "/session/status"] {
        assert_eq!(alice.get(path).status, 200, "{path}");
    }
    assert_eq!(alice.get("/public").redirect(), (303, "/confirm?next=/public"));
    assert_eq!(site.browser().get("/public").status, 200, "a visitor has nothing to confirm");
    assert_eq!(alice.post("/session/logout", "").status, 303);
    assert_eq!(alice.get("/public").body, "anonymous");
}

#[test]
fn sign_out_of_the_application_is_never_refused() {
    let fresh_user = |_| async { PolicyPatch::new().fresh(minutes(1)) };
    for is_of_user in [false, true] {
        let policy = Policy::new().idle(minutes(10));
        let site = Site::builder().routes(routes);
        let site = match is_of_user {
            true => site.policy(policy).customise(move |builder| builder.user_policy(fresh_user)),
            false => site.policy(policy.fresh(minutes(1))),
        };
        let site = site.start();
        let alice = site.signed_in("alice");
        site.advance(minutes(2));
        assert_eq!(alice.get("/logout").redirect(), (303, "/confirm?next=/logout"));
        assert_eq!(alice.post("/logout", "").redirect(), (303, "/login"));
        assert_eq!(alice.get("/public").body, "anonymous", "{is_of_user}");
    }
}

#[test]
fn confirmation_in_an_outage_is_503_and_changes_nothing() {
    for (operation, password) in [("rotate", "alice"), ("count_confirmation_attempt", "wrong")] {
        let site = site();
        let alice = stale(&site);
        site.registry.fail_next(operation);
        let response = confirm_as(&alice, password);
        assert_eq!((response.status, response.cookies().len()), (503, 0), "{operation}");
        assert_eq!(alice.get("/settings").status, 303, "{operation}");
    }
}

#[test]
fn page_variable_counts_down_to_the_confirmation() {
    let site = site();
    let alice = site.signed_in("alice");
    be_active(&site, &alice, 9);
    site.advance(seconds(30));
    assert_eq!(alice.get("/fresh-vars").body, "30");
    assert_eq!(site.browser().get("/fresh-vars").body, "null");
}
