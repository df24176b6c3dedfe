//! What becomes of a user becomes of their sessions: disabled accounts, changed rules, a break-in.

use actix_web::{HttpResponse, Result, web};
use session_expire::{PolicyPatch, SessionHandle, SignInError, minutes, seconds};
use session_expire_tests::{Browser, Site};

async fn disable(user: String, session: SessionHandle) -> Result<String> {
    let ended = session.sessions().end_all(&user).await?;
    Ok(ended.to_string())
}

async fn everybody_out(session: SessionHandle) -> Result<String> {
    let ended = session.sessions().end_everyone().await?;
    Ok(ended.to_string())
}

async fn choose_nonsense(session: SessionHandle) -> Result<HttpResponse, SignInError> {
    session.sign_in_with("alice", PolicyPatch::new().idle(minutes(1)).warn(minutes(1))).await?;
    Ok(HttpResponse::Ok().finish())
}

fn office(cfg: &mut web::ServiceConfig) {
    cfg.route("/disable", web::post().to(disable))
        .route("/everybody-out", web::post().to(everybody_out))
        .route("/choose-nonsense", web::post().to(choose_nonsense));
}

fn is_in(browser: &Browser) -> bool {
    browser.user_at("/private").is_some()
}

#[test]
fn a_disabled_account_is_out_everywhere_at_once() {
    let site = Site::builder().routes(office).start();
    let (here, there) = (site.signed_in("alice"), site.signed_in("alice"));
    let (admin, copy) = (site.signed_in("root"), there.stolen());
    assert_eq!(admin.post("/disable", "alice").body, "2");
    assert!(!is_in(&here) && !is_in(&there) && is_in(&admin));
    assert_eq!(copy.fetch("/private").header("x-session-expired"), "revoked");
}

#[test]
fn end_everyone_ends_all_sessions_of_all_users() {
    let site = Site::builder().routes(office).start();
    let users: Vec<_> =
        ["alice", "alice", "bob", "carol"].iter().map(|user| site.signed_in(user)).collect();
    site.events();
    assert_eq!(users[2].post("/everybody-out", "").body, "4");
    assert_eq!(site.events(), ["4 sessions of all users ended"]);
    assert!(users.iter().all(|user| !is_in(user)));
    assert!(is_in(&site.signed_in("alice")), "a new login is not affected");
}

#[test]
fn a_rule_for_a_user_that_contradicts_itself_signs_nobody_in() {
    let site = Site::builder()
        .routes(office)
        .customise(|builder| {
            builder.user_policy(|user| async move {
                match user.as_str() {
                    "zero" => PolicyPatch::new().idle(seconds(0)),
                    "elsewhere" => PolicyPatch::new().login_url("//evil.example"),
                    _ => PolicyPatch::new(),
                }
            })
        })
        .start();
    for user in ["zero", "elsewhere"] {
        let browser = site.browser();
        assert_eq!(browser.post("/login", &format!("user={user}")).status, 503, "{user}");
        assert!(!is_in(&browser), "{user}");
        assert_eq!(site.events(), ["registry failed"], "{user}");
    }
    let browser = site.browser();
    assert_eq!(browser.post("/choose-nonsense", "").status, 503);
    assert!(!is_in(&browser) && is_in(&site.signed_in("alice")));
    assert_eq!(site.registry.records(), 1);
}
