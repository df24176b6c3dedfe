//! Page tokens, with which a page names its session and policy to the endpoints.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::{HttpResponse, web};
use session_expire::{
    Policy, PolicyPatch, SessionHandle, SessionVars, error::RegistryError, hours, minutes,
    session_policy,
};
use session_expire_tests::{Browser, Site, SiteBuilder, TestRegistry, TestResponse};

/// Returns the query that the page at `path` gives to its script.
fn token(browser: &Browser, path: &str) -> String {
    let script = browser.get(path).json()["script"].as_str().unwrap_or_default().to_owned();
    let query = script.split("status?").nth(1).unwrap_or_default();
    query.split('"').next().unwrap_or_default().replace("&amp;", "&")
}

fn keep_alive(browser: &Browser, token: &str) -> TestResponse {
    let form = format!("idle_for=0&{token}");
    browser.request("POST", "/session/keep-alive").script().form(&form).send()
}

fn status(browser: &Browser, token: &str) -> serde_json::Value {
    browser.fetch(&format!("/session/status?{token}")).json()
}

fn with_idle(idle: std::time::Duration, registry: &TestRegistry) -> SiteBuilder {
    Site::builder().policy(Policy::new().idle(idle).absolute(hours(12))).registry(registry.clone())
}

#[test]
fn token_of_an_unchanged_policy_survives_a_restart() {
    let registry = TestRegistry::shared();
    let before = with_idle(minutes(5), &registry).start();
    let alice = before.signed_in("alice");
    let token = token(&alice, "/laxer/vars");
    let after = with_idle(minutes(5), &registry).start();
    let alice = alice.moved_to(&after);
    assert_eq!(status(&alice, &token)["seconds_until_idle_end"], 3_600);
    assert!(status(&alice, &token)["policy"].is_null());
}

#[test]
fn token_from_before_a_change_of_policy_is_stale() {
    let registry = TestRegistry::shared();
    let before = with_idle(hours(8), &registry).start();
    let alice = before.signed_in("alice");
    let tokens = ["/vars", "/laxer/vars"].map(|path| token(&alice, path));
    let after = with_idle(minutes(5), &registry).start();
    let alice = alice.moved_to(&after);
    for token in &tokens {
        let status = status(&alice, token);
        assert_eq!(status["policy"], "stale", "{status}");
        assert_eq!(status["seconds_until_idle_end"], 300, "the policy of the application");
    }
}

#[test]
fn stale_token_keeps_no_session_alive_and_ends_none() {
    for path in ["/vars", "/laxer/vars"] {
        let registry = TestRegistry::shared();
        let before = with_idle(hours(8), &registry).start();
        let alice = before.signed_in("alice");
        let token = token(&alice, path);
        let after = with_idle(minutes(5), &registry).start();
        let alice = alice.moved_to(&after);
        after.advance(minutes(4));
        assert_eq!(keep_alive(&alice, &token).json()["policy"], "stale");
        after.advance(minutes(1));
        keep_alive(&alice, &token);
        assert_eq!(status(&alice, &token)["state"], "expired");
        assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"), "the session is not ended");
        after.advance(minutes(5));
        keep_alive(&alice, &token);
        assert_eq!(alice.user_at("/private"), None);
    }
}

async fn script(vars: SessionVars) -> HttpResponse {
    let script = vars.redirect_to_login_immediately.to_string();
    HttpResponse::Ok().json(serde_json::json!({ "script": script }))
}

mod old {
    use super::{HttpResponse, SessionVars, session_policy};

    #[session_policy(idle = "8h")]
    pub(super) async fn editor(vars: SessionVars) -> HttpResponse {
        super::script(vars).await
    }

    #[session_policy(idle = "1m")]
    pub(super) async fn vault(vars: SessionVars) -> HttpResponse {
        super::script(vars).await
    }
}

#[session_policy(idle = "3m")]
async fn editor(vars: SessionVars) -> HttpResponse {
    script(vars).await
}

fn restarted(
    before: fn(&mut web::ServiceConfig),
    after: fn(&mut web::ServiceConfig),
    path: &str,
) -> (Site, Browser, String) {
    let registry = TestRegistry::shared();
    let before = with_idle(minutes(5), &registry).routes(before).start();
    let alice = before.signed_in("alice");
    let token = token(&alice, path);
    let after = with_idle(minutes(5), &registry).routes(after).start();
    let alice = alice.moved_to(&after);
    (after, alice, token)
}

fn old_editor(cfg: &mut web::ServiceConfig) {
    cfg.route("/editor", web::get().to(old::editor)).route("/vault", web::get().to(old::vault));
}

fn new_editor(cfg: &mut web::ServiceConfig) {
    cfg.route("/editor", web::get().to(editor));
}

#[test]
fn token_from_before_a_change_of_its_handler_is_stale() {
    let (after, alice, old) = restarted(old_editor, new_editor, "/editor");
    for is_visited in [false, true] {
        assert_eq!(status(&alice, &old)["policy"], "stale", "visited: {is_visited}");
        alice.get("/editor");
    }
    after.advance(minutes(5));
    let response = keep_alive(&alice, &old);
    assert_eq!((response.status, &response.json()["policy"]), (401, &"stale".into()));
}

