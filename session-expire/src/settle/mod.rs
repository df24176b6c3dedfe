//! Settles a request on the way out: one decision, and what follows from it.

pub(crate) mod decision;
pub(crate) mod effects;

use std::rc::Rc;

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    cookie::Cookie,
    dev::ServiceResponse,
    error::InternalError,
    http::{StatusCode, header},
};

use self::{
    decision::{Access, Action, Decision, Input, Intent, Origin, Outcome, Reply, User, decide},
    effects::carry_out,
};
use crate::{
    context::{
        RequestContext, access::AccessState, changes::UserChange, facts::RequestFacts,
        policy_stack::app_policy,
    },
    judge::{Verdict, judge},
    registry::record::SessionRecord,
    request::{
        RequestInfo,
        kind::{RequestKind, ResponseFormat},
    },
    response::{
        caching::CachingRule,
        challenge::{Expired, challenge, set_reason_header},
        problem::{as_html_page, configuration_error, unavailable},
        replace::{is_empty_401, replace},
    },
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
    let facts = RequestFacts::new(context.config(), res.request());
    if context.was_session_taken(res.headers().contains_key(header::SET_COOKIE)) {
        return refuse_other_layer(context, res).await;
    }
    context.note_place(&facts.info);
    let user = context.user_change();
    let outcome = match res.status() {
        StatusCode::UNAUTHORIZED if context.is_refused_by_layer() || is_empty_401(&res) => {
            Outcome::Unauthorized
        }
        // The handler could not read its body.
        status if context.has_ended() && outcome_of(status) == Outcome::Error => {
            Outcome::Unauthorized
        }
        status => outcome_of(status),
    };
    let decision = decide(input(context, &user, outcome, false, &facts));
    mark_unread_if_unseen(context, &decision, &facts);
    if decision.reply == Reply::Challenge && facts.info.format != ResponseFormat::Api {
        context.keep_challenge_reason(&facts.info);
    }
    let has_shown = context.has_shown_messages();
    let effects = carry_out(&decision, user, context, &facts).await;
    let is_done = effects.response.is_none();
    let instead = effects.response.or_else(|| response_for(decision.reply, context, &facts));
    let mut res = match instead {
        Some(response) => replace(res, response),
        None => res,
    };
    // What has failed leaves the old cookie: the next request adopts the same session.
    let cookies = match is_done {
        true => with_adoption(context, decision.action, effects.cookies),
        false => effects.cookies,
    };
    let sets_cookie = !cookies.is_empty();
    add_cookies(res.response_mut(), &cookies);
    tell_reason(context, &mut res);
    let caching = if sets_cookie || has_shown { CachingRule::NoStore } else { decision.caching };
    caching.apply(res.headers_mut());
    context.set_settled();
    as_page_for_people(context, res)
}

