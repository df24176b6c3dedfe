//! Late responses. None of them undoes a newer login or a sign-out.

use std::thread;

use session_expire::{hours, minutes};
use session_expire_tests::{Browser, Site, TestResponse};

/// Runs `act` while the slow request is in its handler, and returns the response.
fn run_during(
    site: &Site,
    slow: impl FnOnce() -> TestResponse + Send,
    act: impl FnOnce(),
) -> TestResponse {
    thread::scope(|scope| {
        let slow = scope.spawn(slow);
        site.wait_for_arrivals(1);
        act();
        site.open_barrier();
        slow.join().unwrap()
    })
}

fn assert_user(browser: &Browser, user: &str) {
    assert_eq!(browser.user_at("/private").as_deref(), Some(user));
}

#[test]
fn slow_request_of_expired_session_keeps_new_login() {
    for (path, headers) in [
        ("/slow-public", &[][..]),
        ("/slow-visits", &[]),
        ("/slow-public", &[("sec-fetch-mode", "cors")]),
        ("/slow-public", &[("sec-fetch-mode", "cors"), ("hx-request", "true")]),
    ] {
        for user in ["alice", "bob"] {
            let site = Site::start();
            let browser = site.signed_in("alice");
            site.advance(hours(1));
            let slow = || {
                let request = browser.request("GET", path);
                headers
                    .iter()
                    .fold(request, |request, (name, value)| request.header(name, value))
                    .send()
            };
            let late = run_during(&site, slow, || drop(browser.sign_in(user)));
            assert_eq!((late.status, late.has_cookie("id")), (200, false), "{late:?}");
            assert_user(&browser, user);
        }
    }
}

#[test]
fn late_challenge_of_expired_session_keeps_new_login() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    site.advance(minutes(10));
    let old = browser.copy();
    browser.sign_in("alice");
    for late in
        [old.get("/private"), old.fetch("/private"), old.get("/stricter"), old.fetch("/poll")]
    {
        assert!(late.status > 300 && late.cookies().is_empty(), "{late:?}");
    }
    assert_user(&browser, "alice");
}

#[test]
fn slow_write_keeps_new_login() {
    for user in ["alice", "bob"] {
        let site = Site::start();
        let browser = site.signed_in("alice");
        let sign_in = || assert_eq!(browser.post("/sign-in", &format!("user={user}")).status, 303);
        let late = run_during(&site, || browser.get("/slow"), sign_in);
        assert_eq!((late.status, late.cookies().len()), (200, 0), "{late:?}");
        assert_user(&browser, user);
        assert_eq!(site.take_events().last().unwrap(), &format!("{user} signed in"));
    }
}

#[test]
fn slow_write_reaches_renewed_session() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    let late = run_during(&site, || browser.get("/slow-visits"), || drop(browser.sign_in("alice")));
    assert_eq!((late.status, late.cookies().len()), (200, 0), "{late:?}");
    assert_user(&browser, "alice");
    assert_eq!(browser.get("/visits").body, "2", "a renewal keeps the record");
}

#[test]
fn slow_anonymous_write_keeps_new_login() {
    let site = Site::start();
    let browser = site.browser();
    let late = run_during(&site, || browser.get("/slow-visits"), || drop(browser.sign_in("alice")));
    assert_eq!((late.status, late.cookies().len()), (200, 1), "{late:?}");
    assert_user(&browser, "alice");
    assert_eq!(browser.get("/visits").body, "1", "the anonymous cookie is not read");
}

#[test]
fn slow_sign_out_of_ended_session_keeps_new_login() {
    for (pause, user) in [(0, "bob"), (0, "alice"), (60, "alice"), (60, "bob")] {
        let site = Site::start();
        let browser = site.signed_in("alice");
        site.advance(minutes(pause));
        let sign_in = || assert_eq!(browser.post("/sign-in", &format!("user={user}")).status, 303);
        let late = run_during(&site, || browser.post("/slow-logout", ""), sign_in);
        assert!(!late.has_cookie("id"), "{late:?}");
        assert_user(&browser, user);
    }
}

#[test]
fn slow_sign_out_ends_renewed_session() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    run_during(&site, || browser.post("/slow-logout", ""), || drop(browser.sign_in("alice")));
    assert_eq!(browser.user_at("/private"), None);
    assert_eq!(site.take_events()[1..], ["alice ended: logged_out"]);
}

#[test]
fn slow_request_revives_no_signed_out_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let late = run_during(&site, || alice.get("/slow"), || drop(alice.post("/logout", "")));
    assert_eq!((late.status, late.cookies().len()), (200, 0), "{late:?}");
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn slow_request_revives_no_expired_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let expire = || {
        site.advance(minutes(10));
        assert_eq!(alice.copy().user_at("/private"), None);
    };
    assert_eq!(run_during(&site, || alice.get("/slow"), expire).status, 200);
    assert_eq!(alice.user_at("/private"), None);
}
