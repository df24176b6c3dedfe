//! Idle and absolute timeouts.

use std::time::Duration;

use session_expire::{Limit, Policy, hours, minutes};
use session_expire_tests::Site;

const MS: Duration = Duration::from_millis(1);

#[test]
fn idle_session_expires_exactly_at_the_limit() {
    let site = Site::start();
    let (early, late) = (site.signed_in("alice"), site.signed_in("alice"));
    site.advance(minutes(10) - MS);
    assert_eq!(early.user_at("/private").as_deref(), Some("alice"));
    site.advance(MS);
    assert_eq!(late.user_at("/private"), None);
    assert_eq!(site.take_events()[2..], ["alice ended: idle"]);
}

#[test]
fn active_session_ends_at_the_absolute_timeout() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for _ in 0..95 {
        site.advance(minutes(5));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    }
    site.advance(minutes(5));
    let response = alice.fetch("/private");
    assert_eq!((response.status, response.header("x-session-expired")), (401, "absolute"));
}

/// NIST SP 800-63B-4: at AAL2 a session should end after 1 hour of inactivity or after 24 hours, at
/// AAL3 after 15 minutes of inactivity or after 12 hours.
#[test]
fn default_timeouts_meet_aal2_and_shorter_idle_aal3() {
    let aal3 = Policy::new().idle(minutes(15));
    for (policy, idle, absolute) in [(Policy::new(), 60, 24), (aal3, 15, 12)] {
        let site = Site::builder().policy(policy.clone()).start();
        let (unused, busy) = (site.signed_in("alice"), site.signed_in("bob"));
        for passed in (0..absolute * 60).step_by(10) {
            assert_eq!(busy.user_at("/private").is_some(), passed < 12 * 60, "{policy:?} {passed}");
            site.advance(minutes(10));
        }
        assert_eq!(busy.user_at("/private"), None);
        assert_eq!(unused.user_at("/private"), None);
        let unused = site.signed_in("alice");
        site.advance(minutes(idle));
        assert_eq!(unused.user_at("/private"), None);
    }
}

#[test]
fn timeouts_are_per_session() {
    let site = Site::start();
    let first = site.signed_in("alice");
    site.advance(minutes(6));
    let second = site.signed_in("alice");
    site.advance(minutes(6));
    assert_eq!(first.user_at("/private"), None);
    assert_eq!(second.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn sign_in_again_restarts_the_absolute_timeout() {
    let site = Site::builder().policy(Policy::new().idle(Limit::Off).absolute(hours(1))).start();
    let alice = site.signed_in("alice");
    site.advance(minutes(50));
    alice.post("/sign-in", "user=alice");
    site.advance(minutes(50));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(
        site.take_events(),
        ["alice signed in", "alice ended: logged_out", "alice signed in"]
    );
    site.advance(minutes(10));
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn session_without_timeouts_never_expires() {
    let policy = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let site = Site::builder().policy(policy).start();
    let alice = site.signed_in("alice");
    site.advance(hours(24 * 365));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}
