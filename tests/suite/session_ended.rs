//! Page of the example site for users whose session has ended.

use example_site::Settings;
use session_expire::minutes;

use crate::example_site::{Example, message, sign_in, start, start_with, usual};

fn site() -> Example {
    let expired_url = Some("/session-ended".to_owned());
    start_with(Settings { expired_url, ..Settings::default() })
}

#[test]
fn expired_user_reads_the_reason_and_returns_after_a_login() {
    let site = site();
    let alice = site.signed_in("alice");
    site.clock.advance(minutes(10));
    let location = "/session-ended?next=/devices%3Fa%3D1";
    assert_eq!(alice.get("/devices?a=1").redirect(), (303, location));
    let page = alice.get(location);
    assert_eq!(page.status, 200);
    assert!(message(&page).contains("you had not been active"), "{}", page.body);
    assert!(page.body.contains("<h1>Your session has ended</h1>"), "{}", page.body);
    let link = "href=\"/login?next=%2Fdevices%3Fa%3D1\"";
    assert!(page.body.contains(link), "{}", page.body);
    assert_eq!(message(&alice.get(location)), "", "the reason is shown once");
    let entered = sign_in(&alice, "alice", "&next=/devices%3Fa%3D1");
    assert_eq!(entered.redirect(), (303, "/devices?a=1"));
}

#[test]
fn lost_device_reads_so_on_the_page() {
    let site = site();
    let (alice, root) = (site.signed_in("alice"), site.signed_in("root"));
    let id = crate::example_site::current(&alice);
    root.post("/admin/sessions/end", &format!("user=alice&id={id}&cause=lost_device"));
    assert_eq!(alice.fetch("/api/me").json()["login_url"], "/session-ended");
    assert_eq!(alice.get("/vault").redirect(), (303, "/session-ended?next=/vault"));
    let page = alice.get("/session-ended?next=/vault");
    let text = "You were signed out because this device was reported as lost.";
    assert_eq!(message(&page), text);
}

#[test]
fn strangers_and_sign_outs_lead_to_the_login_page() {
    let site = site();
    assert_eq!(site.browser().get("/devices").redirect(), (303, "/login?next=/devices"));
    assert_eq!(site.signed_in("alice").post("/logout", "").redirect(), (303, "/login"));
}

#[test]
fn return_path_of_the_page_is_local() {
    let site = site();
    let visitor = site.browser();
    for next in ["//evil.example", "https://evil.example/", "/session-ended", "/logout", ""] {
        let page = visitor.get(&format!("/session-ended?next={next}"));
        assert!(page.body.contains("href=\"/login\">Sign in again"), "{next}: {}", page.body);
    }
    let behind = visitor.get("/session-ended?next=/confirm%3Fnext%3D/settings");
    assert!(behind.body.contains("href=\"/login?next=%2Fsettings\""), "{}", behind.body);
}

#[test]
fn signed_in_user_continues_from_the_page() {
    let page = site().signed_in("alice").get("/session-ended?next=/devices");
    assert!(page.body.contains("<h1>You are signed in</h1>"), "{}", page.body);
    assert!(page.body.contains("href=\"/devices\">Continue"), "{}", page.body);
}

#[test]
fn page_exists_with_the_flag_only() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    site.clock.advance(minutes(10));
    assert_eq!(alice.get("/devices").redirect(), (303, "/login?next=/devices"));
    assert_eq!(alice.get("/session-ended").status, 404);
}
