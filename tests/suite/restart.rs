//! Restarts of an application.

use session_expire_tests::{Site, TestRegistry};

#[test]
fn restart_with_a_new_registry_signs_every_user_out() {
    let before = Site::start();
    let alice = before.signed_in("alice");
    let after = Site::start();
    let response = alice.moved_to(&after).fetch("/private");
    assert_eq!((response.status, response.header("x-session-expired")), (401, "unknown"));
}

#[test]
fn restart_with_the_same_registry_signs_no_user_out() {
    let registry = TestRegistry::default();
    let before = Site::builder().registry(registry.clone()).start();
    let alice = before.signed_in("alice");
    let after = Site::builder().registry(registry).start();
    assert_eq!(alice.moved_to(&after).user_at("/private").as_deref(), Some("alice"));
}
