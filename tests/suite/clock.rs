//! A clock that is set wrong gives nobody more time, and throws nobody out by stepping back.

use session_expire::{Timestamp, hours, minutes, seconds};
use session_expire_tests::{Probe, Site};

#[test]
fn a_step_back_by_an_hour_signs_nobody_out() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.clock.step_back(hours(1));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    site.pass(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn an_unattended_session_gains_nothing_from_a_step_back() {
    let site = Site::start();
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    site.clock.step_back(hours(1));
    assert_eq!(bob.user_at("/private").as_deref(), Some("bob"));
    site.pass(minutes(10));
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn a_step_forward_ends_what_it_skips_and_nothing_comes_back_with_it() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(hours(1));
    assert_eq!(alice.user_at("/private"), None);
    site.clock.step_back(hours(1));
    assert_eq!(alice.user_at("/private"), None);
    alice.sign_in("alice");
    site.pass(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

/// Records that a machine with a clock ahead of ours has left behind.
fn site_after_a_restart_an_hour_earlier(registry: &Probe) -> Site {
    let noon = Timestamp::from_millis(1_767_268_800_000);
    Site::builder().registry(registry.clone()).clock_at(noon.minus(hours(1))).start()
}

#[test]
fn a_login_from_the_future_lasts_no_longer_than_one_limit() {
    let registry = Probe::default();
    let before = Site::builder().registry(registry.clone()).start();
    let (busy, polled) = (before.signed_in("alice"), before.signed_in("bob"));
    let after = site_after_a_restart_an_hour_earlier(&registry);
    let (busy, polled) = (busy.moved_to(&after), polled.moved_to(&after));
    assert_eq!(busy.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(polled.user_at("/poll").as_deref(), Some("bob"));
    after.pass(minutes(10));
    assert_eq!(busy.user_at("/private"), None);
    assert_eq!(polled.user_at("/private"), None);
}

#[test]
fn the_absolute_clock_of_a_login_from_the_future_starts_at_once() {
    let registry = Probe::default();
    let before = Site::builder().registry(registry.clone()).start();
    let alice = before.signed_in("alice");
    let after = site_after_a_restart_an_hour_earlier(&registry);
    let alice = alice.moved_to(&after);
    for _ in 0..96 {
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
        after.pass(minutes(5));
    }
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn nobody_has_to_come_by_for_a_login_from_the_future_to_end() {
    let registry = Probe::default();
    let before = Site::builder().registry(registry.clone()).start();
    let (idle, absolute) = (before.signed_in("alice"), before.signed_in("bob"));
    let after = site_after_a_restart_an_hour_earlier(&registry);
    let (idle, absolute) = (idle.moved_to(&after), absolute.moved_to(&after));
    after.pass(minutes(9));
    assert_eq!(absolute.user_at("/looser").as_deref(), Some("bob"));
    after.pass(minutes(1));
    assert_eq!(idle.user_at("/private"), None);
}

/// The clock is right again before the restart, but what was recorded meanwhile is a day ahead.
#[test]
fn what_was_recorded_while_the_clock_was_ahead_ends_after_a_restart() {
    let registry = Probe::default();
    let before = Site::builder().registry(registry.clone()).start();
    before.clock.advance(hours(24));
    let dave = before.signed_in("dave");
    before.clock.step_back(hours(24));
    let after = Site::builder().registry(registry).start();
    after.pass(minutes(10));
    assert_eq!(dave.moved_to(&after).user_at("/private"), None);
}

#[test]
fn times_at_the_ends_of_the_calendar_are_handled() {
    for start in [i64::MIN, -1, 0, i64::MAX - 1] {
        let site = Site::builder().clock_at(Timestamp::from_millis(start)).start();
        let alice = site.signed_in("alice");
        assert!(alice.user_at("/vars").is_some(), "{start}");
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{start}");
    }
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(seconds(u64::MAX));
    assert!(matches!(alice.get("/private").status, 303));
}

/// Two processes. The machine of one jumps ahead, and its time server puts it right.
#[test]
fn a_clock_that_was_wrong_for_a_moment_ends_nothing_afterwards() {
    let registry = Probe::shared();
    let wrong = Site::builder().registry(registry.clone()).start();
    let right = Site::builder().registry(registry).start();
    wrong.clock.advance(hours(24));
    let _ = wrong.signed_in("carol"); // somebody happens to come by
    wrong.clock.step_back(hours(24));
    for _ in 0..3 {
        wrong.pass(hours(1));
        right.pass(hours(1));
        let alice = right.signed_in("alice");
        assert_eq!(alice.moved_to(&wrong).user_at("/private").as_deref(), Some("alice"));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    }
}

/// The page of carol was shown at a moment that has not come yet.
#[test]
fn what_a_wrong_clock_has_recorded_ends_all_the_same() {
    let registry = Probe::shared();
    let wrong = Site::builder().registry(registry).start();
    wrong.clock.advance(hours(24));
    let carol = wrong.signed_in("carol");
    wrong.clock.step_back(hours(24));
    assert_eq!(carol.user_at("/private").as_deref(), Some("carol"));
    wrong.pass(minutes(10));
    assert_eq!(carol.user_at("/private"), None);
}

#[test]
fn polled_session_from_the_future_lasts_one_idle_timeout() {
    let registry = Probe::shared();
    let before = Site::builder().registry(registry.clone()).start();
    let polled = before.signed_in("alice");
    let after = site_after_a_restart_an_hour_earlier(&registry);
    let polled = polled.moved_to(&after);
    for _ in 0..5 {
        assert_eq!(polled.user_at("/poll").as_deref(), Some("alice"));
        after.pass(minutes(2));
    }
    assert_eq!(polled.user_at("/poll"), None);
}
