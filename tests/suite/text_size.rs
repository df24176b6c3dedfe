//! Text size of the example site, and data that a sign-out deletes.

use example_site::Settings;
use session_expire::{minutes, sign_out::SiteData};
use session_expire_tests::Browser;

use crate::example_site::{current, message, start, start_with, usual};

const LARGE: &str = "<body class=\"large\">";

fn choose(browser: &Browser, size: &str) {
    let response = browser.post("/settings/display", &format!("text_size={size}"));
    assert_eq!(response.redirect(), (303, "/settings"));
    assert_eq!(message(&browser.get("/settings")), "Your text size was changed.");
}

#[test]
fn large_text_is_a_cookie_and_a_class_until_it_is_normal_again() {
    let alice = start(usual()).signed_in("alice");
    assert!(alice.get("/settings").body.contains("<body>"));
    let large = alice.post("/settings/display", "text_size=large");
    let [cookie] = large.cookies()[..] else { panic!("{:?}", large.cookies()) };
    assert_eq!(cookie, "text_size=large; HttpOnly; SameSite=Lax; Path=/; Max-Age=31536000");
    for path in ["/settings", "/dashboard", "/", "/login", "/nowhere"] {
        assert!(alice.get(path).body.contains(LARGE), "{path}");
    }
    choose(&alice, "normal");
    assert!(alice.get("/settings").body.contains("<body>"));
    assert!(!alice.cookie().contains("text_size"), "{}", alice.cookie());
}

#[test]
fn text_size_needs_no_recent_password() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    for _ in 0..11 {
        site.clock.advance(minutes(1));
        alice.get("/dashboard");
    }
    let response = alice.post("/settings/display", "text_size=large");
    assert_eq!(response.redirect(), (303, "/settings"));
    assert!(alice.get("/dashboard").body.contains(LARGE));
}

#[test]
fn unknown_text_size_and_strangers_change_nothing() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    for form in ["text_size=huge", "text_size=", ""] {
        let response = alice.post("/settings/display", form);
        assert_eq!((response.status, response.cookies().len()), (400, 0), "{form}");
    }
    let stranger = site.browser().post("/settings/display", "text_size=large");
    assert!(stranger.header("location").starts_with("/login"));
    assert!(!stranger.has_cookie("text_size"));
}

#[test]
fn sign_out_deletes_the_text_size() {
    let site = start(usual());
    for path in ["/logout", "/session/logout", "own"] {
        let alice = site.signed_in("alice");
        choose(&alice, "large");
        let end = format!("/devices/{}/end", current(&alice));
        let response = alice.post(if path == "own" { &end } else { path }, "");
        assert!(response.has_cookie("text_size"), "{path}");
        assert!(alice.get("/login").body.contains("<body>"), "{path}");
    }
    let without = site.signed_in("alice").post("/logout", "");
    assert!(!without.has_cookie("text_size"));
}

#[test]
fn expiry_keeps_the_text_size() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    choose(&alice, "large");
    site.clock.advance(minutes(10));
    assert_eq!(alice.get("/dashboard").status, 303);
    assert!(alice.get("/login").body.contains(LARGE));
}

#[test]
fn sign_out_clears_site_data_of_the_flag() {
    let default = start(usual()).signed_in("alice").post("/logout", "");
    assert_eq!(default.header("clear-site-data"), "");
    let clear_site_data = vec![SiteData::Storage, SiteData::Cache];
    let site = start_with(Settings { clear_site_data, ..Settings::default() });
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/dashboard").header("clear-site-data"), "");
    let response = alice.post("/logout", "");
    assert_eq!(response.header("clear-site-data"), "\"storage\", \"cache\"");
}
