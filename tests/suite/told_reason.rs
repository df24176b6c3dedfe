//! A key whose reason was told is not looked up again: so only a dead key may be marked.

use actix_web::web;
use session_expire::{FlashMessages, Policy, PolicyPatch, minutes};
use session_expire_tests::Site;

#[test]
fn post_to_the_login_page_from_another_site_keeps_the_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let post = alice.request("POST", "/login").header("sec-fetch-site", "cross-site");
    assert_eq!(post.form("user=wrong").send().status, 401);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn reason_shown_to_a_script_keeps_the_laxer_page() {
    // The reason is told once all the same.
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    assert!(alice.fetch("/messages").body.starts_with("[warning idle]"));
    assert_eq!(alice.fetch("/messages").body, "");
    assert_eq!(alice.user_at("/looser").as_deref(), Some("alice"));
}

#[test]
fn wrong_password_over_an_expired_session_keeps_the_laxer_page() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    assert_eq!(alice.post("/login", "user=wrong").status, 401);
    assert_eq!(alice.user_at("/looser").as_deref(), Some("alice"));
}

#[test]
fn dead_key_is_not_looked_up_again_once_its_reason_was_told() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.pass(minutes(10));
    assert!(alice.messages().starts_with("[warning idle]"));
    site.registry.asked();
    assert_eq!(alice.messages(), "");
    assert_eq!(site.registry.asked(), [""; 0]);
}

async fn news(messages: FlashMessages) -> String {
    messages.into_iter().map(|message| message.to_string()).collect()
}

#[test]
fn reason_told_by_a_stricter_page_hides_no_later_one() {
    let site = Site::builder()
        .policy(Policy::new().max_sessions(1).idle(minutes(10)))
        .routes(|cfg| {
            let page = web::resource("/strict-news").wrap(PolicyPatch::new().idle(minutes(1)));
            cfg.service(page.route(web::get().to(news)));
        })
        .start();
    let alice = site.signed_in("alice");
    site.pass(minutes(5));
    assert_ne!(alice.get("/strict-news").body, "", "expired on this page");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    let _elsewhere = site.signed_in("alice");
    assert!(alice.messages().contains("evicted"), "why alice was signed out is told");
}
