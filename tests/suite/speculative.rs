//! Pages that a browser loads before the user asks for them.

use actix_identity::Identity;
use actix_web::web;
use session_expire::minutes;
use session_expire_tests::{Answer, Browser, Site};

const PURPOSES: [(&str, &str); 4] = [
    ("sec-purpose", "prefetch"),
    ("sec-purpose", "prefetch;prerender"),
    ("sec-purpose", "prefetch;anonymous-client-ip"),
    ("purpose", "prefetch"),
];

fn load(browser: &Browser, path: &str, (name, purpose): (&'static str, &str)) -> Answer {
    browser.request("GET", path).header(name, purpose).send()
}

#[test]
fn speculative_load_is_no_activity() {
    for purpose in PURPOSES {
        let site = Site::start();
        let alice = site.signed_in("alice");
        site.pass(minutes(9));
        drop(site.registry.asked());
        assert_eq!(load(&alice, "/private", purpose).body, "alice");
        assert_eq!(site.registry.asked(), ["load"], "{purpose:?}");
        site.pass(minutes(1));
        assert_eq!(alice.fetch("/private").header("x-session-expired"), "idle", "{purpose:?}");
    }
}

#[test]
fn speculative_load_leaves_messages_unread() {
    for purpose in PURPOSES {
        let site = Site::start();
        for browser in [site.browser(), site.signed_in("alice")] {
            browser.post("/push", "saved");
            assert_eq!(load(&browser, "/messages", purpose).body, "[success] saved");
            assert_eq!(browser.messages(), "[success] saved", "{purpose:?}");
            assert_eq!(browser.messages(), "", "{purpose:?}");
        }
    }
}

#[test]
fn speculative_load_leaves_the_reason_untold() {
    for purpose in PURPOSES {
        let site = Site::start();
        let alice = site.signed_in("alice");
        site.pass(minutes(10));
        assert!(load(&alice, "/messages", purpose).body.starts_with("[warning idle]"));
        assert_eq!(load(&alice, "/private", purpose).status, 303);
        assert!(alice.messages().starts_with("[warning idle]"), "{purpose:?}");
        assert_eq!(alice.messages(), "", "{purpose:?}");
    }
}

async fn bye(user: Identity) -> &'static str {
    user.logout();
    "bye"
}

#[test]
fn speculative_load_signs_no_user_out() {
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
