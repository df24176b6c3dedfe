//! Reasons of ended sessions. Each is shown once.

use actix_session::Session;
use actix_web::{HttpResponse, web};
use session_expire::{FlashMessages, Policy, PolicyPatch, Reason, minutes};
use session_expire_tests::{Browser, Site};

const IDLE: &str =
    "[warning idle] You were signed out because you had not been active for a while.";

fn expired(site: &Site) -> Browser {
    let browser = site.signed_in("alice");
    site.advance(minutes(10));
    browser
}

#[test]
fn reason_is_shown_once_on_the_login_page() {
    let site = Site::start();
    let alice = expired(&site);
    assert_eq!(alice.get("/private").status, 303);
    assert_eq!(alice.get("/login").body, IDLE);
    assert_eq!(alice.get("/login").body, "");
}

#[test]
fn reason_is_shown_by_the_first_page_with_messages() {
    let site = Site::start();
    let alice = expired(&site);
    assert_eq!(alice.read_messages(), IDLE);
    assert_eq!(alice.read_messages(), "");
    alice.sign_in("alice");
    assert!(!alice.cookie().contains("anonymous"), "the login deletes the cookie");
}

#[test]
fn head_request_leaves_the_reason_unread() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/messages", web::head().to(show_messages));
        })
        .start();
    let alice = expired(&site);
    assert_eq!(alice.request("HEAD", "/messages").send().status, 200);
    assert_eq!(alice.get("/login").body, IDLE);
}

#[test]
fn poll_leaves_the_reason_unread() {
    let site = Site::start();
    let alice = expired(&site);
    for _ in 0..3 {
        assert_eq!(alice.fetch("/poll").status, 401);
    }
    assert_eq!(alice.read_messages(), IDLE);
}

#[test]
fn sign_out_of_expired_session_drops_the_reason() {
    for (path, messages) in [
        ("/logout", ""),
        ("/sign-out", ""),
        ("/session/logout", "[success logged_out] You have signed out."),
    ] {
        let site = Site::start();
        let alice = expired(&site);
        alice.post(path, "");
        assert_eq!(alice.read_messages(), messages, "{path}");
    }
}

#[test]
fn failed_login_drops_the_reason() {
    let site = Site::start();
    let alice = expired(&site);
    assert_eq!(alice.post("/login", "user=wrong").status, 401);
    assert_eq!(alice.read_messages(), "");
}

#[test]
fn each_reason_has_its_own_text() {
    let site =
        Site::builder().policy(Policy::new().idle(minutes(10)).absolute(minutes(15))).start();
    let alice = site.signed_in("alice");
    site.advance(minutes(9));
    alice.get("/private");
    site.advance(minutes(6));
    assert!(alice.read_messages().contains("time limit"));
    let bob = site.signed_in("bob");
    let copy = bob.copy();
    bob.post("/logout", "");
    assert_eq!(copy.read_messages(), "[success logged_out] You have signed out.");
}

#[test]
fn policy_message_replaces_all_texts() {
    let message = "The session has expired. Please login again to continue.";
    let site = Site::builder().policy(Policy::new().idle(minutes(10)).message(message)).start();
    assert_eq!(expired(&site).read_messages(), format!("[warning idle] {message}"));
}

#[test]
fn text_follows_reason_and_language() {
    let site = Site::builder()
        .customise(|builder| {
            builder.ended_texts(|notice| {
                match (notice.reason, notice.languages.best_of(&["en", "de"])) {
                    (Reason::Idle, Some("de")) => "Sie waren zu lange untätig.".to_owned(),
                    (reason, _) => format!("Ended: {reason}"),
                }
            })
        })
        .start();
    for (header, text) in [
        ("de-AT,en;q=0.5", "Sie waren zu lange untätig."),
        ("en,de;q=0.5", "Ended: idle"),
        (";;;", "Ended: idle"),
    ] {
        let alice = expired(&site);
        let response =
            alice.request("GET", "/private").script().header("accept-language", header).send();
        assert_eq!(response.json()["detail"], text, "{header}");
        let page = alice.request("GET", "/messages").header("accept-language", header).send();
        assert_eq!(page.body, format!("[warning idle] {text}"), "{header}");
    }
}

#[test]
fn challenged_page_leaves_the_reason_unread() {
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
    assert_eq!(alice.read_messages(), IDLE);
}

