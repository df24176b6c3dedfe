//! Passive and speculative requests. They are checked, but change nothing.

use actix_identity::Identity;
use actix_web::web;
use session_expire::minutes;
use session_expire_tests::{Browser, Site, TestResponse};

#[test]
fn passive_request_is_checked_and_no_activity() {
    let site = Site::start();
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    for _ in 0..9 {
        site.advance(minutes(1));
        assert_eq!(alice.user_at("/poll").as_deref(), Some("alice"));
        let marked = bob.request("GET", "/private").header("x-session-passive", "1").send();
        assert_eq!(marked.status, 200);
    }
    site.advance(minutes(1));
    assert_eq!(alice.fetch("/poll").status, 401);
    assert_eq!(bob.fetch("/private").status, 401);
}

#[test]
fn passive_requests_can_be_chosen_by_path() {
    let site = Site::builder()
        .customise(|builder| builder.passive_when(|req| req.path() == "/private"))
        .start();
    let alice = site.signed_in("alice");
    site.advance(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    site.advance(minutes(1));
    assert_eq!(alice.user_at("/private"), None);
}

const PURPOSES: [(&str, &str); 4] = [
    ("sec-purpose", "prefetch"),
    ("sec-purpose", "prefetch;prerender"),
    ("sec-purpose", "prefetch;anonymous-client-ip"),
    ("purpose", "prefetch"),
];

fn load(browser: &Browser, path: &str, (name, purpose): (&'static str, &str)) -> TestResponse {
    browser.request("GET", path).header(name, purpose).send()
}

#[test]
fn speculative_request_is_no_activity() {
    for purpose in PURPOSES {
        let site = Site::start();
        let alice = site.signed_in("alice");
        site.advance(minutes(9));
        drop(site.registry.take_operations());
        assert_eq!(load(&alice, "/private", purpose).body, "alice");
        assert_eq!(site.registry.take_operations(), ["load"], "{purpose:?}");
        site.advance(minutes(1));
        assert_eq!(alice.fetch("/private").header("x-session-expired"), "idle", "{purpose:?}");
    }
}

#[test]
fn speculative_request_leaves_messages_unread() {
    for purpose in PURPOSES {
        let site = Site::start();
        for browser in [site.browser(), site.signed_in("alice")] {
            browser.post("/push", "saved");
            assert_eq!(load(&browser, "/messages", purpose).body, "[success] saved");
            assert_eq!(browser.read_messages(), "[success] saved", "{purpose:?}");
            assert_eq!(browser.read_messages(), "", "{purpose:?}");
        }
    }
}

#[test]
fn speculative_request_leaves_the_reason_unread() {
    for purpose in PURPOSES {
        let site = Site::start();
        let alice = site.signed_in("alice");
        site.advance(minutes(10));
        assert!(load(&alice, "/messages", purpose).body.starts_with("[warning idle]"));
        assert_eq!(load(&alice, "/private", purpose).status, 303);
        assert!(alice.read_messages().starts_with("[warning idle]"), "{purpose:?}");
        assert_eq!(alice.read_messages(), "", "{purpose:?}");
    }
}

async fn bye(user: Identity) -> &'static str {
    user.logout();
    "bye"
}

#[test]
fn speculative_request_signs_no_user_out() {
    for purpose in PURPOSES {
        let site = Site::builder()
            .routes(|cfg| {
                cfg.route("/bye", web::get().to(bye));
            })
            .start();
        let alice = site.signed_in("alice");
        load(&alice, "/bye", purpose);
        assert_eq!(alice.user_at("/private").as_deref(), Some("alice"), "{purpose:?}");
    }
}
