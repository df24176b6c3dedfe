//! Chat of the example site: a WebSocket room that ends with the session.

use std::time::Duration;

use example_site::{MessageRate, PageIdles, RegistryKind, Settings};
use session_expire::{Limit, compliance::Standard, minutes, seconds};
use session_expire_tests::{Browser, Frame, RedisServer, Socket};

use crate::example_site::{current, devices, sign_in, start, start_with, usual};

const SOCKET: &str = "/chat/socket";

fn line(user: &str, text: &str) -> String {
    format!(r#"{{"user":"{user}","text":{}}}"#, serde_json::json!(text))
}

fn ended(reason: &str) -> (u16, String) {
    (4401, reason.to_owned())
}

/// Opens a socket, and waits until it is a member of the room.
fn join(browser: &Browser) -> Socket {
    let mut socket = browser.socket(SOCKET);
    socket.send("joined").unwrap();
    while !socket.receive_text().contains("joined") {}
    socket
}

#[test]
fn message_goes_to_all_members_with_name_of_sender() {
    let site = start(usual());
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    let (mut first, mut second) = (join(&alice), alice.socket(SOCKET));
    second.send("hello").unwrap();
    assert_eq!(second.receive_text(), line("alice", "hello"));
    assert_eq!(first.receive_text(), line("alice", "hello"));
    let mut third = join(&bob);
    let markup = "<b>&\"ü</b>";
    third.send(markup).unwrap();
    assert_eq!(third.receive_text(), line("bob", markup));
    assert_eq!(first.receive_text(), line("bob", "joined"));
    assert_eq!(first.receive_text(), line("bob", markup));
}

#[test]
fn fragmented_message_is_joined() {
    let mut socket = join(&start(usual()).signed_in("alice"));
    for (first, text) in [(0x01, "one "), (0x00, "two "), (0x80, "three")] {
        socket.send_frame(first, text.as_bytes()).unwrap();
    }
    assert_eq!(socket.receive_text(), line("alice", "one two three"));
}

#[test]
fn too_long_message_closes_its_socket_only() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let mut witness = join(&alice);
    for fragments in [vec![1_001], vec![600, 600], vec![4_001], vec![3_000, 3_000]] {
        let mut socket = join(&alice);
        for (number, length) in fragments.iter().enumerate() {
            let first = if number == 0 { 0x01 } else { 0x00 };
            let last = if number + 1 == fragments.len() { 0x80 } else { 0 };
            socket.send_frame(first | last, "x".repeat(*length).as_bytes()).unwrap();
        }
        assert_eq!(socket.receive_close().0, 1009, "{fragments:?}");
    }
    let mut longest = join(&alice);
    // The page counts UTF-16 code units, of which this character has one, and three bytes.
    longest.send(&"\u{20ac}".repeat(1_000)).unwrap();
    let expected = line("alice", &"\u{20ac}".repeat(1_000));
    assert_eq!(longest.receive_text(), expected);
    let mut texts = std::iter::repeat_with(|| witness.receive_text());
    assert!(texts.any(|text| text == expected));
}

#[test]
fn stranger_and_other_origin_are_refused() {
    let site = start(usual());
    let (alice, expired) = (site.signed_in("alice"), site.signed_in("bob"));
    site.clock.advance(minutes(5));
    assert_eq!(alice.get("/dashboard").status, 200);
    site.clock.advance(minutes(5));
    for (browser, reason) in [(&expired, "x-session-expired: idle"), (&site.browser(), "")] {
        for accept in ["*/*", "text/html"] {
            let (_, head) = browser.handshake(SOCKET, &[("accept", accept)]);
            assert!(head.starts_with("http/1.1 401 ") && head.contains(reason), "{head}");
            assert!(head.contains("application/problem+json"), "{head}");
        }
    }
    for (headers, status) in [
        (&[("origin", "https://evil.example")][..], 403),
        (&[("origin", "null")], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", site.address.as_str())], 403),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("sec-fetch-site", "same-origin")], 101),
        (&[("origin", site.address.as_str())], 101),
        (&[], 101),
    ] {
        let (_, head) = alice.handshake(SOCKET, headers);
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{headers:?}: {head}");
    }
    assert_eq!(alice.get(SOCKET).status, 400);
}

#[test]
fn close_frame_has_reason_of_end() {
    for reason in ["logged_out", "evicted", "revoked", "idle", "absolute", "renewed"] {
        let site = start(usual().max_sessions(1).absolute(minutes(30)));
        let alice = site.signed_in("alice");
        let mut socket = join(&alice);
        match reason {
            "logged_out" => drop(alice.post("/logout", "")),
            "evicted" => drop(site.signed_in("alice")),
            "revoked" => {
                let id = current(&alice);
                let root = site.signed_in("root");
                let form = format!("user=alice&id={id}&cause=administrator");
                let response = root.post("/admin/sessions/end", &form);
                assert_eq!(response.status, 303, "{}", response.body);
            }
            "idle" => site.clock.advance(minutes(10)),
            "absolute" => {
                for _ in 0..4 {
                    site.clock.advance(minutes(7));
                    assert_eq!(alice.get("/dashboard").status, 200);
                }
                site.clock.advance(minutes(2));
            }
            _ => drop(alice.post("/confirm", "password=alice")),
        }
        assert_eq!(socket.receive_close(), ended(reason));
        assert_eq!(socket.receive(), Frame::End, "{reason}");
    }
}

#[test]
fn renewed_session_opens_another_socket() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let mut socket = join(&alice);
    assert_eq!(alice.post("/confirm", "password=alice").status, 303);
    assert_eq!(socket.receive_close(), ended("renewed"));
    drop(join(&alice));
}

