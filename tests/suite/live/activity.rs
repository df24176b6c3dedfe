//! Activity that an open stream records.

use actix_web::web;
use session_expire::{PolicyPatch, hours, live::Activity, minutes, seconds};
use session_expire_tests::{Site, block_on, watch_session};

use super::{routes, settle, site};

fn record(activity: &Activity) {
    block_on(activity.record()).unwrap();
}

/// Returns the number of updates since the last call.
fn updates(site: &Site) -> usize {
    site.registry.take_operations().iter().filter(|name| **name == "update").count()
}

#[test]
fn recorded_activity_extends_stream_and_session() {
    let site = site();
    let alice = site.signed_in("alice");
    let mut stream = alice.watch("/watch");
    for _ in 0..3 {
        site.advance(minutes(9));
        record(&stream.activity);
        settle(&site);
        assert!(stream.is_open());
    }
    assert_eq!(alice.user_at("/poll").as_deref(), Some("alice"));
    site.advance(minutes(10));
    assert_eq!(stream.reason(), "idle");
}

#[test]
fn recorded_activity_revives_no_session() {
    let site = site();
    let (expired, ended) = (site.signed_in("alice"), site.signed_in("bob"));
    let (after_expiry, after_end) = (expired.watch("/watch"), ended.watch("/watch"));
    ended.copy().post("/sign-out", "");
    site.advance(minutes(10));
    record(&after_expiry.activity);
    record(&after_end.activity);
    assert_eq!((after_expiry.reason(), after_end.reason()), ("idle", "logged_out"));
    assert_eq!((expired.user_at("/private"), ended.user_at("/private")), (None, None));
}

/// The policy of the page is stricter than the application's.
#[test]
fn activity_after_the_timeout_of_its_page_is_not_recorded() {
    let site = site();
    let alice = site.signed_in("alice");
    let stream = alice.watch("/vault");
    site.advance(minutes(1));
    record(&stream.activity);
    site.advance(minutes(9));
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn activity_is_written_once_per_interval() {
    let site = site();
    let stream = site.signed_in("alice").watch("/editor");
    updates(&site);
    for (advance, expected) in [(0, 0), (1, 0), (1, 1), (1, 0), (2, 1)] {
        site.advance(seconds(advance));
        for _ in 0..5 {
            record(&stream.activity.clone());
        }
        assert_eq!(updates(&site), expected, "after {advance} s");
    }
}

#[test]
fn simultaneous_activity_is_written_once() {
    let site = site();
    let stream = site.signed_in("alice").watch("/watch");
    site.advance(minutes(1));
    updates(&site);
    site.registry.set_pending(true);
    block_on(async {
        let messages: Vec<_> = (0..8)
            .map(|_| {
                let activity = stream.activity.clone();
                actix_web::rt::spawn(async move { activity.record().await })
            })
            .collect();
        for message in messages {
            message.await.unwrap().unwrap();
        }
    });
    assert_eq!(updates(&site), 1);
}

#[test]
fn activity_that_could_not_be_written_is_written_later() {
    let site = site();
    let stream = site.signed_in("alice").watch("/watch");
    site.advance(minutes(9));
    site.registry.set_down(true);
    assert!(block_on(stream.activity.record()).is_err());
    site.registry.set_down(false);
    updates(&site);
    record(&stream.activity);
    assert_eq!(updates(&site), 1);
}

#[test]
fn activity_in_an_exempt_layer_is_not_recorded() {
    let routes = |cfg: &mut web::ServiceConfig| {
        routes(cfg);
        let policy = PolicyPatch::new().idle(hours(24)).exempt_from_standards("public files");
        let page = web::resource("/exempt/{number}").wrap(policy);
        cfg.service(page.route(web::get().to(watch_session)));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    let stream = alice.watch("/exempt");
    site.advance(minutes(9));
    record(&stream.activity);
    site.advance(minutes(1));
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn activity_without_a_session_is_not_recorded() {
    let site = site();
    let stream = site.browser().watch("/watch");
    site.registry.set_down(true);
    record(&stream.activity);
}
