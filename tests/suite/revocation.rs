//! Revocation of the sessions of one user, or of all users.

use actix_web::{Result, web};
use session_expire::SessionHandle;
use session_expire_tests::{Browser, Site};

async fn end_all(user: String, session: SessionHandle) -> Result<String> {
    let ended = session.sessions().end_all(&user).await?;
    Ok(ended.to_string())
}

async fn end_everyone(session: SessionHandle) -> Result<String> {
    let ended = session.sessions().end_everyone().await?;
    Ok(ended.to_string())
}

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/end-all", web::post().to(end_all))
        .route("/end-everyone", web::post().to(end_everyone));
}

fn is_signed_in(browser: &Browser) -> bool {
    browser.user_at("/private").is_some()
}

#[test]
fn end_all_ends_every_session_of_one_user() {
    let site = Site::builder().routes(routes).start();
    let (here, there) = (site.signed_in("alice"), site.signed_in("alice"));
    let (admin, copy) = (site.signed_in("root"), there.copy());
    assert_eq!(admin.post("/end-all", "alice").body, "2");
    assert!(!is_signed_in(&here) && !is_signed_in(&there) && is_signed_in(&admin));
    assert_eq!(copy.fetch("/private").header("x-session-expired"), "revoked");
}

#[test]
fn end_everyone_ends_every_session() {
    let site = Site::builder().routes(routes).start();
    let users: Vec<_> =
        ["alice", "alice", "bob", "carol"].iter().map(|user| site.signed_in(user)).collect();
    site.take_events();
    assert_eq!(users[2].post("/end-everyone", "").body, "4");
    assert_eq!(site.take_events(), ["4 sessions of all users ended"]);
    assert!(users.iter().all(|user| !is_signed_in(user)));
    assert!(is_signed_in(&site.signed_in("alice")), "a later login");
}
