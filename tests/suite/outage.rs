//! Outages of the registry.

use std::thread;

use actix_session::Session;
use actix_web::{HttpResponse, web};
use session_expire::{SessionHandle, error::RegistryError, hours, minutes};
use session_expire_tests::{Site, TestResponse};

fn assert_unavailable(response: &TestResponse) {
    assert_eq!((response.status, response.header("retry-after")), (503, "5"), "{response:?}");
    assert!(response.cookies().is_empty(), "{response:?}");
    assert!(!format!("{response:?}").contains("secret cause"), "{response:?}");
}

#[test]
fn outage_is_503_and_keeps_the_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    for path in ["/private", "/laxer", "/stricter", "/poll"] {
        assert_unavailable(&alice.get(path));
        assert_unavailable(&alice.fetch(path));
    }
    site.registry.set_down(false);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn public_page_is_served_in_an_outage() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    alice.get("/visits");
    site.registry.set_down(true);
    for path in ["/public", "/messages", "/vars", "/visits"] {
        let response = alice.get(path);
        assert_eq!((response.status, response.cookies().len()), (200, 0), "{path}");
    }
    assert_eq!(alice.get("/public").body, "anonymous");
    site.registry.set_down(false);
    assert_eq!(alice.get("/visits").body, "2", "the visit in the outage is not stored");
}

#[test]
fn public_page_that_removes_an_entry_is_served() {
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
fn login_in_an_outage_is_no_login() {
    let site = Site::start();
    let browser = site.browser();
    site.registry.set_down(true);
    assert_unavailable(&browser.post("/login", "user=alice"));
    site.registry.set_down(false);
    assert_eq!(browser.user_at("/private"), None);
}

#[test]
fn write_that_cannot_be_stored_is_503() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    thread::scope(|scope| {
        let slow = scope.spawn(|| alice.get("/slow"));
        site.wait_for_arrivals(1);
        site.registry.set_down(true);
        site.open_barrier();
        assert_eq!(slow.join().unwrap().status, 503);
    });
    site.registry.set_down(false);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn expiry_that_cannot_be_recorded_is_503() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(hours(1));
    site.registry.fail_next("end");
    assert_unavailable(&alice.fetch("/private"));
}

async fn refresh(session: SessionHandle) -> Result<HttpResponse, RegistryError> {
    session.refresh_policy().await?;
    Ok(HttpResponse::Ok().finish())
}

#[test]
fn refresh_of_the_policy_in_an_outage_is_503() {
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
fn session_expired_in_an_outage_keeps_its_reason() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    site.advance(minutes(10));
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
    site.advance(hours(1));
    assert_eq!(alice.fetch("/session/status").json()["state"], "expired");
}
