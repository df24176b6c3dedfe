//! Messages reach a person, once, and in order; a reason is told to whoever may wonder.

use actix_web::{HttpResponse, web};
use session_expire::{FlashMessage, FlashMessages, Level, Policy, Reason, minutes};
use session_expire_tests::{Browser, Site};

const IDLE: &str =
    "[warning idle] You were signed out because you had not been active for a while.";

fn expired(site: &Site) -> Browser {
    let browser = site.signed_in("alice");
    site.pass(minutes(10));
    browser
}

#[test]
fn the_reason_is_told_on_the_next_page_and_only_once() {
    let site = Site::start();
    let alice = expired(&site);
    assert_eq!(alice.get("/private").status, 303);
    assert_eq!(alice.get("/login").body, IDLE);
    assert_eq!(alice.get("/login").body, "");
}

#[test]
fn a_page_that_shows_messages_tells_the_reason_at_once() {
    let site = Site::start();
    let alice = expired(&site);
    assert_eq!(alice.messages(), IDLE);
    assert_eq!(alice.messages(), "");
    alice.sign_in("alice");
    assert!(!alice.cookie().contains("anonymous"), "nothing is left to remember");
}

#[test]
fn a_page_without_its_body_has_shown_nothing() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/messages", web::head().to(read_all));
        })
        .start();
    let alice = expired(&site);
    assert_eq!(alice.request("HEAD", "/messages").send().status, 200);
    assert_eq!(alice.get("/login").body, IDLE);
}

async fn read_all(messages: FlashMessages) -> String {
    messages.into_iter().map(|message| message.text().to_owned()).collect()
}

#[test]
fn poll_leaves_the_message_unread() {
    let site = Site::start();
    let alice = expired(&site);
    for _ in 0..3 {
        assert_eq!(alice.fetch("/poll").status, 401);
    }
    assert_eq!(alice.messages(), IDLE);
}

#[test]
fn messages_keep_their_order_through_redirects() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for text in ["first", "second", "third"] {
        alice.request("POST", "/push").form(text).send();
    }
    alice.get("/private");
    alice.get("/public");
    assert_eq!(alice.messages(), "[success] first|[success] second|[success] third");
    assert_eq!(alice.messages(), "");
}

#[test]
fn a_stranger_has_messages_too() {
    let site = Site::start();
    let browser = site.browser();
    browser.request("POST", "/push").form("hello").send();
    assert_eq!(browser.messages(), "[success] hello");
    assert_eq!(browser.messages(), "");
}

#[test]
fn a_message_survives_the_logout_that_pushed_it() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let before = alice.stolen();
    assert_eq!(alice.post("/logout-with-message", "").status, 303);
    assert_eq!(alice.messages(), "[info] Bye.");
    assert_eq!(alice.user_at("/private"), None);
    assert_eq!(before.user_at("/private"), None);
}

#[test]
fn a_message_that_waited_ends_with_the_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    alice.request("POST", "/push").form("Saved.").send();
    site.pass(minutes(10));
    alice.get("/private");
    assert_eq!(alice.messages(), IDLE, "whoever sits there now need not be the one it was for");
}

#[test]
fn whoever_signs_out_of_an_expired_session_is_not_told_why_it_ended() {
    for (path, messages) in [
        ("/logout", ""),
        ("/sign-out", ""),
        ("/session/logout", "[success logged_out] You have signed out."),
    ] {
        let site = Site::start();
        let alice = expired(&site);
        alice.post(path, "");
        assert_eq!(alice.messages(), messages, "{path}");
    }
}

#[test]
fn whoever_fills_in_the_login_form_is_not_told_why_the_old_session_ended() {
    for user in ["wrong", "alice"] {
        let site = Site::start();
        let alice = expired(&site);
        alice.post("/login", &format!("user={user}"));
        assert_eq!(alice.messages(), "", "{user}");
    }
}

#[test]
fn every_reason_has_a_text_of_its_own() {
    let site =
        Site::builder().policy(Policy::new().idle(minutes(10)).absolute(minutes(15))).start();
    let alice = site.signed_in("alice");
    site.pass(minutes(9));
    alice.get("/private");
    site.pass(minutes(6));
    assert!(alice.messages().contains("time limit"));
    let bob = site.signed_in("bob");
    let left_behind = bob.stolen();
    bob.post("/logout", "");
    assert_eq!(left_behind.messages(), "[success logged_out] You have signed out.");
}

