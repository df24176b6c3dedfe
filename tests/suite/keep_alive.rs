//! Keep-alive endpoint.

use session_expire::minutes;
use session_expire_tests::{Browser, Site, TestResponse};

fn keep_alive(browser: &Browser, form: &str) -> TestResponse {
    browser.request("POST", "/session/keep-alive").script().form(form).send()
}

#[test]
fn keep_alive_records_activity() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(9));
    for (body, left) in
        [("idle_for=60", 540), ("idle_for=12.5", 588), ("idle_for=0", 600), ("", 600)]
    {
        let response = keep_alive(&alice, body);
        assert_eq!(
            (response.status, response.json()["seconds_until_idle_end"].as_u64()),
            (200, Some(left)),
            "{body}"
        );
    }
    let json =
        alice.request("POST", "/session/keep-alive").script().json(r#"{"idle_for": 0.5}"#).send();
    assert_eq!(json.json()["seconds_until_idle_end"], 600);
    site.advance(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn older_activity_changes_nothing() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(5));
    for body in ["idle_for=301", "idle_for=1e9", "idle_for=1e300"] {
        assert_eq!(keep_alive(&alice, body).json()["seconds_until_idle_end"], 300, "{body}");
    }
}

#[test]
fn keep_alive_revives_no_expired_session() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(10));
    let response = keep_alive(&alice, "idle_for=0");
    assert_eq!((response.status, response.json()["state"].as_str()), (401, Some("expired")));
    assert_eq!(response.json()["reason"], "idle");
    assert_eq!(alice.user_at("/private"), None);
    assert_eq!(keep_alive(&site.browser(), "idle_for=0").json()["state"], "anonymous");
}

#[test]
fn invalid_keep_alive_is_400_and_changes_nothing() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(5));
    for body in [
        "idle_for=-1",
        "idle_for=NaN",
        "idle_for=inf",
        "idle_for=-inf",
        "idle_for=x",
        "idle_for=",
        "idle_for=1;2",
        "idle_for",
        "text",
        "%%%",
        "<a/>",
        "other=1",
    ] {
        let response = keep_alive(&alice, body);
        assert_eq!(
            (response.status, response.header("content-type")),
            (400, "application/problem+json"),
            "{body}"
        );
    }
    for json in [
        r#"{"idle_for": -1}"#,
        r#"{"idle_for": "1"}"#,
        "[1",
        "null",
        r#"{"idle_for": 1e999}"#,
        "\"\"",
        "{}",
    ] {
        let response = alice.request("POST", "/session/keep-alive").script().json(json).send();
        assert_eq!(response.status, 400, "{json}");
    }
    assert_eq!(alice.fetch("/session/status").json()["seconds_until_idle_end"], 300);
}

#[test]
fn large_keep_alive_is_413() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(minutes(5));
    for body in [
        format!("idle_for={}", "0".repeat(100_000)),
        format!("idle_for=0&x={}", "y".repeat(10_000)),
    ] {
        let response = keep_alive(&alice, &body);
        let content_type = response.header("content-type");
        assert_eq!((response.status, content_type), (413, "application/problem+json"));
    }
    assert_eq!(alice.fetch("/session/status").json()["seconds_until_idle_end"], 300);
}
