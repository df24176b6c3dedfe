//! Streams during an outage of the registry.

use std::time::Duration;

use session_expire::{
    Limit, Policy, Reason,
    clock::Timestamp,
    live::StreamEnd,
    minutes,
    registry::{EndSessions, EndTarget, Ended},
};
use session_expire_tests::{Site, SiteBuilder, block_on};

use super::{builder, end_all, routes, settle, wait_for_load};

/// Returns a site that checks for lost reports every 5 ms.
fn checking() -> SiteBuilder {
    Site::builder().routes(routes).customise(|builder| builder.live_check(Duration::from_millis(5)))
}

/// Waits until the watch thread has noticed the outage.
fn start_outage(site: &Site) {
    site.registry.set_down(true);
    for _ in 0..2 {
        site.registry.take_operations();
        wait_for_load(site);
    }
}

#[test]
fn outage_ends_a_stream_at_its_last_known_deadline() {
    let site = checking().start();
    let mut stream = site.signed_in("alice").watch("/watch");
    settle(&site);
    start_outage(&site);
    site.advance(minutes(10) - Duration::from_millis(1));
    start_outage(&site);
    assert!(stream.is_open());
    site.advance(Duration::from_millis(1));
    assert_eq!(stream.wait(), StreamEnd::Unavailable);
}

#[test]
fn activity_before_an_outage_counts_if_it_was_loaded() {
    let site = checking().start();
    let alice = site.signed_in("alice");
    let mut stream = alice.watch("/watch");
    site.advance(minutes(9));
    alice.get("/private");
    site.advance(minutes(1));
    settle(&site);
    start_outage(&site);
    site.advance(minutes(8));
    start_outage(&site);
    assert!(stream.is_open());
    site.advance(minutes(1));
    assert_eq!(stream.wait(), StreamEnd::Unavailable);
}

#[test]
fn end_during_an_outage_arrives_after_it() {
    let site = builder().customise(|builder| builder.live_check(Limit::Off)).start();
    let mut stream = site.signed_in("alice").watch("/watch");
    settle(&site);
    site.registry.set_down(true);
    site.registry.take_operations();
    site.registry.after_next("list", |registry| {
        let ended = Ended::new(Reason::Revoked, Timestamp::from_millis(0));
        let end = EndSessions::new(EndTarget::All("alice".into()), ended);
        assert_eq!(registry.end(end).try_ready().unwrap().unwrap().len(), 1);
    });
    assert!(block_on(site.expire.sessions().list_active("bob")).is_err());
    wait_for_load(&site);
    assert!(stream.is_open());
    site.registry.set_down(false);
    assert_eq!(stream.reason(), "revoked");
}

#[test]
fn stream_without_timeouts_survives_an_outage() {
    let policy = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let site = checking().policy(policy).start();
    let mut stream = site.signed_in("alice").watch("/watch");
    settle(&site);
    start_outage(&site);
    site.advance(minutes(60 * 24 * 365));
    start_outage(&site);
    assert!(stream.is_open());
    site.registry.set_down(false);
    settle(&site);
    assert!(stream.is_open());
    end_all(&site, "alice");
    assert_eq!(stream.reason(), "revoked");
}
