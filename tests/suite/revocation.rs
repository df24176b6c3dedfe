//! Revocation of the sessions of one user, or of all users.

use std::thread;

use actix_web::{HttpResponse, Result, web};
use session_expire::SessionHandle;
use session_expire_tests::{Barrier, Browser, Site};

async fn end_all(user: String, session: SessionHandle) -> Result<String> {
    let ended = session.sessions().end_all(&user).await?;
    Ok(ended.to_string())
}

async fn end_everyone(session: SessionHandle) -> Result<String> {
    let ended = session.sessions().end_everyone().await?;
    Ok(ended.to_string())
}

/// Signs in, and waits at the barrier before the login is committed.
async fn slow_sign_in(session: SessionHandle, barrier: web::Data<Barrier>) -> HttpResponse {
    let signed_in = session.sign_in("alice").await;
    barrier.wait().await;
    signed_in.map_or_else(HttpResponse::from_error, |_| HttpResponse::Ok().finish())
}

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/slow-sign-in", web::post().to(slow_sign_in));
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

#[test]
fn end_everyone_voids_a_login_in_progress() {
    let site = Site::builder().routes(routes).start();
    let (alice, root) = (site.browser(), site.signed_in("root"));
    thread::scope(|scope| {
        let login = scope.spawn(|| alice.post("/slow-sign-in", ""));
        site.wait_for_arrivals(1);
        assert_eq!(root.post("/end-everyone", "").body, "1");
        site.open_barrier();
        assert_eq!(login.join().unwrap().status, 503);
    });
    assert!(!is_signed_in(&alice));
    assert!(is_signed_in(&site.signed_in("alice")), "a later login");
}
