//! Response of a settled request, and the messages on it.
//!
//! Messages on a page that the user does not see remain pending.

use actix_web::{HttpResponse, body::EitherBody, dev::ServiceResponse, http::StatusCode};

use super::{
    decision::{Access, Action, Decision, ResponseChoice},
    input::access,
};
use crate::{
    config::Config,
    context::{RequestContext, facts::RequestFacts},
    request::{
        RequestInfo,
        kind::{RequestKind, ResponseFormat},
    },
    response::{
        challenge::{Expired, challenge, set_reason_header},
        confirm::confirm,
        problem::{configuration_error, unavailable},
        problem_page::{as_html_page, retry_link},
        replace::replace,
    },
};

/// Prepares the messages for the response. Messages that the user will not see are pending again:
/// the page is replaced, has no body, or is speculative.
pub(super) fn prepare_messages(
    context: &RequestContext,
    decision: &Decision,
    facts: &RequestFacts,
) {
    let is_unseen = matches!(
        facts.info.kind,
        RequestKind::Head | RequestKind::Speculative | RequestKind::Preflight
    );
    if is_unseen || decision.response != ResponseChoice::Handler {
        context.mark_unread();
    }
    if decision.response == ResponseChoice::Challenge && facts.info.format != ResponseFormat::Api {
        context.set_challenge_notice(&facts.info);
        if may_redirect_back(context, decision, facts) {
            context.record_login_redirect();
        }
    }
}

/// Prepares the challenge of a session that has ended during the request. The messages of this page
/// stay unread, because the user does not see the page.
pub(super) fn prepare_challenge(context: &RequestContext, info: &RequestInfo) {
    context.mark_unread();
    if info.format != ResponseFormat::Api {
        context.set_challenge_notice(info);
    }
}

/// Returns `true` if the login page may redirect back to the challenged page, because it sees a
/// signed-in user.
fn may_redirect_back(context: &RequestContext, decision: &Decision, facts: &RequestFacts) -> bool {
    matches!(decision.action, Action::Restore { .. })
        && facts.info.kind == RequestKind::Navigation
        && access(context) == Access::Expired { everywhere: false }
}

/// Returns the response that replaces the handler's, if the decision requires one.
pub(super) fn response_for(
    response: ResponseChoice,
    context: &RequestContext,
    facts: &RequestFacts,
) -> Option<HttpResponse> {
    match response {
        ResponseChoice::Handler => None,
        ResponseChoice::Unavailable => Some(unavailable()),
        ResponseChoice::ConfigurationError => {
            tracing::error!(
                event = "sys_invalid_user",
                "user id is neither a string nor a whole number"
            );
            Some(configuration_error())
        }
        ResponseChoice::Challenge => Some(challenge_response(context, &facts.info)),
        ResponseChoice::Confirm => Some(confirm_response(context, &facts.info)),
    }
}

pub(super) fn challenge_response(context: &RequestContext, info: &RequestInfo) -> HttpResponse {
    let policy = context.policy();
    let Some(reason) = context.access().expiry_reason().filter(|_| context.is_reason_due(info))
    else {
        return challenge(info, &policy.login_url, &policy.confirm_url, None);
    };
    let text = context.ended_text(reason, info);
    let expired = Expired { reason, cause: context.cause(), text: &text };
    challenge(info, &context.expired_url(), &policy.confirm_url, Some(expired))
}

fn confirm_response(context: &RequestContext, info: &RequestInfo) -> HttpResponse {
    let policy = context.policy();
    confirm(info, &policy.confirm_url, policy.fresh.at().unwrap_or_default())
}

/// Adds `X-Session-Expired` to a 401, even if it is the handler's own.
pub(super) fn add_reason_header<B>(
    context: &RequestContext,
    res: &mut ServiceResponse<EitherBody<B>>,
) {
    let reason = context.access().expiry_reason();
    if let Some(reason) = reason.filter(|_| res.status() == StatusCode::UNAUTHORIZED) {
        set_reason_header(res.headers_mut(), reason);
    }
}

/// Renders a problem of the middleware as an HTML page if the client is a browser.
pub(crate) fn render_problem<B>(
    config: &Config,
    res: ServiceResponse<EitherBody<B>>,
) -> ServiceResponse<EitherBody<B>> {
    let status = res.status();
    if !status.is_client_error() && !status.is_server_error() {
        return res;
    }
    let is_api = config.is_api(res.request());
    if ResponseFormat::classify(res.request(), is_api) != ResponseFormat::Page {
        return res;
    }
    let info = RequestInfo::new(res.request(), is_api);
    let retry_path = retry_link(status, &info, &config.policy.login_url);
    match as_html_page(res.response(), retry_path) {
        Some(page) => replace(res, page),
        None => res,
    }
}
