//! A session that has ended stays ended, whatever cookie comes back.

use std::thread;

use session_expire::{hours, minutes};
use session_expire_tests::{Probe, Site};

#[test]
fn login_over_an_expired_session_works_at_once() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(hours(1));
    alice.sign_in("alice");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(alice.messages(), "", "a user who signs in is not told about the old session");
    assert_eq!(site.events(), ["alice signed in", "alice ended: idle", "alice signed in"]);
}

#[test]
fn login_of_another_user_over_an_expired_session_works() {
    let site = Site::start();
    let browser = site.signed_in("alice");
    site.pass(hours(1));
    browser.sign_in("bob");
    assert_eq!(browser.user_at("/private").as_deref(), Some("bob"));
}

#[test]
fn cookie_replayed_after_the_sign_out_is_dead() {
    for way_out in ["/logout", "/sign-out", "/logout-with-message", "/session/logout"] {
        let site = Site::start();
        let alice = site.signed_in("alice");
        let thief = alice.stolen();
        let answer = alice.post(way_out, "");
        assert!(answer.cookies()[0].starts_with("id=;"), "{way_out}: {answer:?}");
        assert_eq!(thief.user_at("/private"), None, "{way_out}");
        assert_eq!(thief.user_at("/looser"), None, "{way_out}");
        let refused = "refused: logged_out";
        assert_eq!(site.events(), ["alice signed in", "alice ended: logged_out", refused, refused]);
    }
}

#[test]
fn slow_request_that_ends_after_the_sign_out_revives_nothing() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    thread::scope(|scope| {
        let slow = scope.spawn(|| alice.get("/slow"));
        site.wait_for_slow(1);
        alice.post("/logout", "");
        site.release_slow();
        let answer = slow.join().unwrap();
        assert_eq!((answer.status, answer.cookies().len()), (200, 0), "{answer:?}");
    });
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn slow_request_that_ends_after_the_expiry_revives_nothing() {
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
fn restart_without_a_durable_registry_signs_every_user_out() {
    let before = Site::start();
    let alice = before.signed_in("alice");
    let after = Site::start();
    let answer = alice.moved_to(&after).fetch("/private");
    assert_eq!((answer.status, answer.header("x-session-expired")), (401, "unknown"));
}

#[test]
fn restart_with_its_registry_signs_no_user_out() {
    let registry = Probe::default();
    let before = Site::builder().registry(registry.clone()).start();
    let alice = before.signed_in("alice");
    let after = Site::builder().registry(registry).start();
    assert_eq!(alice.moved_to(&after).user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn planted_anonymous_cookie_is_not_carried_into_a_login() {
    let site = Site::start();
    let browser = site.browser();
    browser.get("/visits");
    let planted = browser.stolen();
    browser.sign_in("alice");
    assert_eq!(planted.user_at("/private"), None);
    assert_eq!(planted.get("/visits").body, "2", "it stays that of an anonymous visitor");
    assert_eq!(browser.get("/visits").body, "2", "the login has taken its entries");
}

#[test]
fn secret_key_stands_in_the_login_cookie_only() {
    let site = Site::start();
    let alice = site.browser();
    let login = alice.post("/login", "user=alice");
    let keys = site.registry.keys();
    assert_eq!(keys.len(), 1);
    let [cookie] = login.cookies()[..] else { panic!("not one cookie: {login:?}") };
    assert!(cookie.starts_with(&format!("id={};", keys[0].expose())), "{cookie}");
    for path in ["/private", "/vars", "/session/status", "/messages"] {
        let answer = format!("{:?}", alice.get(path));
        assert!(!answer.contains(keys[0].expose()), "{path}");
    }
}
