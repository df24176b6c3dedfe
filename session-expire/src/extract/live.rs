//! Functions of [`SessionHandle`] that end streams with their session.

use super::session_handle::SessionHandle;
use crate::watch::{guarded::Guarded, session_end::SessionEnd, slot::WatchKind};

impl SessionHandle {
    /// Returns a future that resolves when this session ends: after a sign-out, an eviction, an end
    /// by an administrator or a timeout, in this process or another.
    ///
    /// The timeouts are those of this handler's policy. Activity on other pages extends the idle
    /// timeout, and [`refresh_policy`](Self::refresh_policy) applies new timeouts. Data on the
    /// stream is not activity; see [`activity`](Self::activity).
    ///
    /// A key rotation ([`Session::renew`](actix_session::Session::renew),
    /// [`confirm`](Self::confirm)) resolves the future with
    /// [`Reason::Renewed`](crate::Reason::Renewed). The client can then reconnect with its new
    /// cookie.
    ///
    /// An outage of the registry ends no stream before the last known deadline of its session. At
    /// that deadline, the future resolves with [`StreamEnd::Unavailable`](crate::live::StreamEnd).
    ///
    /// If the request has no active session, the future resolves at once. The reason is that of the
    /// expired session. For an anonymous visitor, and for a user whom this request signs in, it is
    /// [`Reason::Unknown`](crate::Reason::Unknown).
    ///
    /// # Cost
    ///
    /// One load when the future is created, and one at its deadline. In between, the registry
    /// reports ends, and the session is not polled. A future needs less than 400 bytes of memory.
    ///
    /// ```
    /// use session_expire::SessionHandle;
    ///
    /// async fn watch(session: SessionHandle) -> &'static str {
    ///     let ended = session.ended();
    ///     actix_web::rt::spawn(async move {
    ///         tracing::info!(reason = ended.await.as_str(), "export stopped");
    ///     });
    ///     "started"
    /// }
    /// ```
    pub fn ended(&self) -> SessionEnd {
        match self.context.watch(WatchKind::Guard) {
            Ok(watch) => SessionEnd::watching(watch),
            Err(end) => SessionEnd::ready(end),
        }
    }

    /// Wraps a stream or a response body, which then ends with an error when this session
    /// [ends](Self::ended).
    ///
    /// After the error, Actix closes the connection, so the client can tell that the body is
    /// incomplete.
    ///
    /// ```
    /// use actix_web::{HttpResponse, web::Bytes};
    /// use futures_core::Stream;
    /// use session_expire::SessionHandle;
    ///
    /// fn stream<S>(session: SessionHandle, prices: S) -> HttpResponse
    /// where
    ///     S: Stream<Item = Result<Bytes, actix_web::Error>> + 'static,
    /// {
    ///     HttpResponse::Ok().content_type("text/event-stream").streaming(session.guard(prices))
    /// }
    /// ```
    pub fn guard<T>(&self, inner: T) -> Guarded<T> {
        Guarded::new(inner, self.ended())
    }
}
