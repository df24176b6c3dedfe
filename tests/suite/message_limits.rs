//! Size limits of flash messages.

use actix_session::Session;
use actix_web::web;
use session_expire_tests::{Site, TestResponse};

/// Returns texts that take more bytes in JSON or in a cookie than in memory.
fn texts() -> Vec<String> {
    let texts =
        [("\"", 1_400), ("\\", 1_400), ("\u{1}", 470), ("é", 1_400), ("=;,", 900), ("😀", 700)];
    texts.iter().map(|(text, times)| text.repeat(*times)).collect()
}

fn assert_cookies_fit(response: &TestResponse) {
    for cookie in response.cookies() {
        let pair = cookie.split(';').next().unwrap();
        assert!(pair.len() <= 4_096, "{} bytes", pair.len());
    }
}

#[test]
fn message_that_grows_when_stored_is_shown() {
    let site = Site::start();
    for text in texts() {
        for browser in [site.browser(), site.signed_in("alice")] {
            let response = browser.request("POST", "/push").form(&text).send();
            assert_eq!(response.status, 303, "{response:?}");
            assert_cookies_fit(&response);
            assert_eq!(browser.read_messages(), format!("[success] {text}"));
            assert_eq!(browser.read_messages(), "");
        }
    }
}

#[test]
fn message_beyond_the_limit_is_dropped() {
    let site = Site::start();
    for browser in [site.browser(), site.signed_in("alice")] {
        for text in texts() {
            let response = browser.request("POST", "/push").form(&text.repeat(4)).send();
            assert_eq!(response.status, 303, "{response:?}");
            assert_cookies_fit(&response);
            assert_eq!(browser.read_messages(), "");
        }
    }
}

#[test]
fn oldest_messages_are_dropped_first() {
    let site = Site::start();
    for (browser, is_anonymous) in [(site.browser(), true), (site.signed_in("alice"), false)] {
        for text in texts() {
            for n in 0..4 {
                let push = browser.request("POST", "/push").form(&format!("{n}{text}"));
                let response = push.send();
                assert_eq!(response.status, 303, "{response:?}");
                assert_cookies_fit(&response);
            }
            let messages = browser.read_messages();
            // A cookie holds one of the messages, a record holds several.
            assert!(messages.ends_with(&format!("[success] 3{text}")));
            assert_eq!(messages.matches("[success]").count() == 1, is_anonymous);
        }
    }
}

#[test]
fn entries_of_a_visitor_take_priority_over_messages() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/cart", web::post().to(cart));
        })
        .start();
    let browser = site.browser();
    browser.post("/cart", "2000");
    let response = browser.request("POST", "/push").form(&"x".repeat(2_000)).send();
    assert_eq!(response.status, 303);
    assert_cookies_fit(&response);
    assert_eq!(
        (browser.read_messages(), browser.get("/visits").body),
        (String::new(), "1".to_owned())
    );
    let response = browser.post("/cart", "4000");
    assert_eq!((response.status, response.cookies().len()), (500, 0), "entries are never dropped");
    assert_eq!(browser.get("/visits").body, "2");
}

#[test]
fn entries_of_a_session_take_priority_over_messages() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/cart", web::post().to(cart));
        })
        .start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.post("/cart", "65000").status, 200);
    let response = alice.request("POST", "/push").form(&"x".repeat(2_000)).send();
    assert_eq!(response.status, 303);
    assert_eq!(alice.read_messages(), "");
}

async fn cart(session: Session, bytes: String) -> &'static str {
    session.insert("cart", "x".repeat(bytes.parse().unwrap())).unwrap();
    "stored"
}

#[test]
fn many_messages_keep_the_newest() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for n in 0..50 {
        let response =
            alice.request("POST", "/push").form(&format!("{n} {}", "x".repeat(200))).send();
        assert_eq!(response.cookies().len(), 0, "{n}");
    }
    let messages = alice.read_messages();
    assert!(
        messages.contains("[success] 49 ") && !messages.contains("[success] 30 "),
        "{messages}"
    );
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}
