//! State of a session, for the script of a page.

use std::rc::Rc;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{CACHE_CONTROL, HeaderName, X_CONTENT_TYPE_OPTIONS},
    web,
};
use serde::{Deserialize, Serialize};

use crate::{
    context::{RequestContext, access::AccessState, policy_stack::MergedPolicy},
    error::SetupError,
    extract::session_vars::RemainingSeconds,
    policy::{Policy, limit::Limit},
    response::problem::{cross_site, unavailable},
    session::{
        page_token::{self, PageLimits},
        verdict::Verdict,
    },
};

/// No page of another site may read it (Fetch standard, Cross-Origin-Resource-Policy).
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// How a session stands.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(super) enum State {
    Active {
        seconds_until_idle_end: RemainingSeconds,
        seconds_until_session_end: RemainingSeconds,
        warn_seconds: RemainingSeconds,
    },
    Expired {
        reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
        login_url: String,
    },
    /// Another user has signed in since the page was made.
    Replaced,
    Anonymous,
}

/// The body of a response: the state, and whether the page's token is void.
#[derive(Serialize)]
pub(super) struct Status {
    #[serde(flatten)]
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'static str>,
}

/// What a page says of itself.
#[derive(Deserialize, Default)]
pub(super) struct PageParams {
    /// The limits that it was checked under, signed.
    pub(super) policy: Option<String>,
    /// The session that it was made for.
    pub(super) login: Option<String>,
}

/// Whether the token of a page is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageToken {
    Valid,
    Stale,
}

impl Status {
    pub(super) fn new(
        verdict: Verdict,
        cause: Option<&str>,
        policy: &Policy,
        token: PageToken,
    ) -> Self {
        let state = match verdict {
            Verdict::Anonymous => State::Anonymous,
            Verdict::Expired(reason) => State::Expired {
                reason: reason.as_str(),
                cause: cause.map(str::to_owned),
                login_url: policy.login_url.to_string(),
            },
            Verdict::Active(deadlines) => State::Active {
                seconds_until_idle_end: RemainingSeconds::new(deadlines.idle_end),
                seconds_until_session_end: RemainingSeconds::new(deadlines.session_end),
                warn_seconds: RemainingSeconds::new(policy.warning().map_or(Limit::Off, Limit::At)),
            },
        };
        Self { state, policy: (token == PageToken::Stale).then_some("stale") }
    }

    pub(super) fn of(state: State) -> Self {
        Self { state, policy: None }
    }

    pub(super) fn respond(&self, mut response: HttpResponseBuilder) -> HttpResponse {
        response
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((CORP, "same-origin"))
            .json(self)
    }
}

pub(super) async fn status(
    req: HttpRequest,
    page: Option<web::Query<PageParams>>,
) -> Result<HttpResponse, SetupError> {
    let context = RequestContext::get(&req)?;
    context.update_intent(|intent| intent.queries_status = true);
    if context.config().allowed_origins.refuses(&req) {
        return Ok(cross_site());
    }
    if *context.access() == AccessState::Unavailable {
        return Ok(unavailable());
    }
    let page = page.map(web::Query::into_inner).unwrap_or_default();
    let token = apply_page_policy(&context, &page, &req)?;
    if belongs_to_other_user(&context, &page) {
        return Ok(Status::of(State::Replaced).respond(HttpResponse::Ok()));
    }
    let status = Status::new(context.verdict(), context.cause(), &context.policy(), token);
    Ok(status.respond(HttpResponse::Ok()))
}

/// Returns `true` if the page was made for another user. A new session of the same user may go on
/// with it.
pub(super) fn belongs_to_other_user(context: &RequestContext, page: &PageParams) -> bool {
    match (context.verdict(), context.record(), &page.login) {
        (Verdict::Active(_), Some(loaded), Some(page)) => {
            !page_token::is_page_of(page, &loaded.record.user)
        }
        _ => false,
    }
}

/// Checks the session under the limits of the page that asks. A void token counts as the
/// application's policy.
///
/// A handler's policy that is not known at start is unknown until this process has served the
/// handler. The token is then accepted for limits that a page without a token would get, too.
pub(super) fn apply_page_policy(
    context: &Rc<RequestContext>,
    page: &PageParams,
    req: &HttpRequest,
) -> Result<PageToken, SetupError> {
    let (Some(token), Some(loaded)) = (&page.policy, context.record()) else {
        return Ok(PageToken::Valid);
    };
    let digest = &context.mounted.policy_digest;
    let page = page_token::verify(token, digest, loaded.record.signing_key());
    match page.filter(|page| is_in_force(context, page)) {
        Some(PageLimits { limits, .. }) => {
            context.add_layer(&limits, |below| MergedPolicy::new(&limits, below), req)?;
            Ok(PageToken::Valid)
        }
        None => Ok(PageToken::Stale),
    }
}

fn is_in_force(context: &RequestContext, page: &PageLimits) -> bool {
    context.config().handler_policies.contains(page.handler) || page.is_within(&context.policy())
}
