//! Status endpoint: state of a session, for the script of a page.
//!
//! A status request ends no session and is not activity. The keep-alive endpoint shares its types.

use std::{rc::Rc, sync::Arc, time::Duration};

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
        key::PublicId,
        page_token::{self, PageLimits},
        reason::Reason,
        verdict::Verdict,
    },
};

/// Prevents pages of other sites from reading the response (Fetch standard,
/// Cross-Origin-Resource-Policy).
pub(super) const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// State of the session of a page.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(super) enum PageState {
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
    /// Another user, or another actor of an impersonation, has signed in since the page was
    /// rendered.
    Replaced,
    Anonymous,
}

/// Body of a response: the state, and `stale` if the page token is void.
#[derive(Serialize)]
pub(super) struct StatusBody {
    #[serde(flatten)]
    state: PageState,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'static str>,
}

/// Parameters that a page sends.
#[derive(Deserialize, Default)]
pub(super) struct PageParams {
    /// Page token: the signed limits of the page.
    pub(super) policy: Option<String>,
    /// Page id: the session and the user for which the page was rendered.
    pub(super) login: Option<String>,
    /// `1` if the page is locked.
    pub(super) locked: Option<String>,
}

impl PageParams {
    /// Returns `true` if the page is locked and was rendered for the session `id`.
    fn is_locked_for(&self, id: PublicId) -> bool {
        let session = self.login.as_deref().and_then(page_token::session_of);
        self.locked.as_deref() == Some("1") && session == Some(id)
    }
}

/// Validity of a page token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageToken {
    Valid,
    Stale,
}

/// Part of the status that does not change while a page is open.
pub(super) struct PageFacts {
    login_url: Arc<str>,
    warning: Limit<Duration>,
    token: PageToken,
}

impl PageFacts {
    pub(super) fn new(context: &RequestContext, token: PageToken) -> Self {
        let warning = context.policy().warning().map_or(Limit::Off, Limit::At);
        Self { login_url: context.expired_url(), warning, token }
    }

    /// Returns the status for a verdict. `cause` is the application's word for an end.
    pub(super) fn status(&self, verdict: Verdict, cause: Option<&str>) -> StatusBody {
        let state = match verdict {
            Verdict::Anonymous => PageState::Anonymous,
            Verdict::Expired(reason) => PageState::Expired {
                reason: reason.as_str(),
                cause: cause.map(str::to_owned),
                login_url: self.login_url.to_string(),
            },
            Verdict::Active(deadlines) => PageState::Active {
                seconds_until_idle_end: RemainingSeconds::from_limit(deadlines.idle_end),
                seconds_until_session_end: RemainingSeconds::from_limit(deadlines.session_end),
                warn_seconds: RemainingSeconds::from_limit(self.warning),
            },
        };
        StatusBody { state, policy: (self.token == PageToken::Stale).then_some("stale") }
    }
}

impl StatusBody {
    pub(super) fn new(context: &RequestContext, verdict: Verdict, token: PageToken) -> Self {
        PageFacts::new(context, token).status(verdict, context.cause())
    }

    pub(super) fn from_state(state: PageState) -> Self {
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

/// Marks the request as a query of the status. Returns an error response to a request from another
/// origin, and during an outage.
pub(super) fn refuse(context: &RequestContext, req: &HttpRequest) -> Option<HttpResponse> {
    context.update_intent(|intent| intent.queries_status = true);
    if context.config().allowed_origins.refuses(req) {
        return Some(cross_site());
    }
    (*context.access() == AccessState::Unavailable).then(unavailable)
}

pub(super) async fn status(
    req: HttpRequest,
    page: Option<web::Query<PageParams>>,
) -> Result<HttpResponse, SetupError> {
    let context = RequestContext::get(&req)?;
    if let Some(refusal) = refuse(&context, &req) {
        return Ok(refusal);
    }
    let page = page.map(web::Query::into_inner).unwrap_or_default();
    let token = apply_page_policy(&context, &page, &req)?;
    if belongs_to_other_user(&context, &page) {
        return Ok(StatusBody::from_state(PageState::Replaced).respond(HttpResponse::Ok()));
    }
    let status = StatusBody::new(&context, page_verdict(&context, &page), token);
    Ok(status.respond(HttpResponse::Ok()))
}

/// Returns the verdict for a page.
///
/// For a locked page, its own session remains expired. Otherwise, activity on another page would
/// unlock a page whose policy is stricter than the application's. A login or a confirmation creates
/// a new public id, so it unlocks the page.
pub(super) fn page_verdict(context: &RequestContext, page: &PageParams) -> Verdict {
    match (context.verdict(), context.record()) {
        (Verdict::Active(_), Some(loaded)) if page.is_locked_for(loaded.record.id) => {
            Verdict::Expired(Reason::Idle)
        }
        (verdict, _) => verdict,
    }
}

/// Returns `true` if the page was rendered for another user, or for another actor of an
/// impersonation. A new session of the same user may continue to use the page.
pub(super) fn belongs_to_other_user(context: &RequestContext, page: &PageParams) -> bool {
    match (context.verdict(), context.record(), &page.login) {
        (Verdict::Active(_), Some(loaded), Some(page)) => {
            let record = &loaded.record;
            !page_token::is_page_of(page, &record.user, record.actor.as_deref())
        }
        _ => false,
    }
}

/// Checks the session under the limits of the page. If the token is void, the application's policy
/// stays in force.
///
/// A process does not know some handler policies until it has served the handler. Until
/// then, it accepts a token only if its limits are within those of a page without a token.
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
        Some(page) => {
            let merge =
                |below: &Arc<Policy>| MergedPolicy::from_token(&page, below, context.config());
            context.add_layer(&page.limits, merge, req)?;
            Ok(PageToken::Valid)
        }
        None => Ok(PageToken::Stale),
    }
}

/// Returns `true` if the policy of the token is known to this process, or no laxer than the current
/// one.
fn is_in_force(context: &RequestContext, page: &PageLimits) -> bool {
    context.config().handler_policies.contains(page.handler) || page.is_within(&context.policy())
}
