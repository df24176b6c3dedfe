//! Carries out a decision: operations of the registry, cookies and events.

mod activity;
pub(crate) mod adoption;
mod anonymous;
mod end;
mod login;

use std::rc::Rc;

use actix_web::{HttpResponse, cookie::Cookie};

use self::{
    activity::{record_activity, rotate_key},
    anonymous::{restore, write_anonymous},
    end::{end_expired, sign_out},
    login::{cancel, commit_login},
};
use super::decision::{Action, Decision};
use crate::{
    context::{RequestContext, access::AccessState, changes::UserChange, facts::RequestFacts},
    error::RegistryError,
    event::Event,
    policy::limit::Limit,
    response::problem::unavailable,
    session::{key::RecordKey, record::SessionRecord},
};

/// What a response gets from a decision.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) cookies: Vec<Cookie<'static>>,
    /// In the place of the handler's response.
    pub(crate) response: Option<HttpResponse>,
}

impl Effects {
    fn response(response: HttpResponse) -> Self {
        Self { cookies: vec![], response: Some(response) }
    }
}

/// Does what was decided. Every path that commits no login cancels one that was reserved.
pub(crate) async fn carry_out(
    decision: &Decision,
    user: UserChange,
    context: &Rc<RequestContext>,
    facts: &RequestFacts,
) -> Effects {
    if decision.action != Action::CommitLogin {
        context.cancel_login().await;
    }
    emit_refused(context);
    match decision.action {
        Action::WriteNothing => Effects::default(),
        Action::WriteAnonymous => write_anonymous(context),
        Action::Restore { stores_data } => restore(context, stores_data).await,
        Action::RecordActivity { stores_data, enforces_limit } => {
            record_activity(context, facts, stores_data, enforces_limit).await
        }
        Action::RotateKey => rotate_key(context, facts).await,
        // Boxed, so that the future of all other actions stays small.
        Action::CommitLogin => Box::pin(commit_login(user, context, facts)).await,
        Action::CancelLogin => cancel(context, facts).await,
        Action::End => sign_out(context).await,
        Action::EndWithoutCookie => end_expired(context).await,
    }
}

/// The key of an ended session was used again.
fn emit_refused(context: &RequestContext) {
    if let AccessState::Expired(reason) = *context.access()
        && is_dead(context)
    {
        context.config().emit(&Event::Refused { reason });
    }
}

/// Returns `true` if the key of the request can never be used again.
pub(super) fn is_dead(context: &RequestContext) -> bool {
    context.record().is_none_or(|loaded| loaded.record.ended.is_some())
}

/// Returns the cookie of a session; the anonymous cookie is no longer needed.
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

/// A login with a policy of its own outlives the browser, for as long as it lasts.
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
    unavailable()
}
