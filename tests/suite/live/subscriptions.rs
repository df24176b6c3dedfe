//! Subscription to the reports of a registry: its start, and its end after the last stream.

use std::time::Duration;

use session_expire::seconds;

use super::{site, wait_until};

/// Each navigation of a single user closes one stream and opens the next.
#[test]
fn streams_one_after_another_share_a_subscription() {
    let site = site();
    let alice = site.signed_in("alice");
    for _ in 0..20 {
        let stream = alice.watch("/watch");
        site.registry.wait_for_subscriptions(1);
        drop(stream);
        site.advance(seconds(1));
    }
    let operations = site.registry.take_operations();
    assert_eq!(operations.iter().filter(|name| **name == "subscribe").count(), 1);
}

#[test]
fn subscription_ends_30_seconds_after_the_last_stream() {
    let site = site();
    let stream = site.signed_in("alice").watch("/watch");
    site.registry.wait_for_subscriptions(1);
    drop(stream);
    // The thread may notice late that the stream has closed.
    wait_until("no subscription", || {
        site.advance(Duration::from_secs(30));
        site.registry.subscriptions() == 0
    });
    let stream = site.signed_in("bob").watch("/watch");
    site.registry.wait_for_subscriptions(1);
    super::end_all(&site, "bob");
    assert_eq!(stream.reason(), "revoked");
}
