//! Endpoints: prefix, methods and assets.

use session_expire_tests::{Browser, Site};

#[test]
fn get_request_changes_nothing() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for path in ["/session/keep-alive", "/session/logout"] {
        assert_eq!(alice.get(path).status, 405, "{path}");
    }
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn endpoints_have_a_configurable_prefix() {
    let site =
        Site::builder().customise(|builder| builder.endpoints_prefix("/auth/session")).start();
    let alice = site.signed_in("alice");
    assert_eq!(alice.fetch("/auth/session/status").json()["state"], "active");
    assert!(script_url(&script_element(&alice)).starts_with("/auth/session/session."));
}

/// Returns the `script` element of a page.
fn script_element(browser: &Browser) -> String {
    browser.get("/vars").json()["script"].as_str().unwrap().to_owned()
}

fn script_url(element: &str) -> &str {
    element.split('"').nth(1).unwrap()
}

#[test]
fn script_for_an_ended_session_sets_no_cookie() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let (copy, element) = (alice.copy(), script_element(&alice));
    alice.post("/logout", "");
    let response = copy.get(script_url(&element));
    let cache = "private, max-age=31536000, immutable";
    assert_eq!((response.cookies().len(), response.header("cache-control")), (0, cache));
}

#[test]
fn script_is_cacheable_and_not_inline() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let script = script_element(&alice);
    assert!(
        script.starts_with("<script src=\"/session/session.")
            && script.ends_with(" defer></script>")
    );
    for (browser, visibility) in [(&alice, "private"), (&site.browser(), "public")] {
        let response = browser.get(script_url(&script));
        assert_eq!(
            (response.status, response.header("content-type")),
            (200, "text/javascript; charset=utf-8")
        );
        let expected = format!("{visibility}, max-age=31536000, immutable");
        assert_eq!(response.header("cache-control"), expected);
        assert!(response.body.contains("script[data-status]"));
    }
}

#[test]
fn style_is_cacheable() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let dialog = alice.get("/vars").json()["dialog"].as_str().unwrap().to_owned();
    let style = alice.get(dialog.split("href=\"").nth(1).unwrap().split('"').next().unwrap());
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(style.header("cache-control"), "private, max-age=31536000, immutable");
}