/// Settles a request that a middleware further in has failed.
pub(crate) async fn settle_failure(context: &Rc<RequestContext>, error: Error) -> Error {
    let Some(facts) = context.take_facts() else {
        // Active, and no activity is due.
        context.cancel_login().await;
        context.session.remove_user();
        context.set_settled();
        return error;
    };
    let (error, is_unauthorized) = inspect_error(error);
    let outcome = match error.as_response_error().status_code() {
        StatusCode::UNAUTHORIZED if is_unauthorized => Outcome::Unauthorized,
        status => outcome_of(status),
    };
    context.note_place(&facts.info);
    let user = context.user_change();
    let decision = decide(input(context, &user, outcome, true, &facts));
    context.mark_unread();
    let effects = carry_out(&decision, user, context, &facts).await;
    context.set_settled();
    match effects.response.or_else(|| response_for(decision.reply, context, &facts)) {
        Some(response) => InternalError::from_response(error, response).into(),
        None => error,
    }
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

fn outcome_of(status: StatusCode) -> Outcome {
    match status {
        StatusCode::UNAUTHORIZED => Outcome::OwnUnauthorized,
        status if status.is_client_error() || status.is_server_error() => Outcome::Error,
        _ => Outcome::Success,
    }
}

/// Reads everything that the decision depends on.
fn input(
    context: &RequestContext,
    user: &UserChange,
    outcome: Outcome,
    has_failed: bool,
    facts: &RequestFacts,
) -> Input {
    let config = context.config();
    let policy = context.policy();
    let intent = context.intent();
    let access = access(context);
    let is_at_login = facts.info.is_at(&policy.login_url);
    Input {
        access,
        user: user_input(user),
        kind: facts.info.kind,
        origin: if facts.is_other_site { Origin::Other } else { Origin::Same },
        is_passive: policy.passive || facts.is_passive,
        intent: match intent {
            _ if intent.queries_status => Intent::StatusQuery,
            _ if intent.signs_out => Intent::SigningOut,
            _ if intent.keeps_response => Intent::KeptResponse,
            _ => Intent::Normal,
        },
        outcome,
        has_failed,
        may_challenge: !is_at_login && (access != Access::Anonymous || config.challenge_anonymous),
    }
}

fn user_input(user: &UserChange) -> User {
    match user {
        UserChange::Unchanged => User::Unchanged,
        UserChange::Renewed => User::Renewed,
        UserChange::SignedIn(_) => User::SignedIn,
        UserChange::SignedOut => User::SignedOut,
        UserChange::Cleared => User::Cleared,
        UserChange::Invalid => User::Invalid,
    }
}

fn access(context: &RequestContext) -> Access {
    match *context.access() {
        AccessState::Anonymous => Access::Anonymous,
        AccessState::Active(_) => Access::Active,
        AccessState::Unavailable => Access::Unavailable,
        AccessState::Expired(_) => Access::Expired { everywhere: is_expired_everywhere(context) },
    }
}

/// Returns `true` if the session is expired under the application's policy, too.
fn is_expired_everywhere(context: &RequestContext) -> bool {
    let Some(loaded) = context.record() else { return true };
    let policy = app_policy(&context.config().policy, &loaded.record);
    matches!(judge(&loaded.record.facts(), &policy, context.now), Verdict::Expired(_))
}

/// Messages on a page that is replaced, has no body, or may never be seen wait for the next one.
fn mark_unread_if_unseen(context: &RequestContext, decision: &Decision, facts: &RequestFacts) {
    let is_unseen = matches!(
        facts.info.kind,
        RequestKind::Head | RequestKind::Speculative | RequestKind::Preflight
    );
    if is_unseen || decision.reply != Reply::Handler {
        context.mark_unread();
    }
}

fn response_for(
    reply: Reply,
    context: &RequestContext,
    facts: &RequestFacts,
) -> Option<HttpResponse> {
    match reply {
        Reply::Handler => None,
        Reply::Unavailable => Some(unavailable()),
        Reply::ConfigurationError => {
            tracing::error!(event = "sys_invalid_user", "user id in the session is no string");
            Some(configuration_error())
        }
        Reply::Challenge => Some(challenge_response(context, &facts.info)),
    }
}

fn challenge_response(context: &RequestContext, info: &RequestInfo) -> HttpResponse {
    let policy = context.policy();
    let Some(reason) = context.access().expiry_reason().filter(|_| context.explains(info)) else {
        return challenge(info, &policy.login_url, None);
    };
    let text = context.ended_text(reason, info);
    let expired = Expired { reason, cause: context.cause(), text: &text };
    challenge(info, &policy.login_url, Some(expired))
}

/// A handler's own 401 stays as it is, and says why the session is not accepted.
fn tell_reason<B>(context: &RequestContext, res: &mut ServiceResponse<EitherBody<B>>) {
    let reason = context.access().expiry_reason();
    if let Some(reason) = reason.filter(|_| res.status() == StatusCode::UNAUTHORIZED) {
        set_reason_header(res.headers_mut(), reason);
    }
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
pub(crate) fn without_cookies<B>(
    mut res: ServiceResponse<EitherBody<B>>,
) -> ServiceResponse<EitherBody<B>> {
    res.headers_mut().remove(header::SET_COOKIE);
    res
}

/// The response to an adopting request replaces the cookie of the other session layer by ours.
fn with_adoption(
    context: &RequestContext,
    action: Action,
    mut cookies: Vec<Cookie<'static>>,
) -> Vec<Cookie<'static>> {
    let (config, record) = (context.config(), context.record());
    if let (true, Some(migration), Some(loaded)) =
        (context.cookies.is_adopted, &config.migration, record)
    {
        cookies.push(migration.removal_cookie());
        let sets_own = matches!(action, Action::CommitLogin | Action::RotateKey | Action::End);
        if loaded.record.ended.is_none() && !sets_own {
            cookies.push(config.cookies.session_cookie(&loaded.key, None));
        }
    }
    cookies
}

fn add_cookies<B>(response: &mut HttpResponse<B>, cookies: &[Cookie<'static>]) {
    for cookie in cookies {
        if let Err(error) = response.add_cookie(cookie) {
            tracing::error!(cookie = cookie.name(), %error, "cookie not set");
        }
    }
}

/// A problem of ours, as a page where a user reads it.
pub(crate) fn as_page_for_people<B>(
    context: &RequestContext,
    res: ServiceResponse<EitherBody<B>>,
) -> ServiceResponse<EitherBody<B>> {
    let status = res.status();
    if !status.is_client_error() && !status.is_server_error() {
        return res;
    }
    let is_api = context.config().is_api(res.request());
    if ResponseFormat::classify(res.request(), is_api) != ResponseFormat::Page {
        return res;
    }
    let info = RequestInfo::new(res.request(), is_api);
    match as_html_page(res.response(), info.retry_path()) {
        Some(page) => replace(res, page),
        None => res,
    }
}

#[cfg(test)]
mod tests;
