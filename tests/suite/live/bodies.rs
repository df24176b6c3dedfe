//! Guarded streams and response bodies.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody},
    web::{self, Bytes},
};
use futures_core::Stream;
use session_expire::{SessionHandle, minutes};
use session_expire_tests::{BodyEnd, Site, StreamClient};

use super::{Lines, end_all, routes, site};

const LINES: u64 = 1_000_000;

async fn download(session: SessionHandle) -> HttpResponse {
    let lines = usize::try_from(LINES).unwrap();
    let body = Lines { size: BodySize::Sized(LINES * 5), ..Lines::new(lines) };
    HttpResponse::Ok().body(session.guard(body))
}

async fn complete(session: SessionHandle, count: web::Path<usize>) -> HttpResponse {
    HttpResponse::Ok().body(session.guard(Lines::new(*count)))
}

/// Guards a stream. The other handlers guard a body.
async fn streaming(session: SessionHandle) -> HttpResponse {
    HttpResponse::Ok().streaming(session.guard(Ticks(Lines::new(usize::MAX))))
}

struct Ticks(Lines);

impl Stream for Ticks {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

#[test]
fn chunked_body_is_broken_off_at_the_end() {
    let routes = |cfg: &mut web::ServiceConfig| {
        routes(cfg);
        cfg.route("/streaming", web::get().to(streaming));
    };
    let site = Site::builder().routes(routes).start();
    for path in ["/lines", "/streaming"] {
        let mut body = StreamClient::open(&site.signed_in("alice"), path, "");
        assert_eq!((body.status(), body.next_line().as_deref()), (200, Some("line")), "{path}");
        end_all(&site, "alice");
        assert_eq!(body.wait_for_end(), BodyEnd::Broken, "{path}");
    }
}

#[test]
fn body_with_a_length_is_broken_off_at_the_end() {
    let routes = |cfg: &mut web::ServiceConfig| {
        cfg.route("/download", web::get().to(download));
    };
    let site = Site::builder().routes(routes).start();
    let mut body = StreamClient::open(&site.signed_in("alice"), "/download", "");
    assert_eq!(body.header("content-length"), (LINES * 5).to_string());
    assert_eq!(body.next_line().as_deref(), Some("line"));
    end_all(&site, "alice");
    assert_eq!(body.wait_for_end(), BodyEnd::Broken);
}

#[test]
fn body_that_ends_by_itself_is_complete() {
    let routes = |cfg: &mut web::ServiceConfig| {
        cfg.route("/complete/{count}", web::get().to(complete));
    };
    let site = Site::builder().routes(routes).start();
    let alice = site.signed_in("alice");
    for count in [0, 3] {
        let mut body = StreamClient::open(&alice, &format!("/complete/{count}"), "");
        assert_eq!(body.wait_for_end(), BodyEnd::Complete);
        assert_eq!(std::iter::from_fn(|| body.next_line()).count(), count);
    }
}

/// Data on the stream is not activity.
#[test]
fn busy_body_ends_at_the_idle_timeout() {
    let site = site();
    let mut body = StreamClient::open(&site.signed_in("alice"), "/lines", "");
    for _ in 0..10 {
        assert_eq!(body.next_line().as_deref(), Some("line"));
        site.advance(minutes(1));
    }
    assert_eq!(body.wait_for_end(), BodyEnd::Broken);
}

#[test]
fn body_without_a_session_is_broken_off_at_once() {
    let site = Site::builder().routes(routes).start();
    let mut body = StreamClient::open(&site.browser(), "/lines", "");
    assert_eq!((body.wait_for_end(), body.next_line()), (BodyEnd::Broken, None));
}
