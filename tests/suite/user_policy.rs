//! User policies and login policies.

use actix_identity::Identity;
use actix_web::{HttpResponse, Result, web};
use session_expire::{
    Limit, Overflow, Policy, PolicyPatch, SessionHandle, SignInError, error::RegistryError, hours,
    minutes, seconds,
};
use session_expire_tests::{Browser, Site, SiteBuilder};

fn limited(max_sessions: u32, overflow: Overflow) -> SiteBuilder {
    let policy = Policy::new().idle(minutes(10)).absolute(hours(8));
    Site::builder().policy(policy.max_sessions(max_sessions).overflow(overflow))
}

fn is_signed_in(browser: &Browser) -> bool {
    browser.user_at("/private").is_some()
}

async fn whoami(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

#[test]
fn user_policy_overrides_the_application() {
    let site = limited(1, Overflow::Evict)
        .customise(|builder| {
            builder.user_policy(|user| async move {
                match user.as_str() {
                    "root" => PolicyPatch::new().max_sessions(Limit::Off).idle(hours(1)),
                    _ => PolicyPatch::new(),
                }
            })
        })
        .start();
    let (first, second) = (site.signed_in("root"), site.signed_in("root"));
    let (old, new) = (site.signed_in("alice"), site.signed_in("alice"));
    assert!(
        is_signed_in(&first) && is_signed_in(&second) && !is_signed_in(&old) && is_signed_in(&new)
    );
    site.advance(minutes(30));
    assert!(is_signed_in(&first) && !is_signed_in(&new));
    assert_eq!(first.user_at("/stricter").as_deref(), Some("root"));
}

async fn keep_me_signed_in(session: SessionHandle) -> Result<HttpResponse, SignInError> {
    session
        .sign_in_with("alice", PolicyPatch::new().absolute(hours(24 * 30)).idle(hours(24)))
        .await?;
    Ok(HttpResponse::Ok().finish())
}

fn logins(cfg: &mut web::ServiceConfig) {
    let page = |path, idle| {
        web::resource(path).wrap(PolicyPatch::new().idle(idle)).route(web::get().to(whoami))
    };
    cfg.service(page("/vault", minutes(1))).service(page("/editor", hours(1)));
    cfg.route("/keep-me-signed-in", web::post().to(keep_me_signed_in));
}

#[test]
fn login_policy_overrides_the_application() {
    let site = limited(0, Overflow::Evict).routes(logins).start();
    let (kept, plain) = (site.browser(), site.signed_in("alice"));
    assert_eq!(kept.post("/keep-me-signed-in", "").status, 200);
    site.advance(hours(23));
    assert!(is_signed_in(&kept) && !is_signed_in(&plain));
    site.advance(hours(24));
    assert!(!is_signed_in(&kept), "the idle timeout of the login");
}

#[test]
fn stricter_page_overrides_the_login_policy() {
    let site = limited(0, Overflow::Evict).routes(logins).start();
    let kept = || {
        let browser = site.browser();
        assert_eq!(browser.post("/keep-me-signed-in", "").status, 200);
        browser
    };
    let (to_editor, to_vault) = (kept(), kept());
    site.advance(hours(2));
    assert_eq!(
        to_editor.user_at("/editor").as_deref(),
        Some("alice"),
        "laxer than the application"
    );
    assert_eq!(to_vault.user_at("/vault"), None);
}

#[test]
fn refreshed_user_policy_keeps_the_login_policy() {
    let refresh = |cfg: &mut web::ServiceConfig| {
        logins(cfg);
        cfg.route("/refresh", web::post().to(refresh));
    };
    let site = limited(0, Overflow::Evict).routes(refresh).start();
    let kept = site.browser();
    assert_eq!(kept.post("/keep-me-signed-in", "").status, 200);
    assert_eq!(kept.post("/refresh", "").status, 200);
    site.advance(hours(2));
    assert!(is_signed_in(&kept));
}

async fn refresh(session: SessionHandle) -> Result<HttpResponse, RegistryError> {
    session.refresh_policy().await?;
    Ok(HttpResponse::Ok().finish())
}

async fn sign_in_with_invalid_policy(session: SessionHandle) -> Result<HttpResponse, SignInError> {
    session.sign_in_with("alice", PolicyPatch::new().idle(minutes(1)).warn(minutes(1))).await?;
    Ok(HttpResponse::Ok().finish())
}

#[test]
fn invalid_user_policy_is_500_and_no_login() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/invalid", web::post().to(sign_in_with_invalid_policy));
        })
        .customise(|builder| {
            builder.user_policy(|user| async move {
                match user.as_str() {
                    "zero" => PolicyPatch::new().idle(seconds(0)),
                    "other-host" => PolicyPatch::new().login_url("//evil.example"),
                    _ => PolicyPatch::new(),
                }
            })
        })
        .start();
    for user in ["zero", "other-host"] {
        let browser = site.browser();
        let refused = browser.post("/login", &format!("user={user}"));
        assert_eq!((refused.status, refused.header("retry-after")), (500, ""), "{user}");
        assert!(!is_signed_in(&browser), "{user}");
        assert!(site.take_events().is_empty(), "{user}: the registry has not failed");
    }
    let browser = site.browser();
    assert_eq!(browser.post("/invalid", "").status, 500);
    assert!(!is_signed_in(&browser) && is_signed_in(&site.signed_in("alice")));
    assert_eq!(site.registry.record_count(), 1);
}
