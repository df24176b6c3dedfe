//! Checks the session again while a request body takes long to arrive.
//!
//! A handler starts when its body is there; the user was identified at the head. A client that holds
//! a request open must not act for a session that has ended meanwhile.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
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
    context::{RequestContext, load::LoadedRecord},
    error::RegistryError,
    registry::{StoredSession, query::Query},
    session::{
        reason::Reason,
        record::SessionRecord,
        verdict::{Facts, Verdict, judge},
    },
    time::{Timestamp, seconds},
};

/// A body that arrives within this time is not checked.
const CHECK_AFTER: Duration = seconds(5);

/// Watches the body of an unsafe request that comes with an open session. A session that is expired
/// at the head may be restored by a layer further in.
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
                held: None,
                check: None,
                has_failed: false,
            };
            req.set_payload(Payload::Stream { payload: Box::pin(body) });
        }
    }
}

type Item = Result<Bytes, PayloadError>;
type Check = Pin<Box<dyn Future<Output = Result<(), CheckFailed>>>>;

/// The session has ended, or cannot be checked.
#[derive(Debug, thiserror::Error)]
enum CheckFailed {
    #[error("session has ended")]
    Ended,
    #[error("session could not be checked")]
    Unavailable,
}

/// A body whose late chunks are handed on only while the session is active.
struct CheckedBody {
    inner: Payload,
    context: Rc<RequestContext>,
    checked_at: Timestamp,
    /// What waits for the check: a chunk, or the end of the body.
    held: Option<Option<Item>>,
    check: Option<Check>,
    /// A check has failed: nothing more is handed on.
    has_failed: bool,
}

impl Stream for CheckedBody {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
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
            self.held = Some(item);
            self.check = Some(Box::pin(check(Rc::clone(&self.context))));
        }
        let Some(check) = &mut self.check else { return Poll::Pending };
        let checked = ready!(check.as_mut().poll(cx));
        self.check = None;
        match checked {
            Ok(()) => Poll::Ready(self.held.take().flatten()),
            Err(error) => {
                self.has_failed = true;
                Poll::Ready(Some(Err(PayloadError::Io(io::Error::other(error)))))
            }
        }
    }
}

/// Loads the record again. A session that has ended is not used by layers further in; the body
/// fails if the request acts for it.
async fn check(context: Rc<RequestContext>) -> Result<(), CheckFailed> {
    let acts = context.acts_for_session();
    let failed = match reason_to_end(&context, acts).await {
        Ok(None) => return Ok(()),
        Ok(Some(reason)) => {
            context.end_while_running(reason);
            CheckFailed::Ended
        }
        Err(error) => {
            context.config().emit_failure(&error);
            context.lose_registry();
            CheckFailed::Unavailable
        }
    };
    if !acts {
        return Ok(());
    }
    context.set_body_failed();
    Err(failed)
}

/// Returns why the session can no longer be used. What has only expired is for the layers to
/// decide, unless the request acts for it.
async fn reason_to_end(
    context: &RequestContext,
    acts: bool,
) -> Result<Option<Reason>, RegistryError> {
    let Some(loaded) = context.record() else { return Ok(None) };
    let config = context.config();
    let record = match present_record(context, loaded).await? {
        Ok(record) => record,
        Err(reason) => return Ok(Some(reason)),
    };
    let facts = Facts::Login {
        authenticated_at: record.authenticated_at,
        // The request itself is activity at its head.
        last_seen: record.last_seen.max(context.now),
        ended: None,
    };
    Ok(match judge(&facts, &context.policy(), config.now()) {
        Verdict::Expired(reason) if acts => Some(reason),
        _ => None,
    })
}

/// Returns the open record as it is now, or why there is none. A renewal by a parallel request is no
/// end: the record is found under its new key.
async fn present_record(
    context: &RequestContext,
    loaded: &LoadedRecord,
) -> Result<Result<Arc<SessionRecord>, Reason>, RegistryError> {
    let registry = &context.config().registry;
    let Some(StoredSession { record, .. }) = registry.load(loaded.key, false).await? else {
        return Ok(Err(Reason::Unknown));
    };
    match record.ended.as_ref().map(|ended| ended.reason) {
        None => Ok(Ok(record)),
        Some(Reason::Renewed) => {
            let open = registry.list(Query::open(Arc::clone(&record.user))).await?;
            let renewed = open.into_iter().find(|open| open.id == loaded.record.id);
            Ok(renewed.map(Arc::new).ok_or(Reason::Revoked))
        }
        Some(reason) => Ok(Err(reason)),
    }
}
