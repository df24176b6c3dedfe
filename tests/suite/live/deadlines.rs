//! Timeouts of streams, which are those of the handler's policy.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use session_expire::{Limit, Policy, PolicyPatch, clock::ManualClock, hours, minutes, seconds};
use session_expire_tests::{Site, TestRegistry};

use super::{builder, settle, site};

const MS: Duration = Duration::from_millis(1);

/// Advances the clock, and waits until the watch thread has noticed it.
fn advance(site: &Site, time: Duration) {
    site.advance(time);
    settle(site);
}

#[test]
fn stream_ends_at_exactly_the_idle_timeout() {
    let site = site();
    let earlier = site.signed_in("bob");
    let earlier = earlier.watch("/watch");
    site.advance(MS);
    let mut stream = site.signed_in("alice").watch("/watch");
    advance(&site, minutes(10) - MS);
    assert_eq!(earlier.reason(), "idle");
    assert!(stream.is_open());
    site.advance(MS);
    assert_eq!(stream.reason(), "idle");
}

#[test]
fn stream_ends_at_the_absolute_timeout() {
    let policy = Policy::new().idle(Limit::Off).absolute(hours(8));
    let site = builder().policy(policy).start();
    let mut stream = site.signed_in("alice").watch("/watch");
    advance(&site, hours(8) - MS);
    assert!(stream.is_open());
    site.advance(MS);
    assert_eq!(stream.reason(), "absolute");
}

#[test]
fn stream_has_the_timeouts_of_its_handler() {
    let site = site();
    let alice = site.signed_in("alice");
    let [stricter, mut own, mut laxer] =
        ["/vault", "/watch", "/editor"].map(|path| alice.watch(path));
    advance(&site, minutes(1));
    assert_eq!(stricter.reason(), "idle");
    assert!(own.is_open() && laxer.is_open());
    advance(&site, minutes(9));
    assert_eq!(own.reason(), "idle");
    assert!(laxer.is_open());
    site.advance(minutes(50));
    assert_eq!(laxer.reason(), "idle");
}

#[test]
fn stream_has_the_timeouts_of_the_user_policy() {
    let user_policy = |user: String| async move {
        PolicyPatch::new().idle(if user == "root" { hours(2) } else { minutes(10) })
    };
    let site = Site::builder()
        .routes(super::routes)
        .customise(move |builder| builder.user_policy(user_policy))
        .start();
    let mut root = site.signed_in("root").watch("/watch");
    advance(&site, hours(2) - MS);
    assert!(root.is_open());
    site.advance(MS);
    assert_eq!(root.reason(), "idle");
}

#[test]
fn stream_has_the_timeouts_of_the_login_policy() {
    let site = site();
    let alice = site.browser();
    alice.post("/keep-me-signed-in", "");
    let (mut own, vault) = (alice.watch("/watch"), alice.watch("/vault"));
    advance(&site, hours(23));
    assert_eq!(vault.reason(), "idle");
    assert!(own.is_open());
    site.advance(hours(1));
    assert_eq!(own.reason(), "idle");
}

#[test]
fn stream_without_timeouts_stays_open() {
    let policy = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let site = builder().policy(policy).start();
    let mut stream = site.signed_in("alice").watch("/watch");
    advance(&site, hours(24 * 400));
    assert!(stream.is_open());
}

#[test]
fn activity_elsewhere_extends_the_stream() {
    let site = site();
    let alice = site.signed_in("alice");
    let mut stream = alice.watch("/watch");
    for _ in 0..3 {
        advance(&site, minutes(9));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    }
    advance(&site, minutes(9));
    assert!(stream.is_open());
    site.advance(minutes(1));
    assert_eq!(stream.reason(), "idle");
}

/// Starts a process whose users have an idle timeout of 2 hours, or of 1 minute if `is_strict` is
/// set.
fn changing(is_strict: &'static AtomicBool, registry: &TestRegistry, clock: &ManualClock) -> Site {
    let user_policy = move |_: String| async move {
        let idle = if is_strict.load(Ordering::SeqCst) { minutes(1) } else { hours(2) };
        PolicyPatch::new().idle(idle)
    };
    Site::builder()
        .registry(registry.clone())
        .clock(clock)
        .routes(super::routes)
        .customise(move |builder| builder.user_policy(user_policy))
        .start()
}

#[test]
fn refreshed_policy_shortens_the_stream() {
    static IS_STRICT: AtomicBool = AtomicBool::new(false);
    let registry = TestRegistry::shared();
    let clock = ManualClock::default();
    let start = || changing(&IS_STRICT, &registry, &clock);
    let (site, other) = (start(), start());
    for refreshing in [&site, &other] {
        IS_STRICT.store(false, Ordering::SeqCst);
        let alice = site.signed_in("alice");
        let mut stream = alice.watch("/watch");
        advance(&site, seconds(30));
        assert!(stream.is_open());
        IS_STRICT.store(true, Ordering::SeqCst);
        assert_eq!(alice.moved_to(refreshing).post("/refresh", "").body, "refreshed");
        settle(&site);
        assert!(stream.is_open());
        site.advance(minutes(1));
        assert_eq!(stream.reason(), "idle");
    }
}

#[test]
fn refreshed_policy_extends_the_stream() {
    static IS_STRICT: AtomicBool = AtomicBool::new(true);
    let registry = TestRegistry::shared();
    let clock = ManualClock::default();
    let start = || changing(&IS_STRICT, &registry, &clock);
    let (site, other) = (start(), start());
    for refreshing in [&site, &other] {
        IS_STRICT.store(true, Ordering::SeqCst);
        let alice = site.signed_in("alice");
        let mut stream = alice.watch("/watch");
        IS_STRICT.store(false, Ordering::SeqCst);
        assert_eq!(alice.moved_to(refreshing).post("/refresh", "").body, "refreshed");
        advance(&site, hours(1));
        assert!(stream.is_open());
        site.advance(hours(1));
        assert_eq!(stream.reason(), "idle");
    }
}

/// After the step, the times in the record are in the future.
#[test]
fn step_back_extends_the_stream_by_one_timeout() {
    for shared in [TestRegistry::shared(), TestRegistry::default()] {
        let site = builder().registry(shared).start();
        let mut stream = site.signed_in("alice").watch("/watch");
        advance(&site, minutes(9));
        site.clock.step_back(hours(3));
        settle(&site);
        assert!(stream.is_open());
        site.advance(minutes(10));
        assert_eq!(stream.reason(), "idle");
    }
}

#[test]
fn step_forward_ends_the_stream() {
    let site = site();
    let stream = site.signed_in("alice").watch("/watch");
    site.advance(hours(24 * 365));
    assert_eq!(stream.reason(), "idle");
}
