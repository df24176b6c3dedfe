//! Static files of the example site and of the endpoints: versions, entity tags and compression.

use session_expire_tests::{Browser, RequestBuilder, TestResponse};

use crate::example_site::{start, usual};

/// Returns the URLs of the scripts, styles and icons of a page.
fn files(page: &str) -> Vec<String> {
    let urls = page.split("=\"").filter_map(|rest| rest.split('"').next());
    let is_file =
        |url: &&str| url.starts_with("/static/") || url.ends_with(".js") || url.ends_with(".css");
    let mut urls: Vec<_> = urls.filter(is_file).map(str::to_owned).collect();
    urls.sort();
    urls.dedup();
    urls
}

/// Returns the URL with another version.
fn other_version(url: &str) -> String {
    match url.split_once("?v=") {
        Some((path, _)) => format!("{path}?v=0123456789abcdef"),
        None => {
            let (name, rest) = url.split_once('.').unwrap();
            format!("{name}.0123456789abcdef.{}", rest.split_once('.').unwrap().1)
        }
    }
}

fn get<'a>(browser: &'a Browser, path: &str, coding: &str) -> RequestBuilder<'a> {
    browser.request("GET", path).header("accept-encoding", coding)
}

fn with_tag(request: RequestBuilder<'_>, tag: &str) -> TestResponse {
    request.header("if-none-match", tag).send()
}

#[test]
fn files_are_cached_by_their_version_only() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let (mut files, visitor) = (files(&alice.get("/dashboard").body), site.browser());
    assert!(files.len() >= 6, "{files:?}");
    files.push("/session/".to_owned() + signed_in_file(&alice).as_str());
    for url in files {
        let file = visitor.get(&url);
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable", "{url}");
        let other = other_version(&url);
        for (browser, rule) in [(&visitor, "no-cache"), (&alice, "private, no-cache")] {
            let response = browser.get(&other);
            let rule = if url.starts_with("/static/") { "no-cache" } else { rule };
            assert_eq!((response.status, response.header("cache-control")), (200, rule), "{other}");
            assert_eq!(response.body, file.body, "{other} has the content of this version");
            assert_eq!(response.header("etag"), file.header("etag"), "{other}");
        }
    }
    let unversioned = visitor.get("/static/site.css");
    assert_eq!((unversioned.status, unversioned.header("cache-control")), (200, "no-cache"));
    for path in
        ["/session/session.0123.js", "/session/session.js", "/session/other.0123456789abcdef.js"]
    {
        assert_eq!(visitor.get(path).status, 404, "{path}");
    }
}

/// Returns the file name of the style of `signed-in`.
fn signed_in_file(browser: &Browser) -> String {
    let page = browser.get("/session/signed-in").body;
    files(&page)[0].trim_start_matches("/session/").to_owned()
}

#[test]
fn known_file_is_304_without_a_body() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    for url in files(&alice.get("/dashboard").body) {
        for coding in ["identity", "gzip"] {
            let full = get(&alice, &url, coding).send();
            let tag = full.header("etag").to_owned();
            assert!(!tag.is_empty(), "{url}: {full:?}");
            let known = format!("\"other\", {tag}");
            for tag in [tag.as_str(), &known, "*", &format!("W/{}", tag.trim_start_matches("W/"))] {
                let response = with_tag(get(&alice, &url, coding), tag);
                assert_eq!((response.status, &*response.body), (304, ""), "{url} {tag}");
                for name in ["etag", "cache-control", "vary", "content-security-policy"] {
                    assert_eq!(response.header(name), full.header(name), "{name} of {url}");
                }
                assert_eq!(response.header("content-encoding"), "", "{url}");
            }
            let changed = with_tag(get(&alice, &url, coding), "\"other\"");
            assert_eq!((changed.status, changed.body), (200, full.body), "{url}");
        }
        let head = alice.request("HEAD", &url).header("if-none-match", "*").send();
        assert_eq!(head.status, 304, "{url}");
    }
}

/// A strong tag names the bytes of one representation.
#[test]
fn compressed_file_has_a_tag_of_its_own() {
    let site = start(usual());
    let visitor = site.browser();
    let (plain, gzip) = ("/static/site.css", "/static/site.css");
    let plain = get(&visitor, plain, "identity").send().header("etag").to_owned();
    let gzip = get(&visitor, gzip, "gzip").send().header("etag").to_owned();
    assert!(plain.starts_with('"') && gzip.starts_with('"') && plain != gzip, "{plain} {gzip}");
    // A client that no longer accepts the coding must not use its compressed copy as plain text.
    let response = with_tag(get(&visitor, "/static/site.css", "identity"), &gzip);
    assert_eq!(response.status, 200);
}
