//! What is over stays over, whatever cookie comes back.

use std::thread;

use session_expire::{hours, minutes};
use session_expire_tests::{Probe, Site};

#[test]
fn signing_in_over_an_expired_session_works_the_first_time() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(hours(1));
    alice.sign_in("alice");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(alice.messages(), "", "whoever signs in need not be told that they were signed out");
    assert_eq!(site.events(), ["alice signed in", "alice ended: idle", "alice signed in"]);
}

#[test]
fn signing_in_as_somebody_else_over_an_expired_session_works() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    site.pass(hours(1));
    browser.sign_in("bob");
    assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
}

#[test]
fn a_cookie_that_is_replayed_after_the_sign_out_is_dead() {
    for way_out in ["/logout", "/sign-out", "/logout-with-message", "/session/logout"] {
        let site = Site::start();
        let alice = site.signed_in("alice");
        let thief = alice.stolen();
        alice.post(way_out, "");
        assert_eq!(thief.user_at("/private"), None, "{way_out}");
        assert_eq!(thief.user_at("/looser"), None, "{way_out}");
        assert_eq!(
            site.events(),
            ["alice signed in", "alice ended: logged_out", "refused: logged_out"]
        );
    }
}

#[test]
fn a_slow_request_that_ends_after_the_sign_out_revives_nothing() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    thread::scope(|scope| {
        let slow = scope.spawn(|| alice.get("/slow"));
        site.wait_for_slow(1);
        alice.post("/logout", "");
        site.release_slow();
        let answer = slow.join().unwrap();
        assert_eq!(
            (answer.status, answer.cookies().len()),
            (200, 1),
            "it did write its session late"
        );
    });
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn a_slow_request_that_ends_after_the_expiry_revives_nothing() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    thread::scope(|scope| {
        let slow = scope.spawn(|| alice.get("/slow"));
        site.wait_for_slow(1);
        site.pass(minutes(10));
        assert_eq!(alice.stolen().user_at("/private"), None);
        site.release_slow();
        assert_eq!(slow.join().unwrap().status, 200);
    });
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn a_restart_without_a_durable_registry_signs_everyone_out() {
    let before = Site::start();
    let alice = before.signed_in("alice");
    let after = Site::start();
    let alice = alice.moved_to(&after);
    let answer = alice.fetch("/private");
    assert_eq!((answer.status, answer.header("x-session-expired")), (401, "unknown"));
}

#[test]
fn a_restart_with_its_registry_signs_nobody_out() {
    let registry = Probe::default();
    let before = Site::builder().registry(registry.clone()).start();
    let alice = before.signed_in("alice");
    let after = Site::builder().registry(registry).start();
    assert_eq!(alice.moved_to(&after).user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn the_session_id_changes_when_somebody_signs_in() {
    let site = Site::start();
    let browser = site.browser();
    browser.get("/visits");
    let planted = browser.stolen();
    browser.sign_in("alice");
    assert_eq!(planted.user_at("/private"), None, "a planted cookie is not carried into the login");
}

#[test]
fn a_secret_key_is_shown_nowhere() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let keys = site.registry.keys();
    assert_eq!(keys.len(), 1);
    for path in ["/private", "/vars", "/session/status", "/messages"] {
        let answer = format!("{:?}", alice.get(path));
        assert!(!answer.contains(keys[0].expose()), "{path}");
    }
}

#[test]
fn a_session_without_a_key_is_nobody_s_unless_it_is_adopted() {
    let site = Site::start();
    let old = without_key(&site);
    assert_eq!(old.fetch("/private").header("x-session-expired"), "unknown");
}

/// A browser whose session names alice and carries no key: made by hand, as an older version would.
fn without_key(site: &Site) -> session_expire_tests::Browser {
    let browser = site.browser();
    browser.set_cookie(
        "id",
        &session_expire_tests::sealed(r#"{"actix_identity.user_id":"\"alice\""}"#),
    );
    browser
}

#[test]
fn a_session_from_before_is_adopted_until_the_day_that_was_set() {
    let noon = session_expire::Timestamp::from_millis(1_767_268_800_000);
    let site =
        Site::builder().customise(move |builder| builder.adopt_until(noon.plus(hours(24)))).start();
    let (early, late) = (without_key(&site), without_key(&site));
    let answer = early.get("/private");
    assert_eq!((answer.status, answer.cookies().len()), (200, 1));
    site.pass(minutes(9));
    assert_eq!(early.user_at("/private").as_deref(), Some("alice"));
    site.pass(minutes(10));
    assert_eq!(early.user_at("/private"), None);
    site.pass(hours(24));
    assert_eq!(late.user_at("/private"), None);
}
