//! A late response undoes no newer login.

use std::thread;

use session_expire::{hours, minutes};
use session_expire_tests::{Answer, Browser, Site};

/// Sends `slow`; meanwhile does `act`; then lets the slow request go on.
fn meanwhile(site: &Site, slow: impl FnOnce() -> Answer + Send, act: impl FnOnce()) -> Answer {
    thread::scope(|scope| {
        let slow = scope.spawn(slow);
        site.wait_for_slow(1);
        act();
        site.release_slow();
        slow.join().unwrap()
    })
}

fn assert_user(browser: &Browser, user: &str) {
    assert_eq!(browser.user_at("/private").as_deref(), Some(user));
}

#[test]
fn slow_navigation_of_an_expired_session_keeps_a_new_login() {
    for path in ["/slow-public", "/slow-visits"] {
        for user in ["alice", "bob"] {
            let site = Site::start();
            let browser = site.signed_in("alice");
            site.pass(hours(1));
            let late = meanwhile(&site, || browser.get(path), || drop(browser.sign_in(user)));
            assert_eq!(late.status, 200, "{late:?}");
            assert!(!late.cookies().iter().any(|cookie| cookie.starts_with("id=")), "{late:?}");
            assert_user(&browser, user);
        }
    }
}

#[test]
fn slow_challenge_of_an_expired_session_keeps_a_new_login() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    site.pass(minutes(10));
    let old = browser.stolen();
    browser.sign_in("alice");
    for late in [old.get("/private"), old.fetch("/private"), old.get("/stricter")] {
        assert!(late.cookies().is_empty(), "{late:?}");
    }
    assert_user(&browser, "alice");
}

#[test]
fn slow_request_that_writes_leaves_a_new_login_alone() {
    for user in ["alice", "bob"] {
        let site = Site::start();
        let browser = site.signed_in("alice");
        let sign_in = || assert_eq!(browser.post("/sign-in", &format!("user={user}")).status, 303);
        let late = meanwhile(&site, || browser.get("/slow"), sign_in);
        assert_eq!((late.status, late.cookies().len()), (200, 0), "{late:?}");
        assert_user(&browser, user);
        assert_eq!(site.events().last().unwrap(), &format!("{user} signed in"));
    }
}

#[test]
fn slow_request_that_writes_reaches_a_renewed_session() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    let late = meanwhile(&site, || browser.get("/slow-visits"), || drop(browser.sign_in("alice")));
    assert_eq!((late.status, late.cookies().len()), (200, 0), "{late:?}");
    assert_user(&browser, "alice");
    assert_eq!(browser.get("/visits").body, "2", "the key was renewed, the record is the same");
}

#[test]
fn slow_anonymous_request_that_writes_keeps_a_new_login() {
    let site = Site::start();
    let browser = site.browser();
    let late = meanwhile(&site, || browser.get("/slow-visits"), || drop(browser.sign_in("alice")));
    assert_eq!((late.status, late.cookies().len()), (200, 1), "{late:?}");
    assert_user(&browser, "alice");
    assert_eq!(browser.get("/visits").body, "1", "the anonymous cookie is not read");
}

#[test]
fn slow_sign_out_of_an_ended_session_keeps_a_new_login() {
    for (pause, user) in [(0, "bob"), (0, "alice"), (60, "alice"), (60, "bob")] {
        let site = Site::start();
        let browser = site.signed_in("alice");
        site.pass(minutes(pause));
        let sign_in = || assert_eq!(browser.post("/sign-in", &format!("user={user}")).status, 303);
        let late = meanwhile(&site, || browser.post("/slow-logout", ""), sign_in);
        assert!(!late.cookies().iter().any(|cookie| cookie.starts_with("id=")), "{late:?}");
        assert_user(&browser, user);
    }
}

#[test]
fn slow_sign_out_ends_a_session_that_was_renewed_meanwhile() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    meanwhile(&site, || browser.post("/slow-logout", ""), || drop(browser.sign_in("alice")));
    assert_eq!(browser.user_at("/private"), None);
    assert_eq!(site.events()[1..], ["alice ended: logged_out"]);
}
