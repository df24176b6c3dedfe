//! Guard of a WebSocket: closes it when the session ends.
//!
//! The connection, the handler and a task share a [`Guard`]. The task waits for the end of the
//! session, so the socket closes even if the handler reads no messages.

use std::{
    cell::{OnceCell, RefCell},
    fmt,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    rt::{self, task::JoinHandle},
    web::Bytes,
};

use crate::watch::{session_end::SessionEnd, stream_end::StreamEnd};

/// State of a socket. It stays on the thread of the worker.
pub(super) struct Guard {
    /// Watch of the session, until the socket ends.
    watch: RefCell<Option<SessionEnd>>,
    /// Waker of the task that waits for the end. Each poll of the watch uses it.
    task: RefCell<Option<Waker>>,
    end: OnceCell<StreamEnd>,
    /// Body of actix-ws. Dropping it ends the handler's stream, and sending then fails.
    body: RefCell<Option<BoxBody>>,
    connection: RefCell<Option<Waker>>,
}

impl Guard {
    pub(super) fn new(watch: SessionEnd) -> Self {
        Self {
            watch: RefCell::new(Some(watch)),
            task: RefCell::default(),
            end: OnceCell::new(),
            body: RefCell::default(),
            connection: RefCell::default(),
        }
    }

    /// Waits for the end of the session, and closes the socket.
    async fn run(self: Rc<Self>) {
        poll_fn(|cx| {
            self.task.replace(Some(cx.waker().clone()));
            self.poll_end()
        })
        .await;
    }

    /// Returns `true` if the session has ended, even if the task has not run since.
    pub(super) fn has_ended(&self) -> bool {
        self.end.get().is_some() || self.poll_end().is_ready()
    }

    fn poll_end(&self) -> Poll<()> {
        let end = {
            let (mut watch, task) = (self.watch.borrow_mut(), self.task.borrow());
            // There is no watch if the connection has ended before the session.
            let Some(watch) = watch.as_mut() else { return Poll::Pending };
            let mut cx = Context::from_waker(task.as_ref().unwrap_or(Waker::noop()));
            ready!(Pin::new(watch).poll(&mut cx))
        };
        self.close(end);
        Poll::Ready(())
    }

    fn close(&self, end: StreamEnd) {
        let _ = self.end.set(end);
        drop(self.watch.take());
        drop(self.body.take());
        if let Some(connection) = self.connection.take() {
            connection.wake();
        }
    }

    /// Polls the body of actix-ws, and stores the waker of the connection for `close`.
    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<BodyItem>> {
        self.connection.replace(Some(cx.waker().clone()));
        match self.body.borrow_mut().as_mut() {
            Some(body) => Pin::new(body).poll_next(cx),
            None => Poll::Ready(None),
        }
    }
}

type BodyItem = Result<Bytes, Box<dyn std::error::Error>>;

/// Body of the response. The connection owns the body, and drops it when it ends.
pub(super) struct SocketBody {
    guard: Rc<Guard>,
    task: JoinHandle<()>,
    is_closing: bool,
}

impl SocketBody {
    pub(super) fn new(guard: &Rc<Guard>, body: BoxBody) -> Self {
        guard.body.replace(Some(body));
        let task = rt::spawn(Rc::clone(guard).run());
        Self { guard: Rc::clone(guard), task, is_closing: false }
    }
}

impl MessageBody for SocketBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BodyItem>> {
        match self.guard.end.get() {
            None => self.guard.poll_body(cx),
            Some(end) if !self.is_closing => {
                let frame = close_frame(end);
                self.is_closing = true;
                Poll::Ready(Some(Ok(frame)))
            }
            Some(_) => Poll::Ready(None),
        }
    }
}

impl Drop for SocketBody {
    fn drop(&mut self) {
        self.task.abort();
        drop(self.guard.watch.take());
        drop(self.guard.body.take());
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("end", &self.end).finish_non_exhaustive()
    }
}

/// Returns a close frame (RFC 6455 §5.5.1). The frames before it are complete.
fn close_frame(end: &StreamEnd) -> Bytes {
    const FINAL_CLOSE: u8 = 0x88;
    let (code, word) = (end.close_code().to_be_bytes(), end.as_str().as_bytes());
    let payload = [&code, word].concat();
    // The words are short, so the length of a control frame fits into one byte.
    let length = u8::try_from(payload.len()).unwrap_or_default();
    [&[FINAL_CLOSE, length], &payload[..]].concat().into()
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn task_ends_with_the_body() {
        let guard = Rc::new(Guard::new(SessionEnd::ready(StreamEnd::Unavailable)));
        // Without a watch, the task waits.
        guard.watch.take();
        let state = Rc::downgrade(&guard);
        let body = SocketBody::new(&guard, BoxBody::new("frames"));
        drop(guard);
        tokio::task::yield_now().await;
        assert_eq!(state.strong_count(), 2);
        drop(body);
        while state.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[actix_web::test]
    async fn close_frame_replaces_the_frames_after_the_end() {
        let guard = Rc::new(Guard::new(SessionEnd::ready(StreamEnd::Unavailable)));
        let body = SocketBody::new(&guard, BoxBody::new("frames"));
        assert!(guard.has_ended() && guard.body.borrow().is_none());
        let bytes = to_bytes(body).await.unwrap();
        assert_eq!(bytes, [&[0x88, 13, 0x03, 0xf5], &b"unavailable"[..]].concat());
    }
}
