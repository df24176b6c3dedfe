//! Event stream of a page: requests, and events while it is open.

use std::collections::BTreeSet;

use session_expire::{Overflow, Policy, PublicId, minutes, seconds};
use session_expire_tests::{BodyEnd, Browser, Site, StreamClient, block_on};

use super::{builder, end_all, settle, site};

fn open(browser: &Browser) -> StreamClient {
    StreamClient::open(browser, "/session/events", "")
}

/// Opens a stream, and reads its first event.
fn opened(browser: &Browser) -> StreamClient {
    let mut stream = open(browser);
    assert_eq!(stream.next_event().unwrap()["state"], "active", "{}", stream.head);
    stream
}

fn status(browser: &Browser) -> serde_json::Value {
    browser.fetch("/session/status").json()
}

/// Asserts that the server closes the stream without a further event.
fn assert_closed(mut stream: StreamClient) {
    assert_eq!(stream.next_event(), None);
    assert_eq!(stream.wait_for_end(), BodyEnd::Complete);
}

/// Reads the time until the client reconnects, in milliseconds.
fn retry(stream: &mut StreamClient) -> u16 {
    let line = stream.next_line().unwrap();
    line.strip_prefix("retry: ").unwrap().parse().unwrap()
}

#[test]
fn first_event_is_the_status() {
    let site = site();
    let alice = site.signed_in("alice");
    site.advance(seconds(17));
    let mut stream = open(&alice);
    assert!((1_000..=3_000).contains(&retry(&mut stream)));
    assert_eq!(stream.next_line().as_deref(), Some(""));
    let event = stream.next_line().unwrap();
    assert_eq!(event, format!("data: {}", alice.fetch("/session/status").body));
    assert_eq!(stream.next_line().as_deref(), Some(""));
}

#[test]
fn event_stream_has_headers_against_delay() {
    let site = site();
    let stream = open(&site.signed_in("alice"));
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
        ("content-encoding", "identity"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("set-cookie", ""),
    ] {
        assert_eq!(stream.header(name), value, "{name}");
    }
}

#[test]
fn visitor_without_a_session_gets_204() {
    let site = site();
    assert_eq!(open(&site.browser()).status(), 204);
    let alice = site.signed_in("alice");
    let mut before = opened(&alice);
    let copy = alice.copy();
    alice.post("/sign-out", "");
    assert_eq!(open(&alice).status(), 204);
    assert_eq!(open(&copy).status(), 204, "the key of the session that was signed out");
    assert_eq!(status(&copy)["reason"], "logged_out");
    assert_eq!(before.next_event().unwrap()["reason"], "logged_out");
    assert_closed(before);
}

#[test]
fn request_from_another_origin_gets_403() {
    let site = site();
    let alice = site.signed_in("alice");
    for headers in ["origin: http://evil.example\r\n", "sec-fetch-site: cross-site\r\n"] {
        let foreign = StreamClient::open(&alice, "/session/events", headers);
        assert_eq!(foreign.status(), 403, "{headers}");
    }
}

#[test]
fn request_in_an_outage_gets_503() {
    let site = site();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    assert_eq!(open(&alice).status(), 503);
}

#[test]
fn site_without_live_pages_has_no_event_stream() {
    let site = Site::start();
    assert_eq!(open(&site.signed_in("alice")).status(), 404);
}

#[test]
fn expired_session_gets_one_event() {
    let site = site();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    let mut stream = open(&alice);
    assert_eq!(stream.next_event().unwrap(), status(&alice));
    assert_closed(stream);
    assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"), "the session is not ended");
}

#[test]
fn page_of_another_user_gets_replaced() {
    let site = site();
    let alice = site.signed_in("alice");
    let mut stream = StreamClient::open(&alice, "/session/events?login=AAAA.0000", "");
    assert_eq!(stream.next_event().unwrap(), serde_json::json!({"state": "replaced"}));
    assert_closed(stream);
}

#[test]
fn login_elsewhere_sends_an_event() {
    let site = site();
    let alice = site.signed_in("alice");
    let mut stream = opened(&alice);
    settle(&site);
    site.advance(seconds(10));
    site.browser().sign_in("alice");
    assert_eq!(stream.next_event().unwrap(), status(&alice));
}

#[test]
fn end_of_another_session_sends_an_event() {
    let site = site();
    let (alice, other) = (site.signed_in("alice"), site.signed_in("alice"));
    let mut stream = opened(&alice);
    settle(&site);
    other.post("/sign-out", "");
    assert_eq!(stream.next_event().unwrap()["state"], "active");
}

#[test]
fn session_of_another_user_sends_no_event() {
    let site = site();
    let mut stream = opened(&site.signed_in("alice"));
    settle(&site);
    site.signed_in("bob").post("/sign-out", "");
    settle(&site);
    end_all(&site, "alice");
    assert_eq!(stream.next_event().unwrap()["state"], "expired");
}

