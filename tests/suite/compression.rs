//! Compression of the example site's responses.

use std::io::{Read, Write};

use flate2::read::GzDecoder;
use session_expire_tests::{Browser, StreamClient};

use crate::example_site::{start, usual};

/// Response with its body as the server has sent it.
struct Raw {
    head: String,
    body: Vec<u8>,
}

impl Raw {
    fn get(browser: &Browser, path: &str, accept_encoding: &str) -> Self {
        let host = browser.base().trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        let cookie = browser.cookie();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\naccept: text/html\r\n\
             accept-encoding: {accept_encoding}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = vec![];
        stream.read_to_end(&mut response).unwrap();
        let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        let body = response.split_off(end);
        Self { head: String::from_utf8(response).unwrap().to_ascii_lowercase(), body }
    }

    fn header(&self, name: &str) -> String {
        let lines =
            self.head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.collect::<Vec<_>>().join(", ")
    }

    fn is_gzip(&self) -> bool {
        self.header("content-encoding") == "gzip"
    }

    fn text(&self) -> String {
        let mut text = String::new();
        match self.is_gzip() {
            true => GzDecoder::new(&*self.body).read_to_string(&mut text).unwrap(),
            false => (&*self.body).read_to_string(&mut text).unwrap(),
        };
        text
    }
}

#[test]
fn public_pages_and_files_are_compressed_on_request() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let page = alice.get("/dashboard").body;
    let script = page.split("src=\"/session/").nth(1).unwrap().split('"').next().unwrap();
    let script = format!("/session/{script}");
    for path in ["/", "/login", "/nowhere", "/static/site.css", "/static/countdown.js", &script] {
        let visitor = site.browser();
        let plain = Raw::get(&visitor, path, "identity");
        for accepted in ["gzip", "gzip, deflate, br, zstd", "br;q=1.0, gzip;q=0.5", "*;q=0, gzip"] {
            let gzip = Raw::get(&visitor, path, accepted);
            assert!(gzip.is_gzip(), "{path} {accepted}: {}", gzip.head);
            assert_eq!(gzip.text(), plain.text(), "{path}");
            assert_eq!(gzip.header("content-length"), gzip.body.len().to_string(), "{path}");
            assert!(gzip.body.len() * 10 < plain.body.len() * 7, "{path} is not smaller");
        }
        for refused in ["identity", "", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *"] {
            let response = Raw::get(&visitor, path, refused);
            assert_eq!(response.header("content-encoding"), "", "{path} {refused}");
            let vary = response.header("vary").matches("accept-encoding").count();
            assert_eq!(vary, 1, "{path} {refused}");
        }
    }
}

#[test]
fn page_of_a_signed_in_user_is_not_compressed() {
    let site = start(usual());
    let root = site.signed_in("root");
    for path in ["/", "/login", "/dashboard", "/confirm?next=/vault", "/devices", "/admin/sessions"]
    {
        let page = Raw::get(&root, path, "gzip");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert!(!page.is_gzip() && page.body.len() > 1_024, "{path}");
    }
    let script = Raw::get(&root, "/static/site.css", "gzip");
    assert!(script.is_gzip(), "{}", script.head);
}

#[test]
fn short_response_is_not_compressed() {
    let site = start(usual());
    for path in ["/session/status", "/session/signed-in", "/api/me"] {
        assert!(!Raw::get(&site.browser(), path, "gzip").is_gzip(), "{path}");
    }
}

#[test]
fn event_reaches_a_client_that_accepts_gzip_at_once() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let mut stream = StreamClient::open(&alice, "/session/events", "accept-encoding: gzip, br\r\n");
    assert_ne!(stream.header("content-encoding"), "gzip");
    assert_eq!(stream.next_event().unwrap()["state"], "active");
    alice.post("/logout", "");
    let state = stream.next_event().unwrap();
    assert_eq!((&state["state"], &state["reason"]), (&"expired".into(), &"logged_out".into()));
}
