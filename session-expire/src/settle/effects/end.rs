//! End of sessions: sign-out and expiry.
//!
//! Only a sign-out deletes the session cookie.

use super::{
    super::respond::{challenge_response, prepare_challenge},
    Effects,
    anonymous::anonymous_effects,
    is_key_void, registry_failed,
};
use crate::{
    context::{
        RequestContext,
        facts::RequestFacts,
        load::{LoadedRecord, end_current},
    },
    error::RegistryError,
    registry::end::{EndSessions, EndTarget},
    session::{ended::Ended, reason::Reason},
};

/// Ends a session. Returns `false` if it had already ended.
pub(super) async fn end(
    context: &RequestContext,
    loaded: &LoadedRecord,
    facts: &RequestFacts,
    reason: Reason,
    closes_adoption: bool,
) -> Result<bool, RegistryError> {
    let config = context.config();
    let ended = Ended::new(reason, config.now());
    let mut request = EndSessions::new(EndTarget::Session(loaded.record.session_ref()), ended);
    if closes_adoption {
        request.close_adoption_until = config.close_adoption_until();
    }
    let ended = end_current(config, loaded, request).await?.unwrap_or_default();
    config.emit_ended(&ended, Some(&facts.client));
    Ok(!ended.is_empty())
}

/// Returns the effects of a session that has ended during the request: the challenge.
pub(super) fn challenge_ended(
    context: &RequestContext,
    ended: Ended,
    facts: &RequestFacts,
) -> Effects {
    context.end_during_request(ended);
    prepare_challenge(context, &facts.info);
    let mut effects = anonymous_effects(context, true);
    effects.response.get_or_insert_with(|| challenge_response(context, &facts.info));
    effects
}

/// Signs the user out. If the registry fails, the response is 503 and not a success, because copies
/// of the cookie still work.
///
/// The cookie is deleted only if this request has ended the session. Otherwise the browser may have
/// the cookie of a newer login.
pub(super) async fn sign_out(context: &RequestContext, facts: &RequestFacts) -> Effects {
    let reason = match context.end_reason() {
        // The session is still open under its new key, and the sign-out ends it.
        Reason::Renewed => Reason::LoggedOut,
        reason => reason,
    };
    let ended = match context.record() {
        None => Ok(false),
        Some(loaded) => end(context, loaded, facts, reason, true).await,
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
    context.discard_record_messages();
    let state = context.signed_out_state(ends_now);
    if !state.is_empty() {
        effects.cookies.extend(cookies.anonymous_cookie(state, context.now).ok());
    } else if context.cookies.has_anonymous_cookie {
        effects.cookies.push(cookies.removed_anonymous_cookie());
    }
    effects
}

/// Ends an expired session. Writes of this request go to the anonymous cookie.
pub(super) async fn end_expired(context: &RequestContext, facts: &RequestFacts) -> Effects {
    if let Some(loaded) = context.record().filter(|_| !is_key_void(context))
        && let Err(error) = end(context, loaded, facts, context.end_reason(), false).await
    {
        return Effects::response(registry_failed(context, &error));
    }
    anonymous_effects(context, true)
}
