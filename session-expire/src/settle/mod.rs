//! Settles a request on the way out: one decision, and what follows from it.

pub(crate) mod decision;
pub(crate) mod effects;
pub(crate) mod failure;
mod input;
pub(crate) mod reply;

use std::rc::Rc;

use actix_web::{
    HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    cookie::Cookie,
    dev::ServiceResponse,
    http::{StatusCode, header},
};

use self::{
    decision::{Decision, Outcome, decide},
    effects::{Effects, adoption::carry_out_and_adopt, carry_out},
    input::{input, outcome_of},
    reply::{as_page_for_people, prepare_messages, response_for, tell_reason},
};
use crate::{
    context::{RequestContext, facts::RequestFacts},
    response::{
        caching::CachingRule,
        problem::configuration_error,
        replace::{is_empty_401, replace},
    },
    session::record::SessionRecord,
};

/// Returns `true` if the session continues and there is nothing to write: the common case, for
/// which the whole of [`settle`] is not worth starting.
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
}

fn has_no_activity(context: &RequestContext, record: &SessionRecord, req: &HttpRequest) -> bool {
    let is_passive = || RequestFacts::new(context.config(), req).is_passive;
    context.due_activity(record, is_passive).is_none()
}

/// Settles a request that was answered.
pub(crate) async fn settle<B: MessageBody + 'static>(
    context: &Rc<RequestContext>,
    res: ServiceResponse<EitherBody<B>>,
) -> ServiceResponse<EitherBody<B>> {
    if context.was_session_taken() {
        return refuse_other_layer(context, res).await;
    }
    let facts = RequestFacts::new(context.config(), res.request());
    context.note_place(&facts.info, outcome_of(res.status()) == Outcome::Error);
    let user = context.user_change();
    let decision = decide(input(context, &user, outcome(context, &res), false, &facts));
    prepare_messages(context, &decision, &facts);
    let has_shown = context.has_shown_messages();
    let effects = match context.cookies.is_adopted {
        // Boxed, so that the future of all other requests stays small.
        true => Box::pin(carry_out_and_adopt(&decision, user, context, &facts)).await,
        false => carry_out(&decision, user, context, &facts).await,
    };
    let (mut res, sets_cookie) = with_effects(context, &decision, effects, res, &facts);
    tell_reason(context, &mut res);
    let caching = match has_shown || sets_cookie {
        true => CachingRule::NoStore,
        false => decision.caching,
    };
    caching.apply(res.headers_mut());
    context.set_settled();
    as_page_for_people(context.config(), res)
}

fn outcome<B: MessageBody + 'static>(
    context: &RequestContext,
    res: &ServiceResponse<EitherBody<B>>,
) -> Outcome {
    match res.status() {
        StatusCode::UNAUTHORIZED if context.is_refused_by_layer() || is_empty_401(res) => {
            Outcome::Unauthorized
        }
        // The handler could not read its body.
        status if context.has_body_failed() && outcome_of(status) == Outcome::Error => {
            Outcome::Unauthorized
        }
        status => outcome_of(status),
    }
}

/// Returns the response, or another one in its place, and whether it carries a cookie of ours.
fn with_effects<B: MessageBody + 'static>(
    context: &RequestContext,
    decision: &Decision,
    effects: Effects,
    res: ServiceResponse<EitherBody<B>>,
    facts: &RequestFacts,
) -> (ServiceResponse<EitherBody<B>>, bool) {
    let instead = effects.response.or_else(|| response_for(decision.reply, context, facts));
    let mut res = match instead {
        Some(response) => replace(res, response),
        None => res,
    };
    add_cookies(res.response_mut(), &effects.cookies);
    (res, !effects.cookies.is_empty())
}

/// Another session layer further in has taken the entries: no handler may see a user that the
/// record does not name.
async fn refuse_other_layer<B: MessageBody + 'static>(
    context: &RequestContext,
    res: ServiceResponse<EitherBody<B>>,
) -> ServiceResponse<EitherBody<B>> {
    context.config().diagnostics.error_other_session_layer("inside");
    context.cancel_login().await;
    context.set_settled();
    without_cookies(replace(res, configuration_error()))
}

/// Removes all cookies from a response.
fn without_cookies<B>(mut res: ServiceResponse<EitherBody<B>>) -> ServiceResponse<EitherBody<B>> {
    res.headers_mut().remove(header::SET_COOKIE);
    res
}

fn add_cookies<B>(response: &mut HttpResponse<B>, cookies: &[Cookie<'static>]) {
    for cookie in cookies {
        if let Err(error) = response.add_cookie(cookie) {
            tracing::error!(cookie = cookie.name(), %error, "cookie not set");
        }
    }
}

#[cfg(test)]
mod tests;
