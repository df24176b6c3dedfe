//! Recording of activity.

use std::{thread, time::Duration};

use actix_identity::Identity;
use actix_web::{HttpResponse, web};
use session_expire::{Policy, PolicyPatch, hours, minutes, seconds, session_policy};
use session_expire_tests::Site;

#[test]
fn ordinary_request_costs_one_load() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.take_operations();
    for path in ["/private", "/public", "/laxer", "/vars", "/messages"] {
        site.advance(Duration::from_millis(100));
        let response = alice.get(path);
        assert_eq!((response.status, response.cookies().len()), (200, 0), "{path}");
        assert_eq!(site.registry.take_operations(), ["load"], "{path}");
    }
}

#[test]
fn activity_is_written_once_per_write_interval() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.take_operations();
    site.advance(seconds(1));
    alice.get("/private");
    assert_eq!(
        site.registry.take_operations(),
        ["load"],
        "the strictest page has an idle timeout of one minute, so the interval is one second"
    );
    site.advance(seconds(1));
    alice.get("/private");
    assert_eq!(site.registry.take_operations(), ["load", "update"]);
}

#[session_policy(idle = "6s")]
async fn strict_handler(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

/// actix-web runs no extractor at startup, so the policy of such a handler is unknown until its
/// first request.
#[test]
fn visited_handler_sets_interval_of_all_workers() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/strict", web::get().to(strict_handler));
        })
        .start();
    let alice = site.signed_in("alice");
    site.signed_in("bob").get("/strict");
    for _ in 0..4 {
        // The other pages have a write interval of one second. Another worker served Bob's request.
        site.advance(Duration::from_millis(950));
        alice.copy().get("/private");
        site.advance(Duration::from_millis(5_500));
        assert_eq!(alice.copy().user_at("/strict").as_deref(), Some("alice"));
    }
}

#[test]
fn visitor_costs_no_operation_and_gets_no_cookie() {
    let site = Site::start();
    for path in ["/public", "/messages", "/vars", "/laxer", "/nowhere"] {
        let response = site.browser().get(path);
        assert!(response.cookies().is_empty(), "{path}");
    }
    assert!(site.registry.take_operations().is_empty());
}

#[test]
fn parallel_requests_keep_the_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for _ in 0..20 {
        site.advance(minutes(5));
        thread::scope(|scope| {
            for path in ["/private", "/poll", "/public", "/vars", "/laxer", "/messages"] {
                let alice = &alice;
                scope.spawn(move || assert_eq!(alice.get(path).status, 200, "{path}"));
            }
        });
    }
}

#[test]
fn activity_anywhere_counts_on_the_strictest_page() {
    let site = Site::builder().policy(Policy::new().idle(minutes(30))).start();
    let alice = site.signed_in("alice");
    site.advance(seconds(30));
    alice.get("/private");
    site.advance(seconds(58));
    assert_eq!(alice.user_at("/stricter").as_deref(), Some("alice"));
}

#[test]
fn slow_request_keeps_activity_of_other_tabs() {
    for upload_takes in [9, 11] {
        let site = Site::start();
        let alice = site.signed_in("alice");
        site.advance(seconds(30)); // longer than the write interval: the upload is activity
        thread::scope(|scope| {
            let upload = scope.spawn(|| alice.copy().get("/slow"));
            site.wait_for_arrivals(1);
            for _ in 0..upload_takes {
                site.advance(minutes(1));
                assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
            }
            site.open_barrier();
            assert_eq!(upload.join().unwrap().status, 200);
        });
        site.advance(minutes(1));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{upload_takes}");
    }
}

#[test]
fn request_beyond_the_idle_timeout_is_activity() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| alice.get("/slow"));
        site.wait_for_arrivals(1);
        site.advance(minutes(11));
        site.open_barrier();
        assert_eq!(slow.join().unwrap().status, 200);
    });
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

fn strict(cfg: &mut web::ServiceConfig) {
    let patch = PolicyPatch::new().idle(seconds(60));
    cfg.service(web::resource("/strict").wrap(patch).to(HttpResponse::Ok));
}

#[test]
fn write_interval_is_per_application() {
    let (lax, _strict) = (
        Site::builder().policy(Policy::new().idle(hours(1))).start(),
        Site::builder().policy(Policy::new().idle(hours(1))).routes(strict).start(),
    );
    let alice = lax.signed_in("alice");
    // The strictest page of the harness has an idle timeout of one minute.
    lax.registry.take_operations();
    lax.advance(seconds(1));
    alice.get("/private");
    assert_eq!(lax.registry.take_operations(), ["load"]);
}
