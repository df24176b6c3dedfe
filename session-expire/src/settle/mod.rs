//! Settling of requests after the handler.
//!
//! [`decision::decide`] decides, `effects` carries out the action, and `respond` chooses the
//! response. No other code stores the changes of a handler.

pub(crate) mod decision;
pub(crate) mod effects;
pub(crate) mod failure;
mod input;
pub(crate) mod respond;

use std::rc::Rc;

use actix_web::{
    HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    cookie::Cookie,
    dev::ServiceResponse,
    http::{StatusCode, header},
};

use self::{
    decision::{Action, Decision, HandlerOutcome, decide},
    effects::{Effects, adoption::apply_and_adopt, apply_decision},
    input::{input, outcome_from_status},
    respond::{add_reason_header, prepare_messages, render_problem, response_for},
};
use crate::{
    context::{RequestContext, changes::UserChange, facts::RequestFacts},
    response::{
        caching::CachingRule,
        problem::configuration_error,
        replace::{is_empty_401, replace},
    },
    session::record::SessionRecord,
};

/// Returns `true` if the session is active and there is nothing to write. In this common case, the
/// caller skips [`settle`].
pub(crate) fn is_settled(context: &RequestContext, req: &HttpRequest, status: StatusCode) -> bool {
    status != StatusCode::UNAUTHORIZED
        && context.access().is_active()
        && !context.has_messages()
        && !context.has_pending_login()
        && !context.cookies.is_adopted
        && context.intent() == <_>::default()
        && context.is_session_unchanged()
        && context.exceeded_limit().is_none()
        && context.record().is_some_and(|loaded| has_no_activity(context, &loaded.record, req))
        && (req.method().is_safe() || !context.config().diagnostics.awaits_confirmation())
}

fn has_no_activity(context: &RequestContext, record: &SessionRecord, req: &HttpRequest) -> bool {
    let is_passive = || RequestFacts::new(context.config(), req).is_passive;
    context.due_activity(record, is_passive).is_none()
}

/// Settles a request with a response.
pub(crate) async fn settle<B: MessageBody + 'static>(
    context: &Rc<RequestContext>,
    res: ServiceResponse<EitherBody<B>>,
) -> ServiceResponse<EitherBody<B>> {
    if context.was_session_taken() {
        return refuse_other_layer(context, res).await;
    }
    let facts = RequestFacts::new(context.config(), res.request());
    context.record_form_target(
        &facts.info,
        outcome_from_status(res.status()) == HandlerOutcome::Error,
    );
    let user = context.user_change();
    let outcome = outcome(context, &res);
    let decision = decide(input(context, &user, outcome, false, &facts));
    record_freshness(context, &user, outcome, &facts);
    prepare_messages(context, &decision, &facts);
    let has_shown = context.has_shown_messages();
    let effects = match context.cookies.is_adopted {
        // Boxed to limit the size of the future for all other requests.
        true => Box::pin(apply_and_adopt(&decision, user, context, &facts)).await,
        false => apply_decision(&decision, user, context, &facts).await,
    };
    let has_signed_out = decision.action == Action::End && effects.response.is_none();
    let (mut res, sets_cookie) = apply_effects(context, &decision, effects, res, &facts);
    add_reason_header(context, &mut res);
    let caching = match has_shown || sets_cookie {
        true => CachingRule::NoStore,
        false => decision.caching,
    };
    caching.apply(res.headers_mut());
    context.set_settled();
    if has_signed_out {
        change_sign_out(context, &mut res);
    }
    render_problem(context.config(), res)
}

/// Records refusals of sessions that are not fresh, and successes of the confirmation page.
fn record_freshness(
    context: &RequestContext,
    user: &UserChange,
    outcome: HandlerOutcome,
    facts: &RequestFacts,
) {
    let Some(session) = context.record().map(|loaded| loaded.record.id) else { return };
    let (diagnostics, now) = (&context.config().diagnostics, context.now);
    if context.needs_confirmation() {
        diagnostics.record_stale_session(session, &facts.info.path, now);
    } else if outcome == HandlerOutcome::Success
        && !context.intent().fails_to_confirm
        && diagnostics.awaits_confirmation()
        && facts.info.submits_to(&context.policy().confirm_url)
    {
        let is_confirmed = matches!(user, UserChange::Confirmed | UserChange::SignedIn(_));
        diagnostics.record_confirm_page(session, is_confirmed, now);
    }
}

/// Applies the options for the response to a sign-out.
fn change_sign_out<B>(context: &RequestContext, res: &mut ServiceResponse<B>) {
    let request = res.request().clone();
    context.config().sign_out.apply(&request, res.headers_mut());
}

fn outcome<B: MessageBody + 'static>(
    context: &RequestContext,
    res: &ServiceResponse<EitherBody<B>>,
) -> HandlerOutcome {
    match res.status() {
        StatusCode::UNAUTHORIZED if context.is_refused_by_layer() || is_empty_401(res) => {
            HandlerOutcome::Unauthorized
        }
        // The handler could not read the failed body.
        status
            if context.has_body_failed()
                && outcome_from_status(status) == HandlerOutcome::Error =>
        {
            HandlerOutcome::Unauthorized
        }
        status => outcome_from_status(status),
    }
}

/// Applies the effects to the response. Returns `true` if the response sets a cookie of the
/// middleware.
fn apply_effects<B: MessageBody + 'static>(
    context: &RequestContext,
    decision: &Decision,
    effects: Effects,
    res: ServiceResponse<EitherBody<B>>,
    facts: &RequestFacts,
) -> (ServiceResponse<EitherBody<B>>, bool) {
    let replacement = effects.response.or_else(|| response_for(decision.response, context, facts));
    let mut res = match replacement {
        Some(response) => replace(res, response),
        None => res,
    };
    add_cookies(res.response_mut(), &effects.cookies);
    (res, !effects.cookies.is_empty())
}

/// Refuses a request whose entries an inner session layer has taken. Its handler may have read a
/// user that the record does not name.
async fn refuse_other_layer<B: MessageBody + 'static>(
    context: &RequestContext,
    res: ServiceResponse<EitherBody<B>>,
) -> ServiceResponse<EitherBody<B>> {
    context.config().diagnostics.error_other_session_layer("inside");
    context.cancel_login().await;
    context.set_settled();
    without_cookies(replace(res, configuration_error()))
}

fn without_cookies<B>(mut res: ServiceResponse<EitherBody<B>>) -> ServiceResponse<EitherBody<B>> {
    res.headers_mut().remove(header::SET_COOKIE);
    res
}

fn add_cookies<B>(response: &mut HttpResponse<B>, cookies: &[Cookie<'static>]) {
    for cookie in cookies {
        if let Err(error) = response.add_cookie(cookie) {
            tracing::error!(
                event = "sys_invalid_cookie",
                cookie = cookie.name(),
                %error,
                "cookie not set"
            );
        }
    }
}

#[cfg(test)]
mod tests;
