//! When the registry is away nobody is trusted and nobody is signed out.

use actix_session::Session;
use actix_web::{HttpResponse, web};
use session_expire::{RegistryError, SessionHandle, hours, minutes};
use session_expire_tests::{Answer, Site};

fn assert_unavailable(answer: &Answer) {
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"), "{answer:?}");
    assert!(answer.cookies().is_empty(), "{answer:?}");
    assert!(!format!("{answer:?}").contains("secrecy"), "the cause leaked: {answer:?}");
}

#[test]
fn an_outage_signs_nobody_out_and_lets_nobody_in() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    for path in ["/private", "/looser", "/stricter", "/poll"] {
        assert_unavailable(&alice.get(path));
        assert_unavailable(&alice.fetch(path));
    }
    site.registry.set_down(false);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn a_person_reads_a_page_and_a_program_a_problem() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    for page in [
        alice.get("/private"),
        site.browser().post("/login", "user=bob"),
        alice.post("/session/logout", ""),
    ] {
        assert_unavailable(&page);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.body.contains("<h1>Your session could not be checked</h1>"), "{page:?}");
    }
    let logout = alice.post("/sign-out", "");
    assert_eq!((logout.status, logout.header("location")), (503, ""), "it leads nowhere");
    let logout = alice.request("POST", "/session/logout").script().header("hx-request", "true");
    let logout = logout.send();
    assert_eq!((logout.status, logout.header("hx-redirect")), (503, ""), "nor does it for htmx");
    assert_eq!(alice.fetch("/private").header("content-type"), "application/problem+json");
}

#[test]
fn what_failed_can_be_tried_again_where_it_began() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    assert!(alice.get("/private").body.contains("<a href=\"\">Try again</a>"));
    let logout = || alice.request("POST", "/session/logout");
    let from_a_page = logout().header("referer", &format!("{}/account?tab=2", alice.base()));
    assert!(from_a_page.send().body.contains("<a href=\"/account?tab=2\">Try again</a>"));
    assert!(!logout().send().body.contains("<a "), "nobody can read what lies there");
}

#[test]
fn public_pages_are_served_through_an_outage_and_leave_the_session_alone() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    alice.get("/visits");
    site.registry.set_down(true);
    for path in ["/public", "/messages", "/vars", "/visits"] {
        let answer = alice.get(path);
        assert_eq!((answer.status, answer.cookies().len()), (200, 0), "{path}");
    }
    assert_eq!(alice.get("/public").body, "anonymous");
    site.registry.set_down(false);
    assert_eq!(
        alice.get("/visits").body,
        "2",
        "what the stranger wrote is gone, what was there is not"
    );
}

#[test]
fn public_page_that_removes_an_entry_is_served_in_an_outage() {
    let site = Site::builder()
        .routes(|cfg| {
            let hint = |session: Session| async move {
                session.remove("hint");
                "news"
            };
            cfg.route("/hint", web::get().to(hint));
        })
        .start();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    assert_eq!(alice.get("/hint").status, 200);
}

#[test]
fn a_login_that_cannot_be_recorded_is_no_login() {
    let site = Site::start();
    let browser = site.browser();
    site.registry.set_down(true);
    assert_unavailable(&browser.post("/login", "user=alice"));
    site.registry.set_down(false);
    assert_eq!(browser.user_at("/private"), None);
}

#[test]
fn a_sign_out_that_cannot_be_recorded_is_not_called_done() {
    let site = Site::builder().start();
    let alice = site.signed_in("alice");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| alice.get("/slow"));
        site.wait_for_slow(1);
        site.registry.set_down(true);
        site.release_slow();
        assert_eq!(slow.join().unwrap().status, 503, "what it wrote is not stored");
    });
    assert_unavailable(&alice.post("/session/logout", ""));
    site.registry.set_down(false);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn expiry_that_cannot_be_recorded_is_503() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(hours(1));
    site.registry.fail_next("end");
    assert_unavailable(&alice.fetch("/private"));
}

async fn refresh(session: SessionHandle) -> Result<HttpResponse, RegistryError> {
    session.refresh_policy().await?;
    Ok(HttpResponse::Ok().finish())
}

#[test]
fn policy_that_cannot_be_refreshed_is_an_error() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/refresh", web::post().to(refresh));
        })
        .start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.post("/refresh", "").status, 200);
    site.registry.set_down(true);
    assert_unavailable(&alice.post("/refresh", ""));
}

#[test]
fn an_expired_session_is_told_its_reason_after_the_outage() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    site.pass(minutes(10));
    assert_unavailable(&alice.get("/private"));
    site.registry.set_down(false);
    assert_eq!(alice.fetch("/private").header("x-session-expired"), "idle");
}

#[test]
fn status_and_keep_alive_are_503_in_an_outage() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    assert_unavailable(&alice.fetch("/session/status"));
    assert_unavailable(&alice.request("POST", "/session/keep-alive").script().send());
    site.registry.set_down(false);
    site.pass(hours(1));
    assert_eq!(alice.fetch("/session/status").json()["state"], "expired");
}
