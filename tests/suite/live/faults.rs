//! Faults of a registry that concern one session or one operation.

use std::time::{Duration, Instant};

use session_expire_tests::KeyFault;

use super::{builder, end_all, settle, site, wait_until};

/// Longest time for the ends in [`assert_no_delay_beside`]. It is shorter than the timeout of a
/// load that hangs, which is 10 s.
const LIMIT: Duration = Duration::from_secs(5);

fn assert_no_delay_beside(fault: KeyFault) {
    let site = site();
    let bob = site.signed_in("bob");
    let key = *site.registry.login_keys().last().unwrap();
    let _stream = bob.watch("/watch");
    settle(&site);
    site.registry.set_key_fault(key, fault);
    // The login reports a change of bob's sessions, so the faulty load starts.
    let _second = site.signed_in("bob");
    let start = Instant::now();
    for number in 0..3 {
        let user = format!("user {number}");
        let stream = site.signed_in(&user).watch("/watch");
        end_all(&site, &user);
        assert_eq!(stream.reason(), "revoked");
    }
    let delay = start.elapsed();
    assert!(delay < LIMIT, "{delay:?}");
}

#[test]
fn session_whose_loads_fail_delays_no_other_one() {
    assert_no_delay_beside(KeyFault::Fails);
}

#[test]
fn session_whose_loads_hang_delays_no_other_one() {
    assert_no_delay_beside(KeyFault::Hangs);
}

#[test]
fn session_whose_loads_panic_ends_no_other_one() {
    assert_no_delay_beside(KeyFault::Panics);
}

#[test]
fn hanging_check_delays_no_end() {
    let site = builder().customise(|b| b.live_check(Duration::from_millis(5))).start();
    let stream = site.signed_in("alice").watch("/watch");
    settle(&site);
    site.registry.set_hanging(Some("check"));
    site.registry.take_operations();
    wait_until("a check", || site.registry.take_operations().contains(&"check"));
    let start = Instant::now();
    end_all(&site, "alice");
    assert_eq!(stream.reason(), "revoked");
    let delay = start.elapsed();
    assert!(delay < LIMIT, "{delay:?}");
}

#[test]
fn stream_after_a_panic_of_the_registry_is_watched() {
    let site = site();
    let alice = site.signed_in("alice");
    site.registry.after_next("subscribe", |_| panic!("a defect of the registry"));
    assert_eq!(alice.watch("/watch").reason(), "unavailable");
    let stream = alice.watch("/watch");
    settle(&site);
    end_all(&site, "alice");
    assert_eq!(stream.reason(), "revoked");
}
