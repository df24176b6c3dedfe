//! Methods: `HEAD` equals `GET` without a body, and 405 with `Allow` for other methods.

use session_expire::{minutes, seconds};
use session_expire_tests::{Browser, Site, StreamClient, TestResponse};

use crate::example_site::{devices, start, usual};

/// Paths of the example site that have `GET`.
const PAGES: [&str; 24] = [
    "/",
    "/login",
    "/login?next=/vault",
    "/dashboard",
    "/editor",
    "/vault",
    "/devices",
    "/devices/lists",
    "/devices/others",
    "/confirm",
    "/settings",
    "/chat",
    "/admin",
    "/admin/",
    "/admin/users",
    "/admin/sessions",
    "/admin/audit",
    "/api/me",
    "/api/poll",
    "/static/site.css",
    "/static/icon.svg",
    "/session/status",
    "/session/signed-in",
    "/nowhere",
];

/// Returns the status and the headers except `Date`.
fn head_of(response: &TestResponse) -> (u16, Vec<String>) {
    let lines = response.headers.iter().filter(|(name, _)| *name != "date");
    let mut lines: Vec<_> = lines.map(|(name, value)| format!("{name}: {value:?}")).collect();
    lines.sort();
    (response.status, lines)
}

/// Compares the response to a `HEAD` request with the one to a `GET` request.
#[track_caller]
fn assert_head_equals_get(browser: &Browser, path: &str) {
    let head = browser.request("HEAD", path).send();
    let get = browser.get(path);
    assert_eq!(head_of(&head), head_of(&get), "{path}");
    assert!(head.body.is_empty() && !head.headers.contains_key("set-cookie"), "{path}: {head:?}");
    if get.status == 200 {
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
    }
}

#[test]
fn head_equals_get_on_every_page() {
    let site = start(usual());
    let (alice, root) = (site.signed_in("alice"), site.signed_in("root"));
    for path in PAGES {
        for browser in [&alice, &root, &site.browser()] {
            assert_head_equals_get(browser, path);
        }
    }
    assert_head_equals_get(&site.browser(), "/session/events");
}

/// Returns everything that the server sends in response to a `HEAD` request, in lower case.
fn raw_head(browser: &Browser, path: &str) -> String {
    let cookie = browser.cookie();
    let request = format!(
        "HEAD {path} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
    );
    browser.send_raw(request.as_bytes()).to_ascii_lowercase()
}

#[test]
fn head_has_no_body_and_opens_no_stream() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    for path in ["/dashboard", "/static/site.css", "/session/status", "/session/events"] {
        let response = raw_head(&alice, path);
        assert!(response.starts_with("http/1.1 200 "), "{path}: {response}");
        assert!(response.ends_with("\r\n\r\n"), "{path}: {response}");
    }
    let (head, get) = (
        raw_head(&alice, "/session/events"),
        StreamClient::open(&alice, "/session/events", "").head.clone(),
    );
    let names = ["content-type", "cache-control", "content-encoding", "x-accel-buffering"];
    for name in names {
        let line = |head: &str| head.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        assert_eq!(line(&head), line(&get), "{name}");
    }
}

#[test]
fn head_leaves_sessions_and_messages_alone() {
    let site = start(usual());
    let (first, second) = (site.signed_in("alice"), site.signed_in("alice"));
    let vault = second.request("HEAD", "/vault").send();
    assert_eq!(vault.status, 200);
    assert_eq!(devices(&first.get("/devices")).len(), 2, "the vault has evicted no session");
    second.post("/devices/end-others", "");
    for path in PAGES {
        second.request("HEAD", path).send();
    }
    assert!(second.get("/").body.contains("You ended one other session."));
    site.clock.advance(minutes(30));
    for path in PAGES {
        second.request("HEAD", path).send();
    }
    assert_eq!(second.get("/editor").status, 200, "no request has ended the session");
}

/// Sends a request from a page of the site.
fn send(browser: &Browser, method: &str, path: &str) -> TestResponse {
    browser.request(method, path).header("origin", browser.base()).send()
}

