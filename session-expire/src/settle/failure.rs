//! Settling of requests in which an inner middleware has failed.
//!
//! A login is cancelled and changes are discarded, but activity is recorded.

use std::rc::Rc;

use actix_web::{
    Error,
    error::InternalError,
    http::{StatusCode, header},
};

use super::{
    decision::{HandlerOutcome, decide},
    effects::apply_decision,
    input::{input, outcome_from_status},
    respond::response_for,
};
use crate::{context::RequestContext, response::caching::CachingRule};

/// Settles a request in which an inner middleware has failed. Returns the error, with the response
/// that the decision requires.
pub(crate) async fn settle_failure(context: &Rc<RequestContext>, error: Error) -> Error {
    let Some(facts) = context.take_facts() else {
        // The facts were not read, so the session is active and no activity is due.
        context.cancel_login().await;
        context.session.remove_user();
        context.set_settled();
        return with_caching(error, CachingRule::PrivatePage);
    };
    let (error, is_unauthorized) = inspect_error(error);
    let outcome = match error.as_response_error().status_code() {
        StatusCode::UNAUTHORIZED if is_unauthorized => HandlerOutcome::Unauthorized,
        // The middleware could not read the failed body.
        _ if context.has_body_failed() => HandlerOutcome::Unauthorized,
        status => outcome_from_status(status),
    };
    context.record_form_target(&facts.info, outcome == HandlerOutcome::Error);
    let user = context.user_change();
    let decision = decide(input(context, &user, outcome, true, &facts));
    context.mark_unread();
    let effects = apply_decision(&decision, user, context, &facts).await;
    context.set_settled();
    match effects.response.or_else(|| response_for(decision.response, context, &facts)) {
        Some(response) => InternalError::from_response(error, response).into(),
        None => with_caching(error, decision.caching),
    }
}

/// Returns the error with cache headers on its response.
fn with_caching(error: Error, caching: CachingRule) -> Error {
    let mut response = error.error_response();
    caching.apply(response.headers_mut());
    InternalError::from_response(error, response).into()
}

/// Returns the error, and `true` if it is a 401 without an authentication scheme of its own.
///
/// `error_response` may yield the response only once, so the returned error contains it.
pub(crate) fn inspect_error(error: Error) -> (Error, bool) {
    if error.as_response_error().status_code() != StatusCode::UNAUTHORIZED {
        return (error, false);
    }
    let response = error.error_response();
    let is_challenge = response.headers().contains_key(header::WWW_AUTHENTICATE);
    (InternalError::from_response(error, response).into(), !is_challenge)
}
