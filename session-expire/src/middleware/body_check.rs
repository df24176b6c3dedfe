//! Session checks for request bodies that arrive slowly.
//!
//! The middleware identifies the user when the head of a request arrives. The handler runs when the
//! body is complete. A slow client must not act for a session that has ended in between.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::{
    HttpMessage,
    dev::{Payload, ServiceRequest},
    error::PayloadError,
    web::Bytes,
};
use futures_core::Stream;

use crate::{
    context::{RequestContext, load::current_record},
    error::RegistryError,
    session::{
        ended::Ended,
        verdict::{Facts, Verdict, judge},
    },
    time::{Timestamp, seconds},
};

/// Shortest time between two checks. A body that arrives sooner is not checked.
const CHECK_AFTER: Duration = seconds(5);

/// Wraps the body of an unsafe request with an open session. This includes expired sessions,
/// because an inner layer may restore them.
pub(crate) fn check_slow_body(context: &Rc<RequestContext>, req: &mut ServiceRequest) {
    let is_open = context.record().is_some_and(|loaded| loaded.record.ended.is_none());
    if !is_open || req.method().is_safe() {
        return;
    }
    match req.take_payload() {
        Payload::None => req.set_payload(Payload::None),
        inner => {
            let body = CheckedBody {
                inner,
                context: Rc::clone(context),
                checked_at: context.now,
                delayed: None,
                check: None,
                has_failed: false,
            };
            req.set_payload(Payload::Stream { payload: Box::pin(body) });
        }
    }
}

type Chunk = Result<Bytes, PayloadError>;
type CheckFuture = Pin<Box<dyn Future<Output = Result<(), BodyCheckError>>>>;

/// Error of a body whose session is no longer accepted.
#[derive(Debug, thiserror::Error)]
enum BodyCheckError {
    #[error("session has ended")]
    Ended,
    #[error("session could not be checked")]
    Unavailable,
}

/// Request body that passes on a slow chunk only while the session is active.
struct CheckedBody {
    inner: Payload,
    context: Rc<RequestContext>,
    checked_at: Timestamp,
    /// Chunk, or end of the body, that waits for the check.
    delayed: Option<Option<Chunk>>,
    check: Option<CheckFuture>,
    /// `true` if a check has failed. The body then ends.
    has_failed: bool,
}

impl Stream for CheckedBody {
    type Item = Chunk;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        if self.has_failed {
            return Poll::Ready(None);
        }
        if self.check.is_none() {
            let item = ready!(Pin::new(&mut self.inner).poll_next(cx));
            let now = self.context.config().now();
            if now.since(self.checked_at) < CHECK_AFTER {
                return Poll::Ready(item);
            }
            self.checked_at = now;
            self.delayed = Some(item);
            self.check = Some(Box::pin(check(Rc::clone(&self.context))));
        }
        let Some(check) = &mut self.check else { return Poll::Pending };
        let checked = ready!(check.as_mut().poll(cx));
        self.check = None;
        match checked {
            Ok(()) => Poll::Ready(self.delayed.take().flatten()),
            Err(error) => {
                self.has_failed = true;
                Poll::Ready(Some(Err(PayloadError::Io(io::Error::other(error)))))
            }
        }
    }
}

/// Loads the record again and suspends the session if it has ended. Returns an error if the request
/// acts for the session.
async fn check(context: Rc<RequestContext>) -> Result<(), BodyCheckError> {
    let acts = context.acts_for_session();
    let failed = match end_to_apply(&context, acts).await {
        Ok(None) => return Ok(()),
        Ok(Some(ended)) => {
            context.end_during_request(ended);
            BodyCheckError::Ended
        }
        Err(error) => {
            context.config().emit_failure(&error);
            context.set_unavailable();
            BodyCheckError::Unavailable
        }
    };
    if !acts {
        return Ok(());
    }
    context.set_body_failed();
    Err(failed)
}

/// Returns the end of a session that can no longer be used. Returns `None` for an expired session
/// for which the request does not act: the policy layers decide about it.
async fn end_to_apply(
    context: &RequestContext,
    acts: bool,
) -> Result<Option<Ended>, RegistryError> {
    let Some(loaded) = context.record() else { return Ok(None) };
    let config = context.config();
    let record = match current_record(config, loaded).await? {
        Ok(record) => record,
        Err(ended) => return Ok(Some(ended)),
    };
    let facts = Facts::Login {
        authenticated_at: record.authenticated_at,
        // The head of this request counts as activity.
        last_seen: record.last_seen.max(context.now),
        ended: None,
    };
    let now = config.now();
    Ok(match judge(&facts, &context.policy(), now) {
        Verdict::Expired(reason) if acts => Some(Ended::new(reason, now)),
        _ => None,
    })
}
