//! `signed-in`, the last page of the sign-in for a locked page.

use session_expire::{
    Policy, minutes,
    page::{DialogTexts, Languages},
};
use session_expire_tests::{Browser, Site, TestRegistry, TestResponse};

const SIGNED_IN: &str = "You are signed in. You can close this tab.";
const NOT_SIGNED_IN: &str = "You are not signed in.";

fn assert_safe_page(response: &TestResponse) {
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("x-content-type-options"), "nosniff");
    let csp = response.header("content-security-policy");
    assert!(csp.contains("default-src 'self'") && csp.contains("frame-ancestors 'none'"), "{csp}");
    assert!(response.cookies().is_empty(), "{:?}", response.cookies());
}

fn assert_style(browser: &Browser, page: &TestResponse, prefix: &str) {
    let style = page.body.split("<link rel=\"stylesheet\" href=\"").nth(1).unwrap();
    let style = style.split('"').next().unwrap();
    assert!(style.starts_with(&format!("{prefix}/signed_in.")), "{style}");
    let file = browser.get(style);
    assert_eq!((file.status, file.header("content-type")), (200, "text/css; charset=utf-8"));
}

#[test]
fn signed_in_page_announces_the_sign_in_and_names_no_user() {
    for (prefix, site) in [
        ("/session", Site::builder().start()),
        (
            "/auth/s",
            Site::builder().customise(|builder| builder.endpoints_prefix("/auth/s")).start(),
        ),
    ] {
        let alice = site.signed_in("alice");
        let page = alice.get(&format!("{prefix}/signed-in"));
        assert_safe_page(&page);
        assert!(page.body.contains(&format!("<h1>{SIGNED_IN}</h1>")), "{}", page.body);
        assert!(page.body.contains(&format!("data-channel=\"session-expire{prefix}\"")));
        assert!(!page.body.contains("alice") && !page.body.contains("<style"), "{}", page.body);
        let script = page.body.split("src=\"").nth(1).unwrap().split('"').next().unwrap();
        let file = alice.get(script);
        assert_eq!(
            (file.status, file.header("content-type")),
            (200, "text/javascript; charset=utf-8")
        );
        assert!(file.header("cache-control").ends_with("max-age=31536000, immutable"));
        assert_style(&alice, &page, prefix);
        assert!(script.starts_with(&format!("{prefix}/signed_in.")), "{script}");
    }
}

#[test]
fn signed_in_page_leads_a_visitor_to_the_login_page_and_back() {
    let site = Site::builder().start();
    let expired = site.signed_in("alice");
    site.advance(minutes(10));
    for browser in [&site.browser(), &expired] {
        let page = browser.get("/session/signed-in");
        assert_safe_page(&page);
        assert!(page.body.contains(&format!("<h1>{NOT_SIGNED_IN}</h1>")), "{}", page.body);
        assert!(page.body.contains("<a href=\"/login?next=/session/signed-in\">Sign in</a>"));
        assert!(!page.body.contains("<script"), "a visitor announces nothing");
        assert_style(browser, &page, "/session");
    }
    let login = expired.post("/login", "user=alice&next=/session/signed-in");
    assert_eq!(login.redirect(), (303, "/session/signed-in"));
    assert!(expired.get("/session/signed-in").body.contains(SIGNED_IN));
}

#[test]
fn signed_in_page_needs_no_login_and_no_fresh_session() {
    let policy = Policy::new().idle(minutes(10)).require_login(true).fresh(minutes(1));
    let site = Site::builder().policy(policy).start();
    let stranger = site.browser().get("/session/signed-in");
    assert!(stranger.status == 200 && stranger.body.contains(NOT_SIGNED_IN), "{stranger:?}");
    let alice = site.signed_in("alice");
    site.advance(minutes(5));
    assert_eq!(alice.get("/private").status, 303, "the user must re-authenticate");
    assert!(alice.get("/session/signed-in").body.contains(SIGNED_IN));
}

