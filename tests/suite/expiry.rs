//! Sessions end on the server, at exactly their limits.

use std::time::Duration;

use session_expire::{Limit, Policy, hours, minutes};
use session_expire_tests::Site;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_session_that_rests_too_long_is_over_at_exactly_the_limit() {
    let site = Site::start();
    let (early, late) = (site.signed_in("alice"), site.signed_in("alice"));
    site.pass(minutes(10) - MS);
    assert_eq!(early.user_at("/private").as_deref(), Some("alice"));
    site.pass(MS);
    assert_eq!(late.user_at("/private"), None);
    assert_eq!(site.events()[2..], ["alice ended: idle"]);
}

#[test]
fn activity_keeps_a_session_alive_until_its_absolute_limit() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for _ in 0..95 {
        site.pass(minutes(5));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    }
    site.pass(minutes(5));
    let answer = alice.fetch("/private");
    assert_eq!((answer.status, answer.header("x-session-expired")), (401, "absolute"));
}

/// NIST SP 800-63B-4: at AAL2 a session should end after 1 hour of inactivity and 24 hours in all; at
/// AAL3 after 15 minutes and 12 hours.
#[test]
fn the_defaults_are_stricter_than_aal2_and_two_words_make_them_aal3() {
    let aal3 = Policy::new().idle(minutes(15));
    for (policy, idle, absolute) in [(Policy::new(), 60, 24), (aal3, 15, 12)] {
        let site = Site::builder().policy(policy.clone()).start();
        let (resting, busy) = (site.signed_in("alice"), site.signed_in("bob"));
        for passed in (0..absolute * 60).step_by(10) {
            assert_eq!(busy.user_at("/private").is_some(), passed < 12 * 60, "{policy:?} {passed}");
            site.pass(minutes(10));
        }
        assert_eq!(busy.user_at("/private"), None);
        assert_eq!(resting.user_at("/private"), None);
        let resting = site.signed_in("alice");
        site.pass(minutes(idle));
        assert_eq!(resting.user_at("/private"), None);
    }
}

#[test]
fn the_cookie_ends_with_the_browser_and_not_later() {
    let site = Site::start();
    let answer = site.browser().sign_in("alice");
    let [cookie] = answer.cookies()[..] else { panic!("not one cookie: {answer:?}") };
    assert!(!cookie.contains("Max-Age") && !cookie.contains("Expires"), "{cookie}");
}

#[test]
fn a_copied_cookie_does_not_outlive_the_session_on_the_server() {
    let site = Site::start();
    let thief = site.signed_in("alice").stolen();
    site.pass(minutes(10));
    assert_eq!(thief.user_at("/private"), None);
    assert_eq!(thief.stolen().user_at("/looser"), None);
}

#[test]
fn each_session_has_a_clock_of_its_own() {
    let site = Site::start();
    let first = site.signed_in("alice");
    site.pass(minutes(6));
    let second = site.signed_in("alice");
    site.pass(minutes(6));
    assert_eq!(first.user_at("/private"), None);
    assert_eq!(second.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn signing_in_again_as_the_same_user_restarts_the_absolute_clock() {
    let site = Site::builder().policy(Policy::new().idle(Limit::Off).absolute(hours(1))).start();
    let alice = site.signed_in("alice");
    site.pass(minutes(50));
    alice.post("/sign-in", "user=alice");
    site.pass(minutes(50));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(site.events(), ["alice signed in", "alice ended: logged_out", "alice signed in"]);
    site.pass(minutes(10));
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn a_poll_is_judged_but_keeps_nobody_signed_in() {
    let site = Site::start();
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    for _ in 0..9 {
        site.pass(minutes(1));
        assert_eq!(alice.user_at("/poll").as_deref(), Some("alice"));
        let marked = bob.request("GET", "/private").header("x-session-passive", "1").send();
        assert_eq!(marked.status, 200);
    }
    site.pass(minutes(1));
    assert_eq!(alice.fetch("/poll").status, 401);
    assert_eq!(bob.fetch("/private").status, 401);
}

#[test]
fn an_application_can_say_for_itself_what_is_no_activity() {
    let site = Site::builder()
        .customise(|builder| builder.passive_when(|req| req.path() == "/private"))
        .start();
    let alice = site.signed_in("alice");
    site.pass(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    site.pass(minutes(1));
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn without_limits_nobody_is_ever_signed_out() {
    let policy = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let site = Site::builder().policy(policy).start();
    let alice = site.signed_in("alice");
    site.pass(hours(24 * 365));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}
