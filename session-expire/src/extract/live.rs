//! Open streams that end with the session of a request.

use super::session_handle::SessionHandle;
use crate::watch::{guarded::Guarded, session_end::SessionEnd, slot::WatchKind};

impl SessionHandle {
    /// Returns a future that resolves when this session ends, whatever the cause: sign-out, eviction,
    /// administrator, timeout, in this process or another.
    ///
    /// The timeouts are those of the policy of this handler. Activity on other pages extends them,
    /// and [`refresh_policy`](Self::refresh_policy) calculates them again. Data on the stream is no
    /// activity; see [`activity`](Self::activity). A key rotation
    /// ([`Session::renew`](actix_session::Session::renew), [`confirm`](Self::confirm)) resolves the
    /// future with [`Reason::Renewed`](crate::Reason::Renewed), and the client reconnects with its
    /// new cookie.
    ///
    /// An outage of the registry ends no stream before the last known deadline of its session. At
    /// that deadline, the future resolves with [`StreamEnd::Unavailable`](crate::live::StreamEnd).
    ///
    /// If the request has no active session, the future resolves at once: with the reason of an
    /// expired session, and with [`Reason::Unknown`](crate::Reason::Unknown) for an anonymous
    /// visitor or for a user whom this request signs in.
    ///
    /// # Cost
    ///
    /// One load when the future is created, and one at its deadline. In between, the registry
    /// reports ends to the process, and no stream is polled. A future needs less than 400 bytes.
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

    /// Returns `inner`, a stream or a response body, which ends with an error when this session
    /// [ends](Self::ended).
    ///
    /// After the error, Actix closes the connection. A body without an error would pass for a
    /// complete download.
    ///
    /// ```
    /// use actix_web::{HttpResponse, web::Bytes};
    /// use futures_core::Stream;
    /// use session_expire::SessionHandle;
    ///
    /// async fn prices(session: SessionHandle) -> HttpResponse {
    ///     HttpResponse::Ok().content_type("text/event-stream").streaming(session.guard(ticker()))
    /// }
    /// # fn ticker() -> impl Stream<Item = Result<Bytes, actix_web::Error>> + 'static {
    /// #     actix_web::body::BodyStream::new(Empty).into_inner()
    /// # }
    /// ```
    pub fn guard<T>(&self, inner: T) -> Guarded<T> {
        Guarded::new(inner, self.ended())
    }
}
