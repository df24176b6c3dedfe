//! Diagnostics of a wrong configuration. The library writes them to the log only.

use std::process::Command;

use actix_session::{Session, SessionMiddleware, storage::CookieSessionStore};
use actix_web::{App, HttpResponse, cookie::Key, web};
use session_expire::{
    Policy, PolicyPatch, SessionExpire, SessionVars, clock::ManualClock, minutes,
};
use session_expire_tests::{Browser, Site, pages, serve};

const CHILD: &str = "SESSION_EXPIRE_TEST_CHILD";

fn expire() -> SessionExpire {
    let builder = SessionExpire::builder(Policy::new().idle(minutes(10))).plain_http(true);
    builder.clock(ManualClock::default()).build().unwrap()
}

fn session_layer() -> SessionMiddleware<CookieSessionStore> {
    let builder = SessionMiddleware::builder(CookieSessionStore::default(), Key::from(&[7; 64]));
    builder.cookie_secure(false).cookie_name("old".to_owned()).build()
}

async fn user_without_string(session: Session) -> HttpResponse {
    session.insert("actix_identity.user_id", true).unwrap();
    HttpResponse::Ok().finish()
}

fn visit(browser: &Browser) {
    browser.post("/login", "user=alice");
    browser.post("/invalid", "");
    for path in ["/private", "/vars", "/visits", "/open"] {
        browser.get(path);
    }
    browser.set_cookie("id", &"a".repeat(30));
    browser.get("/private");
}

fn routes(cfg: &mut web::ServiceConfig) {
    let closed = web::scope("/open").wrap(PolicyPatch::new().require_login(true));
    let open = web::resource("").wrap(PolicyPatch::new().require_login(false));
    cfg.service(closed.service(open.to(HttpResponse::Ok)))
        .route("/invalid", web::post().to(user_without_string))
        .route("/vars", web::get().to(|_: SessionVars| async { "page" }))
        .configure(pages);
}

/// Uses every configuration that the library warns of.
fn misconfigure() {
    let app = || App::new().configure(routes);
    for server in [
        serve!(app()),
        serve!(app().wrap(session_layer())),
        serve!(app().wrap(expire())),
        serve!(app().wrap(expire()).wrap(expire())),
        serve!(app().wrap(session_layer()).wrap(expire())),
        serve!(app().wrap(expire()).wrap(session_layer())),
    ] {
        let browser = server.browser();
        visit(&browser);
        visit(&browser);
    }
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    visit(&alice);
}

#[test]
fn misconfiguration_writes_nothing_to_standard_error() {
    if std::env::var_os(CHILD).is_some() {
        return misconfigure();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let name = "diagnostics::misconfiguration_writes_nothing_to_standard_error";
    // A backtrace contains file names with `session`.
    child.env(CHILD, "1").env("RUST_BACKTRACE", "0");
    let output = child.args(["--exact", name, "--nocapture"]).output().unwrap();
    let lines = String::from_utf8_lossy(&output.stderr);
    // actix-server reports a service that cannot be built, and actix-identity panics.
    let ours: Vec<_> = lines.lines().filter(|line| line.contains("session")).collect();
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{lines}");
    assert!(ours.is_empty(), "{lines}");
}