#[test]
fn head_of_signed_in_page_has_its_headers() {
    let site = Site::builder().start();
    let head = site.signed_in("alice").request("HEAD", "/session/signed-in").send();
    assert_safe_page(&head);
    assert_eq!(head.body, "");
}

#[test]
fn signed_in_page_is_no_activity_and_ends_no_session() {
    let site = Site::builder().start();
    let alice = site.signed_in("alice");
    site.advance(minutes(9));
    assert!(alice.get("/session/signed-in").body.contains(SIGNED_IN));
    site.advance(minutes(1));
    assert!(alice.get("/session/signed-in").body.contains(NOT_SIGNED_IN));
    assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"), "suspended, not ended");
}

#[test]
fn signed_in_page_consumes_no_messages() {
    let site = Site::builder().start();
    let alice = site.signed_in("alice");
    let push = alice.request("POST", "/push").form("saved").send();
    assert_eq!(push.status, 303);
    alice.get("/session/signed-in");
    assert!(alice.read_messages().contains("saved"));
    site.advance(minutes(10));
    assert_eq!(alice.get("/private").status, 303);
    alice.get("/session/signed-in");
    assert!(alice.read_messages().contains("idle"), "the reason is left for the login page");
}

#[test]
fn signed_in_page_of_an_outage_is_503() {
    let registry = TestRegistry::shared();
    let site = Site::builder().registry(registry.clone()).start();
    let alice = site.signed_in("alice");
    registry.set_down(true);
    let page = alice.get("/session/signed-in");
    assert_eq!((page.status, page.header("retry-after")), (503, "5"));
    registry.set_down(false);
    assert!(alice.get("/session/signed-in").body.contains(SIGNED_IN));
}

#[test]
fn signed_in_page_has_the_texts_of_the_language() {
    let texts = |languages: &Languages| {
        let mut texts = DialogTexts::default();
        if languages.best_of(&["en", "de"]) == Some("de") {
            texts.lang = "de".into();
            texts.signed_in = "Sie sind angemeldet & können diesen Tab schließen.".into();
        }
        texts
    };
    let site = Site::builder().customise(move |builder| builder.dialog_texts(texts)).start();
    let alice = site.signed_in("alice");
    let page = alice.request("GET", "/session/signed-in").header("accept-language", "de").send();
    assert!(
        page.body.starts_with("<!doctype html><html lang=\"de\" dir=\"ltr\">"),
        "{}",
        page.body
    );
    assert!(page.body.contains("<h1>Sie sind angemeldet &amp; können"), "{}", page.body);
    assert!(page.header("vary").contains("Accept-Language"));
}

#[test]
fn signed_in_page_reflects_no_parameter_and_accepts_no_other_method() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    for browser in [&alice, &site.browser()] {
        let page = browser.get("/session/signed-in");
        for query in ["next=//evil.example", "next=/private", "channel=evil", "login=x&policy=y"] {
            let other = browser.get(&format!("/session/signed-in?{query}"));
            assert_eq!(other.body, page.body, "{query}");
        }
    }
    for method in ["POST", "PUT", "DELETE"] {
        let response = alice.request(method, "/session/signed-in").send();
        assert!([404, 405].contains(&response.status), "{method}: {}", response.status);
    }
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

/// A sign-in with a provider ends with a redirect from another site.
#[test]
fn signed_in_page_accepts_navigations_from_other_sites() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    let open = |browser: &Browser| {
        let request = browser.request("GET", "/session/signed-in");
        request.header("sec-fetch-site", "cross-site").send()
    };
    assert!(open(&alice).body.contains(SIGNED_IN));
    site.advance(minutes(10));
    assert!(open(&alice).body.contains(NOT_SIGNED_IN));
    assert_eq!(alice.user_at("/laxer").as_deref(), Some("alice"), "it ends no session");
}