#[test]
fn end_of_the_session_sends_reason_and_cause_and_closes() {
    let site = site();
    let alice = site.signed_in("alice");
    let mut stream = opened(&alice);
    let id = alice.get("/id").body.parse::<PublicId>().unwrap();
    let sessions = site.expire.sessions().with_cause("administrator");
    assert!(block_on(sessions.end("alice", id)).unwrap());
    let event = stream.next_event().unwrap();
    assert_eq!(event, status(&alice));
    assert_eq!((&event["reason"], &event["cause"]), (&"revoked".into(), &"administrator".into()));
    assert_closed(stream);
}

#[test]
fn eviction_sends_its_reason_and_closes() {
    let policy = Policy::new().idle(minutes(10)).max_sessions(1).overflow(Overflow::Evict);
    let site = builder().policy(policy).start();
    let mut stream = opened(&site.signed_in("alice"));
    site.browser().sign_in("alice");
    assert_eq!(stream.next_event().unwrap()["reason"], "evicted");
    assert_closed(stream);
}

/// The stream is not activity. A page with a laxer policy still accepts the session after the
/// event.
#[test]
fn timeout_sends_an_event_and_ends_no_session() {
    let site = site();
    let alice = site.signed_in("alice");
    let mut stream = opened(&alice);
    site.advance(minutes(9));
    settle(&site);
    site.advance(minutes(1));
    assert_eq!(stream.next_event().unwrap(), status(&alice));
    assert_closed(stream);
    assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"));
    assert!(!site.take_events().contains(&"alice ended: idle".to_owned()));
}

#[test]
fn key_rotation_and_new_policy_close_without_an_event() {
    let site = site();
    for path in ["/renew", "/confirm", "/refresh"] {
        let alice = site.signed_in("alice");
        let stream = opened(&alice);
        assert_eq!(alice.post(path, "alice").status, 200, "{path}");
        assert_closed(stream);
        opened(&alice);
    }
}

#[test]
fn shutdown_and_outage_close_without_an_event() {
    let site = site();
    let stream = opened(&site.signed_in("alice"));
    settle(&site);
    site.registry.set_down(true);
    site.advance(minutes(10));
    assert_closed(stream);
    site.registry.set_down(false);
    let alice = site.signed_in("alice");
    let stream = opened(&alice);
    site.expire.close_streams();
    assert_closed(stream);
    assert_closed(opened(&alice));
}

#[test]
fn silent_stream_sends_heartbeats() {
    let site = site();
    let mut stream = opened(&site.signed_in("alice"));
    assert_eq!(stream.next_line().as_deref(), Some(""));
    for _ in 0..3 {
        site.advance(seconds(20));
        assert_eq!(stream.next_line().as_deref(), Some(":"));
        assert_eq!(stream.next_line().as_deref(), Some(""));
    }
}

#[test]
fn ninth_stream_closes_the_oldest() {
    let site = site();
    let alice = site.signed_in("alice");
    let other = opened(&site.signed_in("alice"));
    let mut streams: Vec<_> = (0..8).map(|_| opened(&alice)).collect();
    let ninth = opened(&alice);
    let mut oldest = streams.remove(0);
    assert_eq!(oldest.next_line().as_deref(), Some(""));
    assert_eq!(oldest.next_line().as_deref(), Some("retry: 30000"));
    assert_closed(oldest);
    end_all(&site, "alice");
    for mut stream in streams.into_iter().chain([other, ninth]) {
        let ended = std::iter::from_fn(|| stream.next_event()).last();
        assert_eq!(ended.unwrap()["reason"], "revoked");
    }
}

#[test]
fn pages_reconnect_at_different_times() {
    let site = site();
    let alice = site.signed_in("alice");
    let times: BTreeSet<_> = (0..8).map(|_| retry(&mut open(&alice))).collect();
    assert!(times.len() > 1, "{times:?}");
}

/// Otherwise, the page would reconnect every second.
#[test]
fn page_that_cannot_be_watched_reconnects_late() {
    let site = site();
    let alice = site.signed_in("alice");
    site.expire.close_streams();
    let mut stream = open(&alice);
    assert_eq!(retry(&mut stream), 30_000);
    assert_eq!(stream.next_event().unwrap()["state"], "active");
    assert_closed(stream);
}

#[test]
fn event_stream_reads_no_message() {
    let site = site();
    let alice = site.signed_in("alice");
    alice.post("/push", "saved");
    drop(opened(&alice));
    assert_eq!(alice.read_messages(), "[success] saved");
}

#[test]
fn head_request_opens_no_stream() {
    let site = site();
    let alice = site.signed_in("alice");
    let response = alice.request("HEAD", "/session/events").script().send();
    assert_eq!((response.status, response.cookies().len()), (200, 0));
    assert_eq!(site.registry.subscriptions(), 0);
}
