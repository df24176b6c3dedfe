//! An ordinary request writes nothing, and parallel ones lose nothing.

use std::{thread, time::Duration};

use actix_identity::Identity;
use actix_web::web;
use session_expire::{Policy, minutes, seconds, session_policy};
use session_expire_tests::Site;

#[test]
fn an_ordinary_request_sets_no_cookie_and_writes_nothing() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.asked();
    for path in ["/private", "/public", "/looser", "/vars", "/messages"] {
        site.pass(std::time::Duration::from_millis(100));
        let answer = alice.get(path);
        assert_eq!((answer.status, answer.cookies().len()), (200, 0), "{path}");
        assert_eq!(site.registry.asked(), ["load"], "{path}");
    }
}

#[test]
fn activity_is_written_only_when_it_has_moved_by_a_sixtieth_of_the_strictest_limit() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.asked();
    site.pass(seconds(1));
    alice.get("/private");
    assert_eq!(site.registry.asked(), ["load"], "the strictest page of this site has one minute");
    site.pass(seconds(1));
    alice.get("/private");
    assert_eq!(site.registry.asked(), ["load", "update"]);
}

#[session_policy(idle = "6s")]
async fn strict_handler(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

/// Actix announces no extractor at start: the policy of such a handler counts from its first request.
#[test]
fn handler_without_a_layer_counts_for_all_workers_once_visited() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/strict", web::get().to(strict_handler));
        })
        .start();
    let alice = site.signed_in("alice");
    site.signed_in("bob").get("/strict");
    for _ in 0..4 {
        // Other pages of the site are written every second only. Each browser has another worker.
        site.pass(Duration::from_millis(950));
        alice.stolen().get("/private");
        site.pass(Duration::from_millis(5_500));
        assert_eq!(alice.stolen().user_at("/strict").as_deref(), Some("alice"));
    }
}

#[test]
fn stranger_asks_no_registry_and_gets_no_cookie() {
    let site = Site::start();
    for path in ["/public", "/messages", "/vars", "/looser", "/nowhere"] {
        let answer = site.browser().get(path);
        assert!(answer.cookies().is_empty(), "{path}");
    }
    assert!(site.registry.asked().is_empty());
}

#[test]
fn parallel_requests_lose_neither_activity_nor_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for _ in 0..20 {
        site.pass(minutes(5));
        thread::scope(|scope| {
            for path in ["/private", "/poll", "/public", "/vars", "/looser", "/messages"] {
                let alice = &alice;
                scope.spawn(move || assert_eq!(alice.get(path).status, 200, "{path}"));
            }
        });
    }
}

#[test]
fn a_late_answer_does_not_take_activity_back() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    thread::scope(|scope| {
        let slow = scope.spawn(|| alice.get("/slow"));
        site.wait_for_slow(1);
        site.pass(minutes(9));
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
        site.release_slow();
        assert_eq!(slow.join().map(|answer| answer.status).ok(), Some(200));
    });
    site.pass(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn pages_of_a_signed_in_person_stay_out_of_caches() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/private").header("cache-control"), "no-store");
    assert_eq!(site.browser().get("/public").header("cache-control"), "");
}

#[test]
fn activity_anywhere_counts_on_the_strictest_page() {
    let site = Site::builder().policy(Policy::new().idle(minutes(30))).start();
    let alice = site.signed_in("alice");
    site.pass(seconds(30));
    alice.get("/private");
    site.pass(seconds(58));
    assert_eq!(alice.user_at("/stricter").as_deref(), Some("alice"));
}

#[test]
fn a_late_poll_does_not_take_a_new_login_away() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let tab = alice.stolen();
    site.pass(minutes(10));
    alice.sign_in("alice");
    let late = tab.fetch("/poll");
    assert_eq!((late.status, late.cookies().len()), (401, 0));
}
