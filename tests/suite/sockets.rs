//! WebSockets of `guard_ws`, which end with their session.

use std::{
    future::pending,
    io::Read,
    thread,
    time::{Duration, Instant},
};

use actix_web::{Result, rt, web};
use session_expire::{
    Limit, Policy, PolicyPatch, SessionHandle,
    live::{GuardedSocket, SocketMessages, actix_ws::Message},
    minutes, seconds,
};
use session_expire_tests::{Barrier, Browser, Frame, Site, Socket};

/// Longest time until a connection whose client does nothing is closed. It allows for a busy
/// machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn echo(session: SessionHandle, payload: web::Payload) -> Result<actix_web::HttpResponse> {
    let mut socket = session.guard_ws(payload)?;
    rt::spawn(async move {
        while let Some(Ok(message)) = socket.messages.recv().await {
            let Message::Text(text) = message else { continue };
            if socket.session.text(text).await.is_err() {
                break;
            }
        }
    });
    Ok(socket.response)
}

/// Holds the socket open, but neither reads nor writes.
async fn idle(session: SessionHandle, payload: web::Payload) -> Result<actix_web::HttpResponse> {
    let GuardedSocket { response, session, messages, .. } = session.guard_ws(payload)?;
    rt::spawn(async move {
        let _open = (session, messages);
        pending::<()>().await;
    });
    Ok(response)
}

/// Waits for the barrier, and asserts that no message arrives.
async fn paused(
    session: SessionHandle,
    payload: web::Payload,
    barrier: web::Data<Barrier>,
) -> Result<actix_web::HttpResponse> {
    let GuardedSocket { response, mut messages, session, .. } = session.guard_ws(payload)?;
    rt::spawn(async move {
        let _open = session;
        barrier.wait().await;
        assert!(messages.recv().await.is_none(), "a message arrived after the end");
        barrier.arrive();
    });
    Ok(response)
}

/// Sends messages until the socket is closed.
async fn flood(
    session: SessionHandle,
    payload: web::Payload,
    barrier: web::Data<Barrier>,
) -> Result<actix_web::HttpResponse> {
    let GuardedSocket { response, mut session, messages, .. } = session.guard_ws(payload)?;
    rt::spawn(async move {
        let _open: SocketMessages = messages;
        while session.binary(vec![0; 64 * 1024]).await.is_ok() {}
        barrier.arrive();
    });
    Ok(response)
}

fn routes(cfg: &mut web::ServiceConfig) {
    let strict = web::resource("/strict/echo").wrap(PolicyPatch::new().idle(minutes(1)));
    cfg.service(strict.route(web::get().to(echo)))
        .route("/echo", web::get().to(echo))
        .route("/idle", web::get().to(idle))
        .route("/paused", web::get().to(paused))
        .route("/flood", web::get().to(flood));
}

fn site() -> Site {
    Site::builder()
        .routes(routes)
        .customise(|builder| builder.allowed_origins(["https://app.example"]))
        .start()
}

fn end_all(site: &Site, user: &str) {
    let ended = session_expire_tests::block_on(site.expire.sessions().end_all(user));
    assert!(ended.unwrap() > 0);
}