#[test]
fn messages_are_no_activity() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    site.clock.advance(minutes(5));
    let mut socket = join(&alice);
    site.clock.advance(minutes(5) - seconds(1));
    socket.send("still here").unwrap();
    assert_eq!(socket.receive_text(), line("alice", "still here"));
    site.clock.advance(seconds(1));
    assert_eq!(socket.receive_close(), ended("idle"));
}

#[test]
fn activity_on_page_extends_socket() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let mut socket = join(&alice);
    site.clock.advance(minutes(9));
    assert_eq!(alice.get("/dashboard").status, 200);
    site.clock.advance(minutes(9));
    socket.send("still here").unwrap();
    assert_eq!(socket.receive_text(), line("alice", "still here"));
    site.clock.advance(minutes(1));
    assert_eq!(socket.receive_close(), ended("idle"));
}

#[test]
fn end_of_one_session_leaves_other_sockets_open() {
    let site = start(usual());
    let (laptop, phone) = (site.signed_in("alice"), site.signed_in("alice"));
    let (mut first, mut second) = (join(&laptop), join(&phone));
    let id = current(&phone);
    assert_eq!(laptop.post(&format!("/devices/{id}/end"), "").status, 303);
    assert_eq!(second.receive_close(), ended("revoked"));
    first.send("alone").unwrap();
    while first.receive_text() != line("alice", "alone") {}
}

#[test]
fn outage_closes_socket_at_its_deadline() {
    let mut server = RedisServer::start();
    let registry = RegistryKind::Redis(server.url());
    let site = start_with(Settings { registry, ..Settings::default() });
    let mut socket = join(&site.signed_in("alice"));
    server.stop();
    site.clock.advance(minutes(9));
    socket.send("still here").unwrap();
    assert_eq!(socket.receive_text(), line("alice", "still here"));
    site.clock.advance(minutes(1));
    assert_eq!(socket.receive_close(), (1013, "unavailable".to_owned()));
}

#[test]
fn slow_reader_delays_no_other_member() {
    let chat_rate = MessageRate { burst: 0, interval: Duration::ZERO };
    let site = start_with(Settings { chat_rate, ..Settings::default() });
    let alice = site.signed_in("alice");
    let slow = join(&alice);
    let mut sender = join(&alice);
    // The longest message has 1,000 characters, here of three bytes.
    let text = "\u{20ac}".repeat(990);
    // The messages exceed the buffers of a connection and the backlog of the room.
    for number in 0..4_000 {
        let text = format!("{number} {text}");
        sender.send(&text).unwrap();
        assert_eq!(sender.receive_text(), line("alice", &text));
    }
    slow.abort();
}

#[test]
fn flood_of_one_member_closes_no_socket() {
    let site = start(usual());
    let (mut flooder, mut second) =
        (join(&site.signed_in("alice")), join(&site.signed_in("alice")));
    let mut witness = join(&site.signed_in("bob"));
    for _ in 0..20_000 {
        flooder.send("x").unwrap();
    }
    for _ in 0..3 {
        witness.send("still here").unwrap();
        while witness.receive_text() != line("bob", "still here") {}
        while second.receive_text() != line("bob", "still here") {}
    }
    while flooder.receive_text() != line("bob", "still here") {}
}

