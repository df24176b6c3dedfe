//! Clocks that are wrong or corrected.

use session_expire::{
    Policy, SessionExpire,
    clock::Timestamp,
    hours, minutes,
    registry::{Query, Registry},
    seconds,
};
use session_expire_tests::{Site, TestRegistry, block_on};

#[test]
fn step_back_signs_no_user_out() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.clock.step_back(hours(1));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    site.advance(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn step_back_extends_no_unused_session() {
    let site = Site::start();
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    site.clock.step_back(hours(1));
    assert_eq!(bob.user_at("/private").as_deref(), Some("bob"));
    site.advance(minutes(10));
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn step_forward_ends_sessions_for_good() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(hours(1));
    assert_eq!(alice.user_at("/private"), None);
    site.clock.step_back(hours(1));
    assert_eq!(alice.user_at("/private"), None);
    alice.sign_in("alice");
    site.advance(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

/// The records were written before the restart, by a clock that was an hour ahead.
fn restart_an_hour_earlier(registry: &TestRegistry) -> Site {
    let noon = Timestamp::from_millis(1_767_268_800_000);
    Site::builder().registry(registry.clone()).clock_at(noon.minus(hours(1))).start()
}

#[test]
fn future_login_lasts_one_idle_timeout() {
    let registry = TestRegistry::default();
    let before = Site::builder().registry(registry.clone()).start();
    let (busy, polled) = (before.signed_in("alice"), before.signed_in("bob"));
    let after = restart_an_hour_earlier(&registry);
    let (busy, polled) = (busy.moved_to(&after), polled.moved_to(&after));
    assert_eq!(busy.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(polled.user_at("/poll").as_deref(), Some("bob"));
    after.advance(minutes(10));
    assert_eq!(busy.user_at("/private"), None);
    assert_eq!(polled.user_at("/private"), None);
}

#[test]
fn future_login_lasts_one_absolute_timeout() {
    let registry = TestRegistry::default();
    let before = Site::builder().registry(registry.clone()).start();
    let alice = before.signed_in("alice");
    let after = restart_an_hour_earlier(&registry);
    let alice = alice.moved_to(&after);
    for _ in 0..96 {
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
        after.advance(minutes(5));
    }
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn future_login_expires_without_a_request() {
    let registry = TestRegistry::default();
    let before = Site::builder().registry(registry.clone()).start();
    let (idle, absolute) = (before.signed_in("alice"), before.signed_in("bob"));
    let after = restart_an_hour_earlier(&registry);
    let (idle, absolute) = (idle.moved_to(&after), absolute.moved_to(&after));
    after.advance(minutes(9));
    assert_eq!(absolute.user_at("/laxer").as_deref(), Some("bob"));
    after.advance(minutes(1));
    assert_eq!(idle.user_at("/private"), None);
}

/// The clock is corrected before the restart. The record is a day ahead.
#[test]
fn future_login_expires_after_a_restart() {
    let registry = TestRegistry::default();
    let before = Site::builder().registry(registry.clone()).start();
    before.clock.advance(hours(24));
    let dave = before.signed_in("dave");
    before.clock.step_back(hours(24));
    let after = Site::builder().registry(registry).start();
    after.advance(minutes(10));
    assert_eq!(dave.moved_to(&after).user_at("/private"), None);
}

#[test]
fn earliest_and_latest_times_are_handled() {
    for start in [i64::MIN, -1, 0, i64::MAX - 1] {
        let site = Site::builder().clock_at(Timestamp::from_millis(start)).start();
        let alice = site.signed_in("alice");
        assert!(alice.user_at("/vars").is_some(), "{start}");
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{start}");
    }
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(seconds(u64::MAX));
    assert!(matches!(alice.get("/private").status, 303));
}

/// One of two processes has a clock that is a day ahead for a moment.
#[test]
fn corrected_clock_ends_no_later_session() {
    let registry = TestRegistry::shared();
    let wrong = Site::builder().registry(registry.clone()).start();
    let right = Site::builder().registry(registry).start();
    wrong.clock.advance(hours(24));
    let _ = wrong.signed_in("carol"); // records a time in the future
    wrong.clock.step_back(hours(24));
    for _ in 0..3 {
        wrong.advance(hours(1));
        right.advance(hours(1));
        let alice = right.signed_in("alice");
        assert_eq!(alice.moved_to(&wrong).user_at("/private").as_deref(), Some("alice"));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    }
}

#[test]
fn future_login_expires_after_the_clock_is_corrected() {
    let registry = TestRegistry::shared();
    let wrong = Site::builder().registry(registry).start();
    wrong.clock.advance(hours(24));
    let carol = wrong.signed_in("carol");
    wrong.clock.step_back(hours(24));
    assert_eq!(carol.user_at("/private").as_deref(), Some("carol"));
    wrong.advance(minutes(10));
    assert_eq!(carol.user_at("/private"), None);
}

#[test]
fn polled_future_login_lasts_one_idle_timeout() {
    let registry = TestRegistry::shared();
    let before = Site::builder().registry(registry.clone()).start();
    let polled = before.signed_in("alice");
    let after = restart_an_hour_earlier(&registry);
    let polled = polled.moved_to(&after);
    for _ in 0..5 {
        assert_eq!(polled.user_at("/poll").as_deref(), Some("alice"));
        after.advance(minutes(2));
    }
    assert_eq!(polled.user_at("/poll"), None);
}

/// The clock of this process is years ahead of the server's.
#[test]
fn time_of_the_server_is_used_without_a_clock_of_the_application() {
    let registry = TestRegistry::shared();
    let noon = Timestamp::from_millis(1_767_268_800_000);
    registry.set_server_time(noon);
    let builder = SessionExpire::builder(Policy::new()).registry(registry.clone());
    let expire = builder.build().unwrap();
    block_on(expire.cookie_for("alice")).unwrap();
    let record = block_on(registry.list(Query::open("alice"))).unwrap().remove(0);
    assert_eq!(record.logged_in_at, noon);
    registry.set_server_time(noon.plus(minutes(5)));
    assert_eq!(block_on(expire.sessions().list_active("alice")).unwrap().len(), 1);
    registry.set_server_time(noon.plus(hours(24)));
    assert_eq!(block_on(expire.sessions().list_active("alice")).unwrap().len(), 0);
}