#[test]
fn login_drops_the_reason() {
    for (path, user) in [("/login", "alice"), ("/login", "bob"), ("/sign-in", "alice")] {
        for page in ["/private", "/public", "/stricter"] {
            let site = Site::start();
            let alice = expired(&site);
            alice.get(page);
            assert_eq!(alice.post(path, &format!("user={user}")).status, 303);
            assert_eq!(alice.user_at("/private").as_deref(), Some(user), "{path} {user} {page}");
            assert_eq!(alice.read_messages(), "", "{path} {user} {page}");
            alice.post("/sign-out", "");
            assert_eq!(alice.read_messages(), "", "{path} {user} {page}");
        }
    }
}

#[test]
fn login_drops_the_message_of_the_sign_out() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    alice.post("/session/logout", "");
    alice.sign_in("alice");
    assert_eq!(alice.read_messages(), "");
}

#[test]
fn reason_of_a_page_is_shown_on_the_login_page_only() {
    let routes: fn(&mut web::ServiceConfig) = |cfg| {
        let own = PolicyPatch::new().idle(minutes(1)).message("Too long.");
        let page = || async { HttpResponse::Unauthorized().finish() };
        cfg.service(web::resource("/own").wrap(own).route(web::get().to(page)));
    };
    let site = Site::builder().routes(routes).start();
    let (reading, skipping) = (expired(&site), expired(&site));
    for browser in [&reading, &skipping] {
        assert_eq!(browser.get("/own").status, 303);
    }
    assert_eq!(reading.get("/login").body, "[warning idle] Too long.");
    skipping.sign_in("alice");
    assert_eq!(skipping.read_messages(), "");
}

fn session_routes(cfg: &mut web::ServiceConfig) {
    let with = |act: fn(&Session)| {
        web::get().to(move |session: Session| async move {
            act(&session);
            HttpResponse::Ok().finish()
        })
    };
    cfg.route("/clear", with(Session::clear))
        .route("/purge", with(Session::purge))
        .route("/renew", with(Session::renew));
}

#[test]
fn clear_of_expired_session_keeps_the_reason() {
    for path in ["/clear", "/purge", "/renew"] {
        let site = Site::builder().routes(session_routes).start();
        let alice = expired(&site);
        assert_eq!(alice.get(path).status, 200);
        assert!(alice.read_messages().starts_with("[warning idle]"), "{path}");
    }
}

#[test]
fn empty_policy_message_shows_no_reason() {
    let site = Site::builder().policy(Policy::new().idle(minutes(10)).message("")).start();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    assert_eq!(alice.get("/login").body, "");
}

#[test]
fn cross_site_login_form_keeps_the_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let post = alice.request("POST", "/login").header("sec-fetch-site", "cross-site");
    assert_eq!(post.form("user=wrong").send().status, 401);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn reason_read_by_a_script_keeps_laxer_pages() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    assert!(alice.fetch("/messages").body.starts_with("[warning idle]"));
    assert_eq!(alice.fetch("/messages").body, "");
    assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"));
}

#[test]
fn failed_login_over_expired_session_keeps_laxer_pages() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    assert_eq!(alice.post("/login", "user=wrong").status, 401);
    assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"));
}

#[test]
fn ended_key_is_not_loaded_after_its_reason() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    assert!(alice.read_messages().starts_with("[warning idle]"));
    site.registry.take_operations();
    assert_eq!(alice.read_messages(), "");
    assert_eq!(site.registry.take_operations(), [""; 0]);
}

async fn show_messages(messages: FlashMessages) -> String {
    messages.into_iter().map(|message| message.to_string()).collect()
}

#[test]
fn reason_read_on_a_stricter_page_hides_no_later_one() {
    let site = Site::builder()
        .policy(Policy::new().max_sessions(1).idle(minutes(10)))
        .routes(|cfg| {
            let page = web::resource("/strict-messages").wrap(PolicyPatch::new().idle(minutes(1)));
            cfg.service(page.route(web::get().to(show_messages)));
        })
        .start();
    let alice = site.signed_in("alice");
    site.advance(minutes(5));
    assert_ne!(alice.get("/strict-messages").body, "", "expired on this page");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    let _other = site.signed_in("alice");
    assert!(alice.read_messages().contains("evicted"), "the reason of the eviction");
}
