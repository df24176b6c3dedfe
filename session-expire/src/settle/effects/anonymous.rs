//! Writes to the anonymous cookie, and writes to a suspended session.
//!
//! The cookie is sent only if its content changes.

use actix_web::{HttpResponse, cookie::Cookie};

use super::{Effects, activity::failed_update, is_key_void};
use crate::{
    context::{RequestContext, load::update_current},
    cookies::AnonymousTooLarge,
    response::problem::configuration_error,
    session::{data::DataTooLarge, update::SessionUpdate},
};

pub(super) fn write_anonymous(context: &RequestContext) -> Effects {
    anonymous_effects(context, is_key_void(context))
}

/// Adds the anonymous cookie with the offer to continue a login, if this request has made one.
pub(super) fn with_offer(context: &RequestContext, mut effects: Effects) -> Effects {
    if context.intent().offers_takeover && effects.response.is_none() {
        let cookies = &context.config().cookies;
        effects.cookies.extend(cookies.anonymous_cookie(context.offer_state(), context.now).ok());
    }
    effects
}

/// Stores the writes of a request that could not use its session. The session stays open.
pub(super) async fn restore(context: &RequestContext, stores_data: bool) -> Effects {
    if stores_data && let Some(response) = store_writes_before_suspension(context).await {
        return Effects::response(response);
    }
    match context.intent().queries_status {
        true => Effects::default(),
        false => write_anonymous(context),
    }
}

/// Stores the changes that a middleware made before a stricter layer suspended the session. Other
/// pages still use this session.
async fn store_writes_before_suspension(context: &RequestContext) -> Option<HttpResponse> {
    let data = context.record_changes();
    let loaded = context.record().filter(|_| !data.is_empty())?;
    let update = SessionUpdate { data, ..SessionUpdate::new(context.config().now()) };
    // Boxed to limit the size of the future for all other requests.
    let updated = Box::pin(update_current(context.config(), loaded, update)).await;
    failed_update(context, updated, true)
}

/// Returns the effects of the writes of an anonymous visitor.
pub(super) fn anonymous_effects(context: &RequestContext, is_key_void: bool) -> Effects {
    match anonymous_cookie(context, is_key_void) {
        Ok(cookie) => Effects { cookies: cookie.into_iter().collect(), response: None },
        Err(AnonymousTooLarge) => {
            tracing::error!(
                event = "sys_anonymous_too_large",
                "anonymous session too large for a cookie"
            );
            Effects::response(configuration_error())
        }
    }
}

/// Returns the anonymous cookie if it changes. A cookie without content is deleted.
fn anonymous_cookie(
    context: &RequestContext,
    is_key_void: bool,
) -> Result<Option<Cookie<'static>>, AnonymousTooLarge> {
    if !context.may_change_anonymous() {
        return Ok(None);
    }
    let before = &context.cookies.anonymous;
    let state = context.anonymous_state(is_key_void).map_err(|DataTooLarge| AnonymousTooLarge)?;
    let cookies = &context.config().cookies;
    if before.has_same_content(&state) {
        return Ok(None);
    }
    if state.is_empty() {
        let has_cookie = context.cookies.has_anonymous_cookie;
        return Ok(has_cookie.then(|| cookies.removed_anonymous_cookie()));
    }
    if !state.data.is_empty() {
        context.config().diagnostics.count_session_without_user();
    }
    cookies.anonymous_cookie(state, context.now).map(Some)
}
