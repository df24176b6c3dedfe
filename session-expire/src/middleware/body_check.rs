//! Checks the session again while a request body takes long to arrive.
//!
//! A handler starts when its body is there; the user was identified at the head. A client that holds
//! a request open must not act for a session that has ended meanwhile.

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
    context::RequestContext,
    error::RegistryError,
    facts::{Facts, Reason},
    judge::{Verdict, judge},
    time::{Timestamp, seconds},
};

/// A body that arrives within this time is not checked.
const CHECK_AFTER: Duration = seconds(5);

/// Watches the body of a signed-in user's request.
pub(crate) fn check_slow_body(context: &Rc<RequestContext>, req: &mut ServiceRequest) {
    if !context.access().is_active() || req.method().is_safe() {
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
            };
            req.set_payload(Payload::Stream { payload: Box::pin(body) });
        }
    }
}

type Item = Result<Bytes, PayloadError>;
type Check = Pin<Box<dyn Future<Output = Result<(), Ended>>>>;

/// The session has ended, or cannot be checked.
struct Ended;

/// A body whose late chunks are handed on only while the session is active.
struct CheckedBody {
    inner: Payload,
    context: Rc<RequestContext>,
    checked_at: Timestamp,
    /// What waits for the check: a chunk, or the end of the body.
    held: Option<Option<Item>>,
    check: Option<Check>,
}

impl Stream for CheckedBody {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
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
            Err(Ended) => {
                Poll::Ready(Some(Err(PayloadError::Io(io::Error::other("session has ended")))))
            }
        }
    }
}

/// Loads the record again, and suspends the session if it is not active any more.
async fn check(context: Rc<RequestContext>) -> Result<(), Ended> {
    match reason_to_end(&context).await {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => {
            context.end_while_running(reason);
            Err(Ended)
        }
        Err(error) => {
            context.config().emit_failure(&error);
            Err(Ended)
        }
    }
}

async fn reason_to_end(context: &RequestContext) -> Result<Option<Reason>, RegistryError> {
    let Some(loaded) = context.record() else { return Ok(None) };
    let config = context.config();
    let Some(again) = config.registry.load(loaded.key, false).await? else {
        return Ok(Some(Reason::Unknown));
    };
    // A renewal by a parallel request is no end.
    let renewed = again.record.ended.as_ref().is_some_and(|ended| ended.reason == Reason::Renewed);
    let facts = match again.record.facts() {
        Facts::Login { authenticated_at, last_seen, ended } => Facts::Login {
            authenticated_at,
            // The request itself is activity at its head.
            last_seen: last_seen.max(context.now),
            ended: ended.filter(|_| !renewed),
        },
        other => other,
    };
    Ok(match judge(&facts, &context.policy(), config.now()) {
        Verdict::Expired(reason) => Some(reason),
        Verdict::Active(_) | Verdict::Anonymous => None,
    })
}