fn status_of(browser: &Browser, path: &str, headers: &[(&str, &str)]) -> String {
    let (_, head) = browser.handshake(path, headers);
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn assert_echoes(socket: &mut Socket, text: &str) {
    socket.send(text).unwrap();
    assert_eq!(socket.receive_text(), text);
}

#[test]
fn handshake_from_other_origin_is_refused() {
    let site = site();
    let alice = site.signed_in("alice");
    let same = alice.base().to_owned();
    for (headers, status) in [
        (&[][..], "101"),
        (&[("origin", &*same)], "101"),
        (&[("origin", "https://app.example")], "101"),
        (&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example")], "101"),
        (&[("origin", "https://evil.example")], "403"),
        (&[("origin", "null")], "403"),
        (&[("origin", "https://app.example.evil.example")], "403"),
        (&[("sec-fetch-site", "cross-site")], "403"),
        (&[("sec-fetch-site", "same-site"), ("origin", &*same)], "403"),
    ] {
        assert_eq!(status_of(&alice, "/echo", headers), status, "{headers:?}");
    }
    let stranger = site.browser();
    assert_eq!(status_of(&stranger, "/echo", &[("origin", "https://evil.example")]), "403");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn handshake_without_session_is_challenged() {
    let site = site();
    let (alice, bob) = (site.signed_in("alice"), site.signed_in("bob"));
    site.advance(minutes(5));
    let (_, head) = alice.handshake("/strict/echo", &[]);
    assert!(head.starts_with("http/1.1 401 ") && head.contains("x-session-expired: idle"));
    assert!(head.contains("www-authenticate"), "{head}");
    assert_eq!(status_of(&site.browser(), "/echo", &[]), "401");
    site.registry.set_down(true);
    assert_eq!(status_of(&bob, "/echo", &[]), "503");
    site.registry.set_down(false);
    assert_eq!(status_of(&bob, "/echo", &[]), "101");
}

#[test]
fn request_without_handshake_is_bad_request() {
    let site = site();
    assert_eq!(site.signed_in("alice").fetch("/echo").status, 400);
}

#[test]
fn idle_handler_receives_close_frame_and_end_of_connection() {
    let site = site();
    let mut socket = site.signed_in("alice").socket("/idle");
    end_all(&site, "alice");
    assert_eq!(socket.receive(), Frame::Close(4401, "revoked".to_owned()));
    // The client sends no close frame.
    socket.set_timeout(PATIENCE);
    assert_eq!(socket.receive(), Frame::End);
}

#[test]
fn client_that_reads_nothing_is_disconnected() {
    let site = site();
    let (mut stream, head) = site.signed_in("alice").handshake("/idle", &[]);
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    end_all(&site, "alice");
    // Writes fail when the server has closed the connection.
    let start = Instant::now();
    let masked_ping = [0x89, 0x80, 0, 0, 0, 0];
    while std::io::Write::write_all(&mut stream, &masked_ping).is_ok() {
        assert!(start.elapsed() < PATIENCE, "the connection is still open");
        thread::sleep(Duration::from_millis(20));
    }
    drop(stream.read(&mut [0]));
}

#[test]
fn handler_that_sends_to_stalled_client_is_released() {
    let site = site();
    let (_stream, head) = site.signed_in("alice").handshake("/flood", &[]);
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    end_all(&site, "alice");
    site.wait_for_arrivals(1);
}

#[test]
fn message_is_not_handed_on_after_the_end() {
    let site = site();
    let alice = site.signed_in("alice");
    let mut socket = alice.socket("/paused");
    socket.send("before the end").unwrap();
    site.wait_for_arrivals(1);
    end_all(&site, "alice");
    assert_eq!(socket.receive_close(), (4401, "revoked".to_owned()));
    drop(socket.send("after the end"));
    site.open_barrier();
    site.wait_for_arrivals(2);
}

#[test]
fn timeout_is_that_of_the_handler() {
    let site = site();
    let alice = site.signed_in("alice");
    let (mut strict, mut usual) = (alice.socket("/strict/echo"), alice.socket("/echo"));
    site.advance(minutes(1));
    assert_eq!(strict.receive_close(), (4401, "idle".to_owned()));
    assert_echoes(&mut usual, "still here");
    site.advance(minutes(9));
    assert_eq!(usual.receive_close(), (4401, "idle".to_owned()));
}

#[test]
fn messages_are_no_activity() {
    let site = site();
    let mut socket = site.signed_in("alice").socket("/echo");
    site.advance(minutes(10) - seconds(1));
    assert_echoes(&mut socket, "still here");
    site.advance(seconds(1));
    assert_eq!(socket.receive_close(), (4401, "idle".to_owned()));
}

#[test]
fn shutdown_closes_sockets() {
    let site = site();
    let alice = site.signed_in("alice");
    let mut socket = alice.socket("/echo");
    site.expire.close_streams();
    let going_away = (1001, "shutting_down".to_owned());
    assert_eq!(socket.receive_close(), going_away);
    assert_eq!(alice.socket("/echo").receive_close(), going_away);
}

/// The subscription of the process ends if it has no watch.
#[test]
fn watch_ends_with_the_connection() {
    let policy = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let site = Site::builder().policy(policy).routes(routes).start();
    let alice = site.signed_in("alice");
    for aborts in [true, false] {
        let mut socket = alice.socket("/echo");
        site.registry.wait_for_subscriptions(1);
        if aborts {
            socket.abort();
        } else {
            socket.send_close(1000).unwrap();
            drop(socket);
        }
        let start = Instant::now();
        while site.registry.subscriptions() > 0 {
            assert!(start.elapsed() < PATIENCE, "the watch is still open");
            site.advance(seconds(30));
            thread::sleep(Duration::from_millis(1));
        }
    }
}
