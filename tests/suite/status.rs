//! Status endpoint.

use actix_web::web;
use session_expire::{Limit, Policy, SessionHandle, minutes, seconds};
use session_expire_tests::{Browser, Site};

fn status(browser: &Browser, query: &str) -> serde_json::Value {
    let response = browser.fetch(&format!("/session/status{query}"));
    assert_eq!((response.status, response.header("cache-control")), (200, "no-store"));
    response.json()
}

#[test]
fn status_describes_the_session() {
    let site = Site::start();
    assert_eq!(status(&site.browser(), ""), serde_json::json!({"state": "anonymous"}));
    let alice = site.signed_in("alice");
    site.advance(seconds(17));
    let active = serde_json::json!({
        "state": "active",
        "seconds_until_idle_end": 583,
        "seconds_until_session_end": 8 * 3_600 - 17,
        "warn_seconds": 120,
    });
    assert_eq!(status(&alice, ""), active);
    site.advance(minutes(10));
    let expired = serde_json::json!({"state": "expired", "reason": "idle", "login_url": "/login"});
    assert_eq!(status(&alice, ""), expired);
}

#[test]
fn status_of_timeouts_that_are_off_is_null() {
    let policy = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let site = Site::builder().policy(policy).start();
    let status = status(&site.signed_in("alice"), "");
    for key in ["seconds_until_idle_end", "seconds_until_session_end", "warn_seconds"] {
        assert!(status[key].is_null() && status.get(key).is_some(), "{key}: {status}");
    }
}

#[test]
fn status_request_is_no_activity() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for left in (1..10).rev() {
        site.advance(minutes(1));
        assert_eq!(status(&alice, "")["seconds_until_idle_end"], left * 60);
    }
    site.advance(minutes(1));
    assert_eq!(status(&alice, "")["state"], "expired");
}

#[test]
fn status_ends_no_session_of_a_laxer_page() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let markup = alice.get("/vars").json()["script"].as_str().unwrap().to_owned();
    site.advance(minutes(30));
    assert_eq!(status(&alice, "")["state"], "expired");
    assert_eq!(alice.request("POST", "/session/keep-alive").script().send().status, 401);
    let script = alice.fetch(markup.split('"').nth(1).unwrap());
    assert_eq!((script.status, script.cookies().len()), (200, 0));
    assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"));
}

#[test]
fn reason_is_the_same_in_all_tabs() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    for _ in 0..3 {
        assert_eq!(status(&alice, "")["reason"], "idle");
        assert_eq!(alice.fetch("/private").header("x-session-expired"), "idle");
    }
}

#[test]
fn status_reveals_no_other_user() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/id", web::get().to(id));
        })
        .start();
    assert_eq!(site.browser().fetch("/session/status").body, r#"{"state":"anonymous"}"#);
    let (alice, mallory) = (site.signed_in("alice"), site.signed_in("mallory"));
    let status = |id: &str| mallory.fetch(&format!("/session/status?login={id}")).body;
    let id = alice.get("/id").body;
    let active = status(&id);
    alice.post("/session/logout", "");
    for other in [id.as_str(), "AAAAAAAAAAAAAAAA", "-"] {
        assert_eq!(status(other), active, "{other}");
    }
}

async fn id(session: SessionHandle) -> String {
    session.id().map(|id| id.to_string()).unwrap_or_default()
}

/// The middleware does not load the session of the `login` parameter.
#[test]
fn status_costs_one_load() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for login in ["AAAAAAAAAAAAAAAA", "", "AAAAAAAAAAAAAAAA.0000000000000000", "x.y.z"] {
        drop(site.registry.take_operations());
        let response = alice.fetch(&format!("/session/status?login={login}"));
        assert_eq!(response.json()["state"], "replaced", "{login}");
        assert_eq!(site.registry.take_operations(), ["load"], "{login}");
    }
}

#[test]
fn status_cannot_be_sniffed_or_embedded() {
    let site = Site::start();
    let response = site.signed_in("alice").fetch("/session/status");
    assert_eq!(response.header("x-content-type-options"), "nosniff");
    assert_eq!(response.header("cross-origin-resource-policy"), "same-origin");
}