#[test]
fn socket_whose_message_waits_closes_at_the_end() {
    let chat_rate = MessageRate { burst: 1, interval: Duration::from_secs(86_400) };
    let site = start_with(Settings { chat_rate, ..Settings::default() });
    let alice = site.signed_in("alice");
    let mut socket = join(&alice);
    socket.send("waits").unwrap();
    assert_eq!(alice.post("/logout", "").status, 303);
    assert_eq!(socket.receive_close(), ended("logged_out"));
}

#[test]
fn chat_page_needs_user_and_names_its_socket() {
    let site = start(usual());
    assert_eq!(site.browser().get("/chat").redirect(), (303, "/login?next=/chat"));
    let page = site.signed_in("alice").get("/chat");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("role=\"log\"") && page.body.contains("data-chat=\"/chat/socket\""));
}

#[test]
fn lists_of_devices_are_passive() {
    let site = start(usual());
    let (alice, phone) = (site.signed_in("alice"), site.signed_in("alice"));
    let page = alice.get("/devices");
    let lists = alice.fetch("/devices/lists");
    assert_eq!(lists.status, 200);
    assert!(page.body.contains(lists.body.trim()) && !lists.body.contains("<html"));
    assert_eq!(devices(&lists).len(), 2);
    site.clock.advance(minutes(9));
    assert_eq!(alice.fetch("/devices/lists").status, 200);
    // The request for the lists consumes no flash message.
    assert_eq!(sign_in(&site.browser(), "alice", "").status, 303);
    alice.fetch("/devices/lists");
    assert!(alice.get("/devices").body.contains("New sign-in from"));
    site.clock.advance(minutes(1));
    assert_eq!(phone.fetch("/devices/lists").status, 401);
}

#[test]
fn editor_locks_unless_asvs_is_declared() {
    for (standards, locks) in [
        (vec![], true),
        (vec![Standard::NistAal2], true),
        (vec![Standard::AsvsL1], false),
        (vec![Standard::Hipaa, Standard::AsvsL3], false),
    ] {
        for editor in [None, Some(Limit::At(minutes(50)))] {
            let idles = PageIdles { editor, ..PageIdles::default() };
            let standards = standards.clone();
            let site = start_with(Settings { standards, idles, ..Settings::default() });
            let alice = site.signed_in("alice");
            let page = alice.get("/editor").body;
            assert_eq!(page.contains("data-lock=\"3600\""), locks, "{editor:?}");
            assert!(!alice.get("/dashboard").body.contains("data-lock"));
            let title = page.split("<title>").nth(1).and_then(|rest| rest.split('<').next());
            assert_eq!(title, Some("Editor – session-expire example"));
        }
    }
}

#[test]
fn login_leads_to_signed_in_page() {
    let site = start(usual());
    let alice = site.browser();
    let login = sign_in(&alice, "alice", "&next=/session/signed-in");
    assert_eq!(login.redirect(), (303, "/session/signed-in"));
    assert_eq!(alice.get("/session/signed-in").status, 200);
    for next in ["/session/status", "/session/signed-in/x", "/session/events", "/chat/socket"] {
        let login = sign_in(&site.browser(), "alice", &format!("&next={next}"));
        assert_eq!(login.redirect(), (303, "/dashboard"), "{next}");
    }
}

#[test]
fn pages_without_live_option_name_no_event_stream() {
    for is_live in [true, false] {
        let site = start_with(Settings { is_live, ..Settings::default() });
        let alice = site.signed_in("alice");
        for path in ["/dashboard", "/devices", "/chat", "/editor", "/vault", "/settings"] {
            let page = alice.get(path).body;
            assert_eq!(page.contains("/session/events"), is_live, "{path}");
        }
        assert_eq!(alice.get("/devices").body.contains("devices.js"), is_live);
        assert_eq!(alice.fetch("/session/status").status, 200);
        let expected = if is_live { 204 } else { 404 };
        assert_eq!(site.browser().fetch("/session/events").status, expected);
        assert!(is_live || alice.fetch("/session/events").status == 404);
    }
}

#[test]
fn ended_session_has_no_socket() {
    let site = start(usual());
    let alice = site.signed_in("alice");
    let copy = alice.copy();
    assert_eq!(alice.post("/logout", "").status, 303);
    let (_, head) = copy.handshake(SOCKET, &[]);
    assert!(head.starts_with("http/1.1 401 ") && head.contains("logged_out"), "{head}");
}
