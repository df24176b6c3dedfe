//! Effects of the settle decision: registry operations, cookies and events.
//!
//! A failed login, end or change of data replaces the response and sets no cookie.

mod activity;
pub(crate) mod adoption;
mod anonymous;
mod end;
mod login;

use std::rc::Rc;

use actix_web::{HttpResponse, ResponseError, cookie::Cookie};

use self::{
    activity::{reauthenticate, record_activity, rotate_key},
    anonymous::{restore, with_offer, write_anonymous},
    end::{end_expired, sign_out},
    login::{cancel, commit_login},
};
use super::decision::{Action, Decision};
use crate::{
    context::{RequestContext, access::AccessState, changes::UserChange, facts::RequestFacts},
    error::RegistryError,
    event::Event,
    policy::limit::Limit,
    session::{key::RecordKey, record::SessionRecord},
};

/// Effects of a decision on the response.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) cookies: Vec<Cookie<'static>>,
    /// Response that replaces the handler's.
    pub(crate) response: Option<HttpResponse>,
}

impl Effects {
    fn response(response: HttpResponse) -> Self {
        Self { cookies: vec![], response: Some(response) }
    }
}

/// Carries out the action of `decision`. Cancels a reserved login unless the action commits it.
pub(crate) async fn apply_decision(
    decision: &Decision,
    user: UserChange,
    context: &Rc<RequestContext>,
    facts: &RequestFacts,
) -> Effects {
    if decision.action != Action::CommitLogin {
        context.cancel_login().await;
    }
    emit_refused(context, facts);
    match decision.action {
        Action::WriteNothing => Effects::default(),
        Action::WriteAnonymous => write_anonymous(context),
        Action::Restore { stores_data } => restore(context, stores_data).await,
        Action::RecordActivity { stores_data, enforces_limit } => {
            let effects = record_activity(context, facts, stores_data, enforces_limit).await;
            with_offer(context, effects)
        }
        // The rare actions are boxed to limit the size of the future for all others.
        Action::RotateKey => Box::pin(rotate_key(context, facts)).await,
        Action::Reauthenticate => Box::pin(reauthenticate(context, facts)).await,
        Action::CommitLogin => Box::pin(commit_login(user, context, facts)).await,
        Action::CancelLogin => cancel(context, facts).await,
        Action::End => Box::pin(sign_out(context, facts)).await,
        Action::EndWithoutCookie => Box::pin(end_expired(context, facts)).await,
    }
}

/// Emits an event if the request carries the key of an ended or unknown session.
fn emit_refused(context: &RequestContext, facts: &RequestFacts) {
    if let AccessState::Expired(reason) = *context.access()
        && is_key_void(context)
    {
        let record = context.record().map(|loaded| &*loaded.record);
        let event = Event::from_refused(record, reason);
        context.config().emit(&event.with_requester(&facts.client));
    }
}

/// Returns `true` if the session of the request has ended or is unknown. No request can use its key
/// any more.
pub(super) fn is_key_void(context: &RequestContext) -> bool {
    context.record().is_none_or(|loaded| loaded.record.ended.is_some())
}

/// Returns effects that set the session cookie and delete the anonymous cookie.
pub(super) fn with_session_cookie(
    context: &RequestContext,
    key: &RecordKey,
    record: &SessionRecord,
) -> Effects {
    let cookies = &context.config().cookies;
    let mut effects = Effects::default();
    effects.cookies.push(cookies.session_cookie(key, remaining_lifetime(context, record)));
    if context.cookies.has_anonymous_cookie {
        effects.cookies.push(cookies.removed_anonymous_cookie());
    }
    effects
}

/// Returns the lifetime of the session cookie, or `None` if it ends with the browser. A login
/// policy that sets `absolute` makes the cookie persistent.
fn remaining_lifetime(
    context: &RequestContext,
    record: &SessionRecord,
) -> Option<std::time::Duration> {
    let absolute = record.login_policy.as_ref()?.absolute?;
    match absolute {
        Limit::At(absolute) => Some(record.authenticated_at.plus(absolute).since(context.now)),
        Limit::Off => Some(std::time::Duration::MAX),
    }
}

pub(super) fn registry_failed(context: &RequestContext, error: &RegistryError) -> HttpResponse {
    context.config().emit_failure(error);
    error.error_response()
}
