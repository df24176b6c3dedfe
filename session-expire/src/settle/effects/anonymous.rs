//! What an anonymous visitor has written, and what was written before a suspension.

use actix_web::{HttpResponse, cookie::Cookie};

use super::{Effects, activity::failed_update, is_dead};
use crate::{
    context::RequestContext,
    cookies::AnonymousTooLarge,
    response::problem::configuration_error,
    session::{data::DataTooLarge, update::SessionUpdate},
};

pub(super) fn write_anonymous(context: &RequestContext) -> Effects {
    anonymous_effects(context, is_dead(context))
}

/// The session stays as it is for requests that can use it.
pub(super) async fn restore(context: &RequestContext, stores_data: bool) -> Effects {
    if stores_data && let Some(response) = store_writes_before_suspension(context).await {
        return Effects::response(response);
    }
    match context.intent().queries_status {
        true => Effects::default(),
        false => write_anonymous(context),
    }
}

/// What a middleware wrote to the record before a stricter layer suspended the session is stored:
/// the session goes on elsewhere.
async fn store_writes_before_suspension(context: &RequestContext) -> Option<HttpResponse> {
    let data = context.record_changes();
    let loaded = context.record().filter(|_| !data.is_empty())?;
    let update = SessionUpdate { data, ..SessionUpdate::new(context.config().now()) };
    let updated = context.config().registry.update(loaded.record.session_ref(), update).await;
    failed_update(context, updated, true)
}

/// Returns the effects of what an anonymous visitor has written.
pub(super) fn anonymous_effects(context: &RequestContext, is_dead: bool) -> Effects {
    match anonymous_cookie(context, is_dead) {
        Ok(cookie) => Effects { cookies: cookie.into_iter().collect(), response: None },
        Err(AnonymousTooLarge) => {
            tracing::error!(event = "sys_anonymous_too_large", "anonymous session not stored");
            Effects::response(configuration_error())
        }
    }
}

/// Returns the anonymous cookie if it changes. A cookie whose content is gone is removed.
fn anonymous_cookie(
    context: &RequestContext,
    is_dead: bool,
) -> Result<Option<Cookie<'static>>, AnonymousTooLarge> {
    if !context.may_change_anonymous() {
        return Ok(None);
    }
    let before = &context.cookies.anonymous;
    let state = context.anonymous_state(is_dead).map_err(|DataTooLarge| AnonymousTooLarge)?;
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