#[test]
fn token_of_a_laxer_handler_is_valid_after_a_visit() {
    let (after, alice, token) = restarted(old_editor, old_editor, "/editor");
    assert_eq!(status(&alice, &token)["policy"], "stale");
    after.signed_in("bob").get("/editor");
    assert_eq!(status(&alice, &token)["seconds_until_idle_end"], 8 * 3_600);
    after.advance(hours(7));
    assert_eq!(keep_alive(&alice, &token).status, 200);
}

#[test]
fn token_of_a_stricter_handler_is_valid_at_once() {
    let (after, alice, token) = restarted(old_editor, old_editor, "/vault");
    assert_eq!(status(&alice, &token)["seconds_until_idle_end"], 60);
    after.advance(std::time::Duration::from_secs(59));
    assert_eq!(keep_alive(&alice, &token).status, 200);
    after.advance(std::time::Duration::from_secs(59));
    assert_eq!(status(&alice, &token)["state"], "active");
}

static IS_STRICT: AtomicBool = AtomicBool::new(false);

async fn refresh(session: SessionHandle) -> Result<HttpResponse, RegistryError> {
    session.refresh_policy().await?;
    Ok(HttpResponse::Ok().finish())
}

#[test]
fn refreshed_policy_makes_older_tokens_stale() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/refresh", web::post().to(refresh));
        })
        .customise(|builder| {
            builder.user_policy(|_| async {
                let idle = if IS_STRICT.load(Ordering::SeqCst) { minutes(2) } else { hours(8) };
                PolicyPatch::new().idle(idle)
            })
        })
        .start();
    let alice = site.signed_in("alice");
    let old = token(&alice, "/vars");
    assert_eq!(status(&alice, &old)["seconds_until_idle_end"], 8 * 3_600);
    IS_STRICT.store(true, Ordering::SeqCst);
    assert_eq!(alice.post("/refresh", "").status, 200);
    let stale = status(&alice, &old);
    assert_eq!(
        (&stale["policy"], &stale["seconds_until_idle_end"]),
        (&"stale".into(), &120.into())
    );
    site.advance(minutes(1));
    keep_alive(&alice, &old);
    site.advance(minutes(1));
    assert_eq!(status(&alice, &old)["state"], "expired");
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn token_of_another_session_is_stale() {
    let site = Site::start();
    let (alice, other) = (site.signed_in("alice"), site.signed_in("alice"));
    let token = token(&alice, "/laxer/vars");
    assert_eq!(status(&other, &token)["policy"], "stale");
    site.advance(minutes(10));
    assert_eq!(status(&other, &token)["state"], "expired");
    assert_eq!(status(&alice, &token)["state"], "active");
}

#[test]
fn token_names_the_policy_of_its_page() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let token = token(&alice, "/laxer/vars");
    site.advance(minutes(30));
    assert_eq!(status(&alice, &token)["seconds_until_idle_end"], 1_800);
    let response = keep_alive(&alice, &token);
    assert_eq!(
        (response.status, response.json()["seconds_until_idle_end"].as_u64()),
        (200, Some(3_600))
    );
    site.advance(hours(1));
    assert_eq!(status(&alice, &token)["state"], "expired");
}

#[test]
fn forged_token_keeps_no_session_alive() {
    for forged in [
        "policy=-.-.-",
        "policy=-.-.-.00",
        "policy=86400000.86400000.1000.ff",
        "idle=never",
        "policy=%FF",
    ] {
        let site = Site::start();
        let alice = site.signed_in("alice");
        site.advance(minutes(30));
        assert_eq!(keep_alive(&alice, forged).status, 401, "{forged}");
        assert_eq!(alice.user_at("/private"), None, "{forged}");
    }
}

#[test]
fn token_of_another_user_keeps_no_session_alive() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    let token = token(&browser, "/vars");
    assert_eq!(status(&browser, &token)["state"], "active");
    browser.sign_in("bob");
    assert_eq!(status(&browser, &token), serde_json::json!({"state": "replaced"}));
    site.advance(minutes(9));
    let response = keep_alive(&browser, &token);
    assert_eq!((response.status, &response.json()["state"]), (409, &"replaced".into()));
    assert_eq!(status(&browser, "")["seconds_until_idle_end"], 60, "no activity of bob");
}

#[test]
fn token_from_before_a_renewal_stays_valid() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    let before = token(&browser, "/vars");
    site.advance(minutes(1));
    browser.sign_in("alice");
    assert_eq!(status(&browser, &before)["state"], "active");
    assert_eq!(keep_alive(&browser, &before).status, 200);
}

#[test]
fn invalid_session_id_is_replaced() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for invalid in ["", "x", "%00", &"A".repeat(5_000)] {
        let token = format!("login={invalid}");
        assert_eq!(status(&alice, &token)["state"], "replaced", "{invalid}");
        assert_eq!(status(&site.browser(), &token)["state"], "anonymous");
    }
}
