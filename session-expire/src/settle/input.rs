//! Input of the settle decision, read from the context of a request.
//!
//! It reads the context and changes nothing.

use actix_web::http::StatusCode;

use super::decision::{Access, HandlerOutcome, Input, Origin, ResponseIntent, User};
use crate::{
    context::{
        RequestContext, access::AccessState, changes::UserChange, facts::RequestFacts,
        policy_stack::app_policy,
    },
    session::verdict::{Verdict, judge},
};

/// Returns the outcome for a status. A 401 counts as one with a body.
pub(super) fn outcome_from_status(status: StatusCode) -> HandlerOutcome {
    match status {
        StatusCode::UNAUTHORIZED => HandlerOutcome::OwnUnauthorized,
        status if status.is_client_error() || status.is_server_error() => HandlerOutcome::Error,
        _ => HandlerOutcome::Success,
    }
}

/// Returns the input of the decision.
pub(super) fn input(
    context: &RequestContext,
    user: &UserChange,
    outcome: HandlerOutcome,
    has_failed: bool,
    facts: &RequestFacts,
) -> Input {
    let config = context.config();
    let policy = context.policy();
    let intent = context.intent();
    let access = access(context);
    let is_at_login = config.is_login_page(&facts.info.path, &policy);
    Input {
        access,
        user: user_event(user),
        kind: facts.info.kind,
        origin: if facts.is_other_site { Origin::Other } else { Origin::Same },
        is_passive: policy.passive || facts.is_passive,
        intent: match intent {
            _ if intent.queries_status => ResponseIntent::StatusQuery,
            _ if intent.signs_out => ResponseIntent::SigningOut,
            _ if intent.keeps_response => ResponseIntent::KeptResponse,
            _ => ResponseIntent::Normal,
        },
        outcome,
        has_failed,
        may_challenge: !is_at_login && (access != Access::Anonymous || config.challenge_anonymous),
    }
}

fn user_event(user: &UserChange) -> User {
    match user {
        UserChange::Unchanged => User::Unchanged,
        UserChange::Renewed => User::Renewed,
        UserChange::Confirmed => User::Confirmed,
        UserChange::SignedIn(_) => User::SignedIn,
        UserChange::SignedOut => User::SignedOut,
        UserChange::Cleared => User::Cleared,
        UserChange::Invalid => User::Invalid,
    }
}

pub(super) fn access(context: &RequestContext) -> Access {
    match *context.access() {
        AccessState::Anonymous => Access::Anonymous,
        AccessState::Active(_) if context.needs_confirmation() => Access::NotFresh,
        AccessState::Active(_) => Access::Active,
        AccessState::Unavailable => Access::Unavailable,
        AccessState::Expired(_) => Access::Expired { everywhere: is_expired_everywhere(context) },
    }
}

/// Returns `true` if the session is also expired under the application's policy.
fn is_expired_everywhere(context: &RequestContext) -> bool {
    let Some(loaded) = context.record() else { return true };
    let policy = app_policy(context.config(), &loaded.record);
    matches!(judge(&loaded.record.facts(), &policy, context.now), Verdict::Expired(_))
}