#[test]
fn one_message_can_replace_all_texts() {
    let message = "The session has expired. Please login again to continue.";
    let site = Site::builder().policy(Policy::new().idle(minutes(10)).message(message)).start();
    assert_eq!(expired(&site).messages(), format!("[warning idle] {message}"));
}

#[test]
fn a_function_of_reason_and_language_can_replace_the_texts() {
    let site = Site::builder()
        .customise(|builder| {
            builder.texts(|notice| match (notice.reason, notice.languages.best_of(&["en", "de"])) {
                (Reason::Idle, Some("de")) => "Sie waren zu lange untätig.".to_owned(),
                (reason, _) => format!("Over: {reason}"),
            })
        })
        .start();
    for (header, text) in [
        ("de-AT,en;q=0.5", "Sie waren zu lange untätig."),
        ("en,de;q=0.5", "Over: idle"),
        (";;;", "Over: idle"),
    ] {
        let alice = expired(&site);
        let answer =
            alice.request("GET", "/private").script().header("accept-language", header).send();
        assert_eq!(answer.json()["detail"], text, "{header}");
        let page = alice.request("GET", "/messages").header("accept-language", header).send();
        assert_eq!(page.body, format!("[warning idle] {text}"), "{header}");
    }
}

#[test]
fn many_messages_keep_the_newest_and_the_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for n in 0..50 {
        let answer =
            alice.request("POST", "/push").form(&format!("{n} {}", "x".repeat(200))).send();
        assert_eq!(answer.cookies().len(), 0, "{n}");
    }
    let messages = alice.messages();
    assert!(
        messages.contains("[success] 49 ") && !messages.contains("[success] 30 "),
        "{messages}"
    );
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn what_is_pushed_after_the_page_has_shown_its_messages_waits_for_the_next_page() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let page = |messages: FlashMessages| async move {
            messages.push(FlashMessage::new(Level::Debug, "before").with_tags("a b"));
            let shown = messages.show();
            messages.error("after");
            HttpResponse::Ok().body(shown.iter().map(FlashMessage::tags).collect::<String>())
        };
        cfg.route("/mixed", web::get().to(page));
    };
    let site = Site::builder().routes(routes).start();
    let browser = site.browser();
    assert_eq!(browser.get("/mixed").body, "debug a b");
    assert_eq!(browser.messages(), "[error] after");
}

#[test]
fn a_page_that_is_replaced_by_the_challenge_has_shown_nothing() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let page = |messages: FlashMessages| async move {
            let _ = messages.show();
            HttpResponse::Unauthorized().finish()
        };
        cfg.route("/empty-401", web::get().to(page));
    };
    let site = Site::builder().routes(routes).start();
    let alice = expired(&site);
    assert_eq!(alice.get("/empty-401").status, 303);
    assert_eq!(alice.messages(), IDLE);
}

#[test]
fn reason_of_an_ended_session_is_dropped_at_the_next_login() {
    for (path, user) in [("/login", "alice"), ("/login", "bob"), ("/sign-in", "alice")] {
        for page in ["/private", "/public", "/stricter"] {
            let site = Site::start();
            let alice = expired(&site);
            alice.get(page);
            assert_eq!(alice.post(path, &format!("user={user}")).status, 303);
            assert_eq!(alice.user_at("/private").as_deref(), Some(user), "shows no messages");
            assert_eq!(alice.messages(), "", "{path} {user} {page}");
            alice.post("/sign-out", "");
            assert_eq!(alice.messages(), "", "{path} {user} {page}");
        }
    }
}

#[test]
fn user_who_signs_in_again_is_not_told_of_the_sign_out() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    alice.post("/session/logout", "");
    alice.sign_in("alice");
    assert_eq!(alice.messages(), "");
}

#[test]
fn reason_kept_for_the_login_page_is_dropped_at_the_next_login() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let own = session_expire::PolicyPatch::new().idle(minutes(1)).message("Too long.");
        let page = || async { HttpResponse::Unauthorized().finish() };
        cfg.service(web::resource("/own").wrap(own).route(web::get().to(page)));
    };
    let site = Site::builder().routes(routes).start();
    let (told, untold) = (expired(&site), expired(&site));
    for browser in [&told, &untold] {
        assert_eq!(browser.get("/own").status, 303);
    }
    assert_eq!(told.get("/login").body, "[warning idle] Too long.");
    untold.sign_in("alice");
    assert_eq!(untold.messages(), "");
}
