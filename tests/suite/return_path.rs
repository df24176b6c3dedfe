//! Return paths, to which a user returns after signing in again.

use session_expire::{Policy, PolicyPatch, SessionExpire, error::ConfigError, minutes};
use session_expire_tests::{Browser, Site, TestResponse};

fn expired(site: &Site) -> Browser {
    let browser = site.signed_in("alice");
    site.advance(minutes(10));
    browser
}

#[test]
fn navigation_returns_to_its_own_url() {
    let site = Site::start();
    let alice = expired(&site);
    let response = alice.get("/private?a=1&b=%2F");
    assert_eq!(response.redirect(), (303, "/login?next=/private%3Fa%3D1%26b%3D%252F"));
    assert_eq!(response.header("x-session-expired"), "idle");
    assert_eq!(response.header("cache-control"), "no-store");
}

#[test]
fn form_post_returns_to_the_page_of_the_form() {
    let site = Site::start();
    let alice = expired(&site);
    assert_eq!(alice.post("/private", "x=1").redirect(), (303, "/login?next=/form"));
    let no_referer = site.browser().request("POST", "/private").form("x=1").send();
    assert_eq!(no_referer.redirect(), (303, "/login"));
    for foreign in
        ["https://evil.example/form", "//evil.example", "/form", "javascript:alert(1)", "\u{fc}"]
    {
        let browser = site.browser();
        let post = browser.request("POST", "/private").header("referer", foreign);
        assert_eq!(post.form("x=1").send().redirect(), (303, "/login"), "{foreign}");
    }
}

#[test]
fn path_of_another_host_is_no_return_path() {
    let site = Site::start();
    for path in ["//evil.example/private", "/private//evil.example"] {
        let response = site.browser().get(path);
        assert!(!response.header("location").contains("evil"), "{path}: {response:?}");
    }
}

#[test]
fn login_and_confirm_url_of_another_host_are_refused() {
    for url in ["https://evil.example/login", "//evil.example", "/\\evil.example", "login"] {
        for policy in [Policy::new().login_url(url), Policy::new().confirm_url(url)] {
            let built = SessionExpire::builder(policy).build();
            assert!(matches!(built, Err(ConfigError::NotLocalPath { .. })), "{url}");
        }
        for patch in [PolicyPatch::new().login_url(url), PolicyPatch::new().confirm_url(url)] {
            assert!(matches!(patch.validate(), Err(ConfigError::NotLocalPath { .. })), "{url}");
        }
    }
}

#[test]
fn htmx_request_returns_to_the_current_page() {
    let site = Site::start();
    let alice = expired(&site);
    let page = format!("{}/list?page=2", alice.base());
    let request = alice.request("GET", "/private").script().header("hx-request", "true");
    let response = request.header("hx-current-url", &page).send();
    assert_eq!(
        (response.status, response.header("hx-redirect")),
        (401, "/login?next=/list%3Fpage%3D2")
    );
}

#[test]
fn host_header_appears_in_no_response() {
    let site = Site::start();
    for host in
        ["evil.example", "evil.example:80@127.0.0.1", "127.0.0.1.evil.example", "\u{e9}", ""]
    {
        let request = format!(
            "GET /private?a=b HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n\
             Sec-Fetch-Mode: navigate\r\nConnection: close\r\n\r\n"
        );
        let response = site.browser().send_raw(request.as_bytes());
        assert!(!response.contains("evil"), "{response}");
        assert!(
            !response.contains("303") || response.contains("location: /login?next="),
            "{response}"
        );
    }
}

#[test]
fn long_url_is_no_return_path() {
    let site = Site::start();
    let path = format!("/private?q={}", "%F0".repeat(600));
    let response = site.browser().get(&path);
    assert_eq!(response.status, 303);
    assert!(response.header("location").len() <= 2_048);
}

#[test]
fn script_of_form_response_returns_to_the_form() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let script = |response: TestResponse| response.json()["script"].as_str().unwrap().to_owned();
    assert!(!script(alice.get("/vars")).contains("data-next"));
    assert!(script(alice.post("/vars", "")).contains(r#"data-next="/form""#));
    let no_referer = alice.request("POST", "/vars").form("").send();
    assert!(script(no_referer).contains(r#"data-next="""#));
}
