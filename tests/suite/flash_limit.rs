//! How much text flash messages may hold: counted as it is stored.

use session_expire_tests::{Answer, Site};

/// Texts that take more bytes in JSON, in a cookie or in both than in memory.
fn texts() -> Vec<String> {
    let texts =
        [("\"", 1_400), ("\\", 1_400), ("\u{1}", 470), ("é", 1_400), ("=;,", 900), ("😀", 700)];
    texts.iter().map(|(text, times)| text.repeat(*times)).collect()
}

fn assert_cookies_fit(answer: &Answer) {
    for cookie in answer.cookies() {
        let pair = cookie.split(';').next().unwrap();
        assert!(pair.len() <= 4_096, "{} bytes", pair.len());
    }
}

#[test]
fn message_that_grows_when_it_is_stored_arrives() {
    let site = Site::start();
    for text in texts() {
        for browser in [site.browser(), site.signed_in("alice")] {
            let answer = browser.request("POST", "/push").form(&text).send();
            assert_eq!(answer.status, 303, "{answer:?}");
            assert_cookies_fit(&answer);
            assert_eq!(browser.messages(), format!("[success] {text}"));
            assert_eq!(browser.messages(), "");
        }
    }
}

#[test]
fn message_beyond_the_limit_is_dropped_and_the_work_is_done() {
    let site = Site::start();
    for browser in [site.browser(), site.signed_in("alice")] {
        for text in texts() {
            let answer = browser.request("POST", "/push").form(&text.repeat(4)).send();
            assert_eq!(answer.status, 303, "{answer:?}");
            assert_cookies_fit(&answer);
            assert_eq!(browser.messages(), "");
        }
    }
}

#[test]
fn oldest_messages_give_way_to_new_ones() {
    let site = Site::start();
    for (browser, is_anonymous) in [(site.browser(), true), (site.signed_in("alice"), false)] {
        for text in texts() {
            for n in 0..4 {
                let push = browser.request("POST", "/push").form(&format!("{n}{text}"));
                let answer = push.send();
                assert_eq!(answer.status, 303, "{answer:?}");
                assert_cookies_fit(&answer);
            }
            let messages = browser.messages();
            assert!(messages.ends_with(&format!("[success] 3{text}")));
            assert_eq!(messages.matches("[success]").count() == 1, is_anonymous);
        }
    }
}

#[test]
fn messages_give_way_to_the_entries_of_an_anonymous_visitor() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/cart", actix_web::web::post().to(cart));
        })
        .start();
    let browser = site.browser();
    browser.post("/cart", "2000");
    let answer = browser.request("POST", "/push").form(&"x".repeat(2_000)).send();
    assert_eq!(answer.status, 303);
    assert_cookies_fit(&answer);
    assert_eq!((browser.messages(), browser.get("/visits").body), (String::new(), "1".to_owned()));
    let answer = browser.post("/cart", "4000");
    assert_eq!((answer.status, answer.cookies().len()), (500, 0), "entries never give way");
    assert_eq!(browser.get("/visits").body, "2");
}

#[test]
fn messages_give_way_to_the_entries_of_a_session() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/cart", actix_web::web::post().to(cart));
        })
        .start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.post("/cart", "65000").status, 200);
    let answer = alice.request("POST", "/push").form(&"x".repeat(2_000)).send();
    assert_eq!(answer.status, 303);
    assert_eq!(alice.messages(), "");
}

async fn cart(session: actix_session::Session, bytes: String) -> &'static str {
    session.insert("cart", "x".repeat(bytes.parse().unwrap())).unwrap();
    "stored"
}
