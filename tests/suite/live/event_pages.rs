//! Event streams under the policy of the page that opens them.

use std::sync::atomic::{AtomicBool, Ordering};

use session_expire::{PolicyPatch, hours, minutes};
use session_expire_tests::{BodyEnd, Browser, Site, StreamClient};

use super::{routes, settle, site};

/// Returns the address of the event stream that the page at `path` gives to its script.
fn events_of(browser: &Browser, path: &str) -> String {
    let script = browser.get(path).json()["script"].as_str().unwrap_or_default().to_owned();
    let address = script.split(" data-events=\"").nth(1).unwrap_or_default();
    address.split('"').next().unwrap_or_default().replace("&amp;", "&")
}

fn open(browser: &Browser, path: &str) -> StreamClient {
    StreamClient::open(browser, path, "")
}

#[test]
fn stream_has_the_timeouts_of_its_page() {
    let site = site();
    let alice = site.signed_in("alice");
    let (own, laxer) = (events_of(&alice, "/vars"), events_of(&alice, "/laxer/vars"));
    let (mut own, mut laxer) = (open(&alice, &own), open(&alice, &laxer));
    assert_eq!(own.next_event().unwrap()["seconds_until_idle_end"], 600);
    assert_eq!(laxer.next_event().unwrap()["seconds_until_idle_end"], 3_600);
    site.advance(minutes(10));
    assert_eq!(own.next_event().unwrap()["reason"], "idle");
    settle(&site);
    site.advance(minutes(50));
    assert_eq!(laxer.next_event().unwrap()["reason"], "idle");
    assert_eq!(laxer.wait_for_end(), BodyEnd::Complete);
}

#[test]
fn later_event_has_the_timeouts_of_its_page() {
    let site = site();
    let alice = site.signed_in("alice");
    let mut laxer = open(&alice, &events_of(&alice, "/laxer/vars"));
    laxer.next_event();
    settle(&site);
    site.advance(minutes(20));
    site.browser().sign_in("alice");
    assert_eq!(laxer.next_event().unwrap()["seconds_until_idle_end"], 2_400);
}

#[test]
fn page_of_a_former_user_gets_replaced() {
    let site = site();
    let browser = site.signed_in("alice");
    let events = events_of(&browser, "/vars");
    let mut before = open(&browser, &events);
    assert_eq!(before.next_event().unwrap()["state"], "active");
    browser.sign_in("bob");
    assert_eq!(before.next_event().unwrap()["reason"], "logged_out");
    let mut after = open(&browser, &events);
    assert_eq!(after.next_event().unwrap()["state"], "replaced");
    assert_eq!(after.wait_for_end(), BodyEnd::Complete);
}

#[test]
fn stale_token_is_named_in_each_event() {
    static IS_STRICT: AtomicBool = AtomicBool::new(false);
    let user_policy = |_: String| async {
        let idle = if IS_STRICT.load(Ordering::SeqCst) { minutes(2) } else { hours(8) };
        PolicyPatch::new().idle(idle)
    };
    let site = Site::builder()
        .routes(routes)
        .customise(move |builder| builder.live_pages(true).user_policy(user_policy))
        .start();
    let alice = site.signed_in("alice");
    let events = events_of(&alice, "/vars");
    let mut before = open(&alice, &events);
    assert!(before.next_event().unwrap()["policy"].is_null());
    IS_STRICT.store(true, Ordering::SeqCst);
    alice.post("/refresh", "");
    assert_eq!(before.wait_for_end(), BodyEnd::Complete);
    let mut after = open(&alice, &events);
    let event = after.next_event().unwrap();
    let shown = (&event["policy"], &event["seconds_until_idle_end"]);
    assert_eq!(shown, (&"stale".into(), &120.into()));
    settle(&site);
    site.browser().sign_in("alice");
    assert_eq!(after.next_event().unwrap()["policy"], "stale");
}

#[test]
fn pages_of_a_site_without_live_pages_name_no_stream() {
    let site = Site::start();
    assert_eq!(events_of(&site.signed_in("alice"), "/vars"), "");
}
