//! Settles a request that a middleware further in has failed.

use std::rc::Rc;

use actix_web::{
    Error,
    error::InternalError,
    http::{StatusCode, header},
};

use super::{
    decision::{Outcome, decide},
    effects::carry_out,
    input::{input, outcome_of},
    reply::response_for,
};
use crate::{context::RequestContext, response::caching::CachingRule};

/// Settles a request that a middleware further in has failed.
pub(crate) async fn settle_failure(context: &Rc<RequestContext>, error: Error) -> Error {
    let Some(facts) = context.take_facts() else {
        // Active, and no activity is due.
        context.cancel_login().await;
        context.session.remove_user();
        context.set_settled();
        return with_caching(error, CachingRule::PrivatePage);
    };
    let (error, is_unauthorized) = inspect_error(error);
    let outcome = match error.as_response_error().status_code() {
        StatusCode::UNAUTHORIZED if is_unauthorized => Outcome::Unauthorized,
        // A middleware could not read the body.
        _ if context.has_body_failed() => Outcome::Unauthorized,
        status => outcome_of(status),
    };
    context.note_place(&facts.info, outcome == Outcome::Error);
    let user = context.user_change();
    let decision = decide(input(context, &user, outcome, true, &facts));
    context.mark_unread();
    let effects = carry_out(&decision, user, context, &facts).await;
    context.set_settled();
    match effects.response.or_else(|| response_for(decision.reply, context, &facts)) {
        Some(response) => InternalError::from_response(error, response).into(),
        None => with_caching(error, decision.caching),
    }
}

/// Returns an error whose response says to caches what it must.
fn with_caching(error: Error, caching: CachingRule) -> Error {
    let mut response = error.error_response();
    caching.apply(response.headers_mut());
    InternalError::from_response(error, response).into()
}

/// Returns an error, and whether it is a 401 that names no authentication scheme of its own. The
/// response can be taken out of an error once only: it is put back.
pub(crate) fn inspect_error(error: Error) -> (Error, bool) {
    if error.as_response_error().status_code() != StatusCode::UNAUTHORIZED {
        return (error, false);
    }
    let response = error.error_response();
    let is_challenge = response.headers().contains_key(header::WWW_AUTHENTICATE);
    (InternalError::from_response(error, response).into(), !is_challenge)
}
