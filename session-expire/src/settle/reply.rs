//! What the client gets, and what it says to the user.

use actix_web::{HttpResponse, body::EitherBody, dev::ServiceResponse, http::StatusCode};

use super::{
    decision::{Access, Action, Decision, Reply},
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
        problem::{configuration_error, unavailable},
        problem_page::{as_html_page, retry_link},
        replace::replace,
    },
};

/// Messages on a page that is replaced, has no body, or may never be seen wait for the next one.
pub(super) fn prepare_messages(
    context: &RequestContext,
    decision: &Decision,
    facts: &RequestFacts,
) {
    let is_unseen = matches!(
        facts.info.kind,
        RequestKind::Head | RequestKind::Speculative | RequestKind::Preflight
    );
    if is_unseen || decision.reply != Reply::Handler {
        context.mark_unread();
    }
    if decision.reply == Reply::Challenge && facts.info.format != ResponseFormat::Api {
        context.keep_challenge_reason(&facts.info);
        if may_be_forwarded_back(context, decision, facts) {
            context.mark_login();
        }
    }
}

/// Returns `true` if the login page sees a signed-in user, although the page that sent the user there
/// does not.
fn may_be_forwarded_back(
    context: &RequestContext,
    decision: &Decision,
    facts: &RequestFacts,
) -> bool {
    matches!(decision.action, Action::Restore { .. })
        && facts.info.kind == RequestKind::Navigation
        && access(context) == Access::Expired { everywhere: false }
}

pub(super) fn response_for(
    reply: Reply,
    context: &RequestContext,
    facts: &RequestFacts,
) -> Option<HttpResponse> {
    match reply {
        Reply::Handler => None,
        Reply::Unavailable => Some(unavailable()),
        Reply::ConfigurationError => {
            tracing::error!(
                event = "sys_invalid_user",
                "user id in the session is neither a string nor a whole number"
            );
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
pub(super) fn tell_reason<B>(context: &RequestContext, res: &mut ServiceResponse<EitherBody<B>>) {
    let reason = context.access().expiry_reason();
    if let Some(reason) = reason.filter(|_| res.status() == StatusCode::UNAUTHORIZED) {
        set_reason_header(res.headers_mut(), reason);
    }
}

/// A problem of ours, as a page where a user reads it.
pub(crate) fn as_page_for_people<B>(
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
