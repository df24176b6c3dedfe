//! Ends sessions: a sign-out, or an expired one.

use super::{Effects, anonymous::anonymous_effects, is_dead, registry_failed};
use crate::{
    context::{RequestContext, load::LoadedRecord},
    error::RegistryError,
    registry::end::{EndSessions, EndTarget},
    session::{reason::Reason, record::Ended},
};

/// Ends a session. Returns `false` if it had ended meanwhile.
pub(super) async fn end(
    context: &RequestContext,
    loaded: &LoadedRecord,
    reason: Reason,
    closes_adoption: bool,
) -> Result<bool, RegistryError> {
    let config = context.config();
    let ended = Ended::new(reason, config.now());
    let mut request = EndSessions::new(EndTarget::Session(loaded.record.session_ref()), ended);
    if closes_adoption {
        request.close_adoption_until = config.close_adoption_until();
    }
    let ended = config.registry.end(request).await?;
    config.emit_ended(&ended);
    Ok(!ended.is_empty())
}

/// "You have signed out" must not be said while a copy of the cookie still works. The cookie of a
/// session that had ended before, or has a new key, stays: the browser may have another one by now.
pub(super) async fn sign_out(context: &RequestContext) -> Effects {
    let reason = match context.end_reason() {
        // The session goes on under its new key until now.
        Reason::Renewed => Reason::LoggedOut,
        reason => reason,
    };
    let ended = match context.record() {
        None => Ok(false),
        Some(loaded) => end(context, loaded, reason, true).await,
    };
    let was_open = context.record().is_some_and(|loaded| loaded.record.ended.is_none());
    let ends_now = match ended {
        Ok(ends_now) => ends_now && was_open,
        Err(error) => return Effects::response(registry_failed(context, &error)),
    };
    let cookies = &context.config().cookies;
    let mut effects = Effects::default();
    if ends_now {
        effects.cookies.push(cookies.removed_session_cookie());
    }
    context.drop_record_messages();
    let state = context.signed_out_state(ends_now);
    if !state.is_empty() {
        effects.cookies.extend(cookies.anonymous_cookie(state, context.now).ok());
    } else if context.cookies.has_anonymous_cookie {
        effects.cookies.push(cookies.removed_anonymous_cookie());
    }
    effects
}

/// Ends an expired session. What the request wrote as an anonymous visitor's stays the visitor's.
pub(super) async fn end_expired(context: &RequestContext) -> Effects {
    if let Some(loaded) = context.record().filter(|_| !is_dead(context))
        && let Err(error) = end(context, loaded, context.end_reason(), false).await
    {
        return Effects::response(registry_failed(context, &error));
    }
    anonymous_effects(context, true)
}
