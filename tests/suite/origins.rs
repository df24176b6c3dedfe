//! Endpoints and other origins.

use session_expire::minutes;
use session_expire_tests::{Browser, Site};

fn site() -> Site {
    Site::builder().customise(|builder| builder.allowed_origins(["https://app.example"])).start()
}

fn send(browser: &Browser, method: &str, path: &str, site: &str, origin: &str) -> u16 {
    let request = browser.request(method, path).script().header("sec-fetch-site", site);
    request.header("origin", origin).send().status
}

#[test]
fn endpoints_refuse_other_origins_but_those_allowed() {
    let site = site();
    let alice = site.signed_in("alice");
    for (from, origin, expected) in [
        ("same-site", "https://evil.example", 403),
        ("cross-site", "https://evil.example", 403),
        ("same-site", "https://app.example:8443", 403),
        ("same-site", "http://app.example", 403),
        ("same-site", "null", 403),
        ("same-site", "https://app.example", 200),
        ("cross-site", "https://app.example", 200),
    ] {
        for (method, path) in [("GET", "/session/status"), ("POST", "/session/keep-alive")] {
            assert_eq!(
                send(&alice, method, path, from, origin),
                expected,
                "{path} {from} {origin}"
            );
        }
    }
    assert_eq!(send(&alice, "POST", "/session/logout", "cross-site", "https://evil.example"), 403);
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(send(&alice, "POST", "/session/logout", "same-site", "https://app.example"), 200);
    assert_eq!(alice.user_at("/private"), None);
}

#[test]
fn refused_sign_out_of_another_origin_ends_no_session() {
    let site = Site::builder().customise(|b| b.logout_url("/session/logout")).start();
    let alice = site.signed_in("alice");
    site.pass(minutes(15)); // expired for the application, not for the laxer page
    let forged = alice.request("POST", "/session/logout").header("sec-fetch-site", "same-site");
    let answer = forged.send();
    assert_eq!((answer.status, answer.cookies().len()), (403, 0), "{answer:?}");
    assert_eq!(alice.user_at("/looser").as_deref(), Some("alice"));
}

#[test]
fn status_is_not_sniffed_and_not_embedded() {
    let site = site();
    let response = site.signed_in("alice").fetch("/session/status");
    assert_eq!(response.header("x-content-type-options"), "nosniff");
    assert_eq!(response.header("cross-origin-resource-policy"), "same-origin");
}

#[test]
fn large_keep_alive_is_a_413_problem() {
    let site = site();
    let alice = site.signed_in("alice");
    let body = format!("idle_for={}", "0".repeat(100_000));
    let response = alice.request("POST", "/session/keep-alive").script().form(&body).send();
    assert_eq!(
        (response.status, response.header("content-type")),
        (413, "application/problem+json")
    );
}