/// Method, path and the methods of the path.
const REFUSED: [(&str, &str, &str); 26] = [
    ("PUT", "/", "GET, HEAD"),
    ("POST", "/", "GET, HEAD"),
    ("PUT", "/login", "GET, HEAD, POST"),
    ("OPTIONS", "/login", "GET, HEAD, POST"),
    ("GET", "/logout", "POST"),
    ("HEAD", "/logout", "POST"),
    ("POST", "/dashboard", "GET, HEAD"),
    ("DELETE", "/editor", "GET, HEAD, POST"),
    ("POST", "/vault", "GET, HEAD"),
    ("POST", "/chat", "GET, HEAD"),
    ("POST", "/chat/socket", "GET"),
    ("POST", "/api/me", "GET, HEAD"),
    ("PATCH", "/api/poll", "GET, HEAD"),
    ("POST", "/devices", "GET, HEAD"),
    ("POST", "/devices/lists", "GET, HEAD"),
    ("GET", "/devices/x/end", "POST"),
    ("GET", "/language", "POST"),
    ("GET", "/settings/password", "POST"),
    ("GET", "/settings/display", "POST"),
    ("POST", "/static/site.css", "GET, HEAD"),
    ("GET", "/session/logout", "POST"),
    ("GET", "/session/keep-alive", "POST"),
    ("HEAD", "/session/keep-alive", "POST"),
    ("POST", "/session/status", "GET, HEAD"),
    ("POST", "/session/events", "GET, HEAD"),
    ("PUT", "/session/signed-in", "GET, HEAD"),
];

#[test]
fn other_method_is_405_and_names_the_methods() {
    let site = start(usual());
    let (visitor, alice) = (site.browser(), site.signed_in("alice"));
    for (method, path, allowed) in REFUSED {
        for browser in [&visitor, &alice] {
            let response = send(browser, method, path);
            let got = (response.status, response.header("allow"));
            assert_eq!(got, (405, allowed), "{method} {path}");
        }
    }
    assert_eq!(alice.fetch("/api/me").body, r#"{"user":"alice"}"#);
}

#[test]
fn unknown_path_is_404_with_every_method() {
    let site = start(usual());
    let root = site.signed_in("root");
    for path in ["/nowhere", "/admin/nowhere", "/session/nowhere", "/static/nowhere", "/devices/x"]
    {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
            let response = send(&root, method, path);
            assert_eq!((response.status, response.header("allow")), (404, ""), "{method} {path}");
        }
    }
}

#[test]
fn refused_method_is_a_page_in_a_browser_and_empty_elsewhere() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let open = |path| alice.request("GET", path).header("accept", "text/html").send();
    for path in ["/logout", "/settings/password"] {
        let page = open(path);
        assert!(page.body.contains("<h1>"), "{path}: {page:?}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(page.header("allow"), "POST", "{path}");
    }
    assert_eq!(open("/session/logout").body, "");
    let file = alice.request("POST", "/static/site.css").header("accept", "text/html").send();
    assert_eq!((file.status, file.body.as_str()), (405, ""));
    assert_eq!(send(&alice, "POST", "/api/me").body, "");
}

#[test]
fn login_and_origin_are_checked_before_the_method() {
    let site = start(usual());
    let (visitor, alice) = (site.browser(), site.signed_in("alice"));
    for path in ["/admin/users", "/admin/impersonate"] {
        assert_eq!(visitor.get(path).status, 303, "{path}");
        assert_eq!(send(&visitor, "PUT", path).status, 303, "{path}");
        assert_eq!(send(&alice, "PUT", path).status, 403, "{path}");
    }
    for (method, path) in [("PUT", "/login"), ("POST", "/dashboard"), ("DELETE", "/nowhere")] {
        let evil = alice.request(method, path).without("sec-fetch-site");
        assert_eq!(evil.header("origin", "http://evil.example").send().status, 403, "{path}");
    }
}

#[test]
fn refused_method_leaves_the_session_alone() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    site.clock.advance(minutes(30));
    for (method, path, _) in REFUSED {
        let response = send(&alice, method, path);
        assert!(!response.has_cookie("id"), "{method} {path}: {response:?}");
    }
    assert_eq!(alice.get("/editor").status, 200);
}

#[test]
fn endpoints_of_another_application_have_the_same_methods() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.advance(seconds(1));
    for (method, path, allowed) in REFUSED {
        if path.starts_with("/session/") && path != "/session/events" {
            let response = send(&alice, method, path);
            let got = (response.status, response.header("allow"), &*response.body);
            assert_eq!(got, (405, allowed, ""), "{method} {path}");
        }
    }
    for path in ["/session/status", "/session/signed-in"] {
        assert_head_equals_get(&alice, path);
    }
    assert_eq!(send(&alice, "POST", "/session/events").status, 404, "live pages are off");
    assert_eq!(send(&alice, "HEAD", "/session/events").status, 404, "live pages are off");
}
