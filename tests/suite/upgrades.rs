//! Upgraded connections and streams. The session is settled when the response starts.

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::TcpStream,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_identity::Identity;
use actix_session::Session;
use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody},
    web::{self, Bytes},
};
use session_expire::{PolicyPatch, SessionHandle, SignInError, minutes};
use session_expire_tests::{Browser, Site};

/// Upgrades the connection, and echoes every byte.
async fn echo(_: Identity, payload: web::Payload) -> HttpResponse {
    HttpResponse::SwitchingProtocols().upgrade("websocket").streaming(payload)
}

async fn echo_to_visitor(payload: web::Payload) -> HttpResponse {
    HttpResponse::SwitchingProtocols().upgrade("websocket").streaming(payload)
}

/// Body of a future, which runs after the head of the response is sent.
struct Late<F>(Option<Pin<Box<F>>>);

impl<F: Future<Output = String>> MessageBody for Late<F> {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let Some(work) = &mut self.0 else { return Poll::Ready(None) };
        let text = ready!(work.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(Some(Ok(text.into())))
    }
}

/// Body of 63 chunks. Every second poll is pending.
struct Chunks(u8);

impl MessageBody for Chunks {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.0 += 1;
        match self.0 {
            n if n % 2 == 1 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            128.. => Poll::Ready(None),
            n => Poll::Ready(Some(Ok(vec![n; 32 * 1024].into()))),
        }
    }
}

async fn chunks(_: Identity, session: Session) -> actix_web::Result<HttpResponse> {
    session.insert("downloads", 1)?;
    Ok(HttpResponse::Ok().content_type("text/csv").body(Chunks(0)))
}

/// Uses the session after the head of the response is sent.
async fn late(user: Identity, session: Session, handle: SessionHandle) -> HttpResponse {
    let user = user.id().unwrap_or_default();
    let work = async move {
        let signed_in = match handle.sign_in("mallory").await {
            Err(SignInError::ResponseSent) => "response sent".to_owned(),
            other => format!("{other:?}"),
        };
        let refreshed = handle.refresh_policy().await.is_err();
        session.insert("late", true).unwrap();
        handle.sign_out();
        let ended = handle.sessions().end_all(&user).await.unwrap();
        format!("{signed_in}, {refreshed}, {ended} ended")
    };
    HttpResponse::Ok().body(Late(Some(Box::pin(work))))
}

/// Writes to the session after the head of the response is sent, and signs out.
async fn late_sign_out(_: Identity, session: Session, handle: SessionHandle) -> HttpResponse {
    let work = async move {
        session.insert("late", true).unwrap();
        session.purge();
        handle.sign_out();
        "done".to_owned()
    };
    HttpResponse::Ok().body(Late(Some(Box::pin(work))))
}

fn routes(cfg: &mut web::ServiceConfig) {
    let strict = web::scope("/strict")
        .wrap(PolicyPatch::new().idle(minutes(1)))
        .route("/echo", web::get().to(echo))
        .route("/echo-to-visitor", web::get().to(echo_to_visitor))
        .route("/chunks", web::get().to(chunks))
        .route("/late", web::get().to(late))
        .route("/late-sign-out", web::get().to(late_sign_out));
    cfg.service(strict);
    let closed = web::resource("/closed/echo").wrap(PolicyPatch::new().require_login(true));
    cfg.service(closed.route(web::get().to(echo_to_visitor)));
}

fn site() -> Site {
    Site::builder().routes(routes).start()
}

/// Sends a handshake, as a page of the site does.
fn handshake(browser: &Browser, path: &str) -> (TcpStream, String) {
    let headers = [("sec-fetch-mode", "websocket"), ("sec-fetch-site", "same-origin")];
    browser.handshake(path, &headers)
}

#[track_caller]
fn assert_echoes(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let mut echo = vec![0; text.len()];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(echo, text.as_bytes());
}

#[test]
fn active_session_upgrades_under_stricter_policy() {
    let site = site();
    let alice = site.signed_in("alice");
    for (path, passed) in [("/strict/echo", 0), ("/closed/echo", 5)] {
        site.advance(minutes(passed));
        let (mut stream, head) = handshake(&alice, path);
        assert!(head.starts_with("http/1.1 101 "), "{path}: {head}");
        assert!(head.contains("upgrade: websocket") && !head.contains("set-cookie"), "{head}");
        assert_echoes(&mut stream, "one");
        // The end of the session does not close the connection; the application decides.
        site.advance(minutes(10));
        assert_eq!(alice.user_at("/private"), None);
        assert_echoes(&mut stream, "two");
        alice.sign_in("alice");
    }
}

#[test]
fn expired_session_does_not_upgrade() {
    let site = site();
    let alice = site.signed_in("alice");
    site.advance(minutes(5));
    for (browser, path, reason) in [
        (&alice, "/strict/echo", "x-session-expired: idle"),
        (&site.browser(), "/strict/echo", ""),
        (&site.browser(), "/closed/echo", ""),
    ] {
        let (_, head) = handshake(browser, path);
        assert!(head.starts_with("http/1.1 401 ") && head.contains(reason), "{path}: {head}");
        assert!(!head.contains("upgrade: websocket"), "{path}: {head}");
    }
    assert_eq!(alice.user_at("/private"), None, "a challenge ends the session");
}

#[test]
fn visitor_upgrades_without_required_login() {
    let site = site();
    let expired = site.signed_in("alice");
    site.advance(minutes(5));
    for browser in [&site.browser(), &expired] {
        let (mut stream, head) = handshake(browser, "/strict/echo-to-visitor");
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert_echoes(&mut stream, "hello");
    }
}

#[test]
fn upgrade_is_activity() {
    let site = site();
    let alice = site.signed_in("alice");
    site.advance(minutes(9));
    let (_stream, head) = handshake(&alice, "/closed/echo");
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    site.advance(minutes(9));
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
}

#[test]
fn long_stream_arrives_whole() {
    let site = site();
    let alice = site.signed_in("alice");
    let response = alice.get("/strict/chunks");
    let lengths: Vec<_> =
        response.body.as_bytes().chunk_by(|a, b| a == b).map(<[_]>::len).collect();
    assert_eq!((response.status, lengths), (200, vec![32 * 1024; 63]));
    assert_eq!(response.header("content-type"), "text/csv");
    assert_eq!(response.header("cache-control"), "no-store");
    site.advance(minutes(5));
    let response = alice.fetch("/strict/chunks");
    assert_eq!((response.status, response.header("x-session-expired")), (401, "idle"));
}

#[test]
fn stream_cannot_sign_in_but_can_end_sessions() {
    let site = site();
    let (alice, phone) = (site.signed_in("alice"), site.signed_in("alice"));
    let response = alice.get("/strict/late");
    assert_eq!((response.status, &*response.body), (200, "response sent, true, 2 ended"));
    assert_eq!(alice.user_at("/private"), None);
    assert_eq!(phone.user_at("/private"), None);
    let events = site.take_events();
    assert!(!events.iter().any(|event| event.contains("mallory")), "{events:?}");
}

#[test]
fn stream_changes_no_session() {
    let site = site();
    let alice = site.signed_in("alice");
    assert_eq!(alice.get("/strict/late-sign-out").body, "done");
    assert_eq!(alice.user_at("/private").as_deref(), Some("alice"));
    assert_eq!(site.take_events(), ["alice signed in"]);
}
