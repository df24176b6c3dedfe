//! WebSockets that end with their session.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{HttpResponse, ResponseError, body::BoxBody, http::StatusCode, web::Payload};
use actix_ws::{AggregatedMessageStream, MessageStream};
use futures_core::Stream;

use super::{
    session_handle::SessionHandle,
    socket_guard::{Guard, SocketBody},
};
use crate::{response::problem::cross_site, session::verdict::Verdict};

/// Error of [`SessionHandle::guard_ws`].
///
/// A handler can return it with `?`. The response is then:
///
/// - 403 for a page of another origin
/// - a challenge without an active session, or 503 if the registry is unavailable
/// - 400 or 405 for an invalid handshake
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// A page of another origin sent the handshake.
    #[error("handshake came from another origin")]
    CrossSite,
    /// The request has no active session.
    #[error("request has no active session")]
    NotSignedIn,
    /// The request is not a valid WebSocket handshake.
    #[error("invalid handshake: {0}")]
    Handshake(actix_web::Error),
}

impl ResponseError for SocketError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotSignedIn => StatusCode::UNAUTHORIZED,
            Self::Handshake(error) => error.as_response_error().status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::CrossSite => cross_site(),
            // An empty 401 becomes the challenge.
            Self::NotSignedIn => HttpResponse::Unauthorized().finish(),
            Self::Handshake(error) => error.error_response(),
        }
    }
}

/// WebSocket that ends with its session. [`SessionHandle::guard_ws`] returns it.
#[non_exhaustive]
pub struct GuardedSocket {
    /// Response to the handshake. The handler returns it.
    pub response: HttpResponse,
    /// Sends messages to the client. After the end of the session, its methods return
    /// [`Closed`](actix_ws::Closed).
    pub session: actix_ws::Session,
    /// Receives messages from the client.
    pub messages: SocketMessages,
}

/// Stream of messages that ends with the session. [`GuardedSocket`] contains it.
///
/// After the end of the session, the stream yields `None`. Messages that the handler has not yet
/// received are discarded.
pub struct SocketMessages<S = MessageStream> {
    inner: S,
    guard: Rc<Guard>,
}

impl SessionHandle {
    /// Accepts a WebSocket handshake, and closes the socket when the session ends.
    ///
    /// The client receives a close frame with the
    /// [close code](crate::live::StreamEnd::close_code) and the
    /// [word](crate::live::StreamEnd::as_str) of the end:
    ///
    /// - 4401 and the reason, such as `logged_out` or `evicted`
    /// - 1013 and `unavailable`
    /// - 1001 and `shutting_down`
    ///
    /// The policy of this handler determines the end, as for [`ended`](Self::ended). Messages are
    /// not activity of the user. Use [`activity`](Self::activity) to record activity.
    ///
    /// ```
    /// use actix_web::{HttpResponse, Result, get, rt, web};
    /// use session_expire::{SessionHandle, live::actix_ws::Message};
    ///
    /// #[get("/echo")]
    /// async fn echo(session: SessionHandle, payload: web::Payload) -> Result<HttpResponse> {
    ///     let mut socket = session.guard_ws(payload)?;
    ///     rt::spawn(async move {
    ///         while let Some(Ok(message)) = socket.messages.recv().await {
    ///             let Message::Text(text) = message else { continue };
    ///             if socket.session.text(text).await.is_err() {
    ///                 break;
    ///             }
    ///         }
    ///     });
    ///     Ok(socket.response)
    /// }
    /// ```
    ///
    /// A handler that only sends should also read from `messages`. Otherwise it detects late that
    /// the client has closed the connection.
    ///
    /// # Errors
    ///
    /// - [`SocketError::CrossSite`] if a page of another origin sent the handshake, unless
    ///   [`allowed_origins`](crate::SessionExpireBuilder::allowed_origins) lists the origin.
    /// - [`SocketError::NotSignedIn`] if the request has no active session.
    /// - [`SocketError::Handshake`] if the request is not a valid handshake.
    ///
    /// # Security
    ///
    /// - Browsers send cookies with handshakes from any site, and no CORS rule applies to them. The
    ///   origin is therefore checked even though a handshake is a GET request. A handshake without
    ///   `Origin` and `Sec-Fetch-Site` does not come from a page, and is accepted.
    /// - After the end, the handler receives no messages and can send none. Messages that it sent
    ///   shortly before may still arrive.
    /// - The client has
    ///   [`client_disconnect_timeout`](actix_web::HttpServer::client_disconnect_timeout) (default:
    ///   1 second) to respond to the close frame. The server then closes the connection.
    /// - A client that stops reading while the application sends can delay the end of the
    ///   connection until a timeout of TCP. It cannot delay the end of `messages`. To limit the
    ///   time, set `TCP_USER_TIMEOUT` on the socket in
    ///   [`on_connect`](actix_web::HttpServer::on_connect).
    ///
    /// # Cost
    ///
    /// A socket costs one watch of the session (see [`ended`](Self::ended)) and one task of the
    /// worker. Both end with the connection. It needs no timer and no command to the registry.
    pub fn guard_ws(&self, payload: Payload) -> Result<GuardedSocket, SocketError> {
        if self.context.config().allowed_origins.refuses(&self.req) {
            return Err(SocketError::CrossSite);
        }
        if !matches!(self.verdict(), Verdict::Active(_)) {
            return Err(SocketError::NotSignedIn);
        }
        let handshake = actix_ws::handle(&self.req, payload).map_err(SocketError::Handshake)?;
        let (response, session, messages) = handshake;
        let guard = Rc::new(Guard::new(self.ended()));
        let response = response.map_body(|_, body| BoxBody::new(SocketBody::new(&guard, body)));
        Ok(GuardedSocket { response, session, messages: SocketMessages { inner: messages, guard } })
    }
}

impl SocketMessages {
    /// Sets the maximum size of a frame in bytes. Default: 64 KiB. A larger frame is an error.
    #[must_use]
    pub fn max_frame_size(self, bytes: usize) -> Self {
        Self { inner: self.inner.max_frame_size(bytes), ..self }
    }

    /// Joins the frames of each fragmented message. A message of more than `max_bytes` is an error.
    #[must_use]
    pub fn join_fragments(self, max_bytes: usize) -> SocketMessages<AggregatedMessageStream> {
        let joined = self.inner.aggregate_continuations().max_continuation_size(max_bytes);
        SocketMessages { inner: joined, guard: self.guard }
    }
}

impl<S: Stream + Unpin> SocketMessages<S> {
    /// Waits for the next message. Returns `None` after the session or the connection has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no message is lost.
    pub async fn recv(&mut self) -> Option<S::Item> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<S: Stream + Unpin> Stream for SocketMessages<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        // The inner stream wakes this task when the connection or the session has ended.
        if self.guard.has_ended() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_next(cx)
    }
}

impl fmt::Debug for GuardedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedSocket").field("messages", &self.messages).finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for SocketMessages<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketMessages").field("guard", &self.guard).finish_non_exhaustive()
    }
}
