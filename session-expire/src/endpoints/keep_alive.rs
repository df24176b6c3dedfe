//! Keep-alive endpoint: a page reports when its user was last active.
//!
//! It never extends a session that has ended.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    error::PayloadError,
    http::header::CONTENT_TYPE,
    web::{Payload, Query},
};
use serde::Deserialize;

use super::status::{
    PageParams, PageState, PageToken, StatusBody, apply_page_policy, belongs_to_other_user,
    page_verdict,
};
use crate::{
    context::{RequestContext, access::AccessState},
    error::{RegistryError, SetupError},
    event::Event,
    response::problem::{
        bad_request, content_too_large, cross_site, set_authenticate_header, unavailable,
    },
    session::{
        update::SessionUpdate,
        verdict::{Facts, Verdict, judge},
    },
};

/// Largest body in bytes.
const MAX_BODY: usize = 4_096;

/// Body of a keep-alive, as a form or as JSON. An empty body means that the user is active now.
#[derive(Deserialize, Default)]
struct KeepAliveBody {
    /// Seconds since the user was last active.
    idle_for: f64,
    policy: Option<String>,
    login: Option<String>,
    locked: Option<String>,
}

impl KeepAliveBody {
    fn read(req: &HttpRequest, body: &[u8]) -> Option<(Duration, PageParams)> {
        let content_type = req.headers().get(CONTENT_TYPE);
        Self::parse(
            body,
            content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json")),
        )
    }

    fn parse(body: &[u8], is_json: bool) -> Option<(Duration, PageParams)> {
        let body: Self = match (body, is_json) {
            ([], _) => Self::default(),
            (json, true) => serde_json::from_slice(json).ok()?,
            (form, false) => {
                Query::<Self>::from_query(std::str::from_utf8(form).ok()?).ok()?.into_inner()
            }
        };
        let idle_for = match body.idle_for {
            // `Duration` cannot represent every number. This is longer than any session.
            long if long.is_finite() && long > 1e12 => Duration::from_secs(1_000_000_000_000),
            seconds => Duration::try_from_secs_f64(seconds).ok()?,
        };
        let Self { policy, login, locked, .. } = body;
        Some((idle_for, PageParams { policy, login, locked }))
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) fn idle_for(body: &[u8], is_json: bool) -> Option<Duration> {
    KeepAliveBody::parse(body, is_json).map(|(idle_for, _)| idle_for)
}

pub(super) async fn keep_alive(
    req: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, SetupError> {
    let context = RequestContext::get(&req)?;
    context.update_intent(|intent| intent.queries_status = true);
    if context.config().allowed_origins.refuses(&req) {
        return Ok(cross_site());
    }
    let (idle_for, page) = match read_body(&req, body).await {
        Ok(parsed) => parsed,
        Err(response) => return Ok(response),
    };
    if *context.access() == AccessState::Unavailable {
        return Ok(unavailable());
    }
    let token = apply_page_policy(&context, &page, &req)?;
    if belongs_to_other_user(&context, &page) {
        return Ok(StatusBody::from_state(PageState::Replaced).respond(HttpResponse::Conflict()));
    }
    let verdict = page_verdict(&context, &page);
    let recorded = match token {
        // A locked page and a page without an active session have no activity to record.
        _ if !matches!(verdict, Verdict::Active(_)) => Ok(verdict),
        // A page that is exempt from the declared standards does not extend the session.
        PageToken::Valid if context.is_exempt() => Ok(verdict),
        PageToken::Valid => record_activity(&context, idle_for, &req).await,
        // The limits of the page are unknown, so activity cannot be recorded.
        PageToken::Stale => Ok(verdict),
    };
    Ok(recorded.map_or_else(
        |error| {
            context.config().emit_failure(&error);
            unavailable()
        },
        |verdict| respond(&context, verdict, token),
    ))
}

/// Reads and parses the body. Returns an error response if it is too large or invalid.
async fn read_body(
    req: &HttpRequest,
    body: Payload,
) -> Result<(Duration, PageParams), HttpResponse> {
    let body = match body.to_bytes_limited(MAX_BODY).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return Err(unreadable(&error)),
        Err(_) => return Err(content_too_large()),
    };
    KeepAliveBody::read(req, &body).ok_or_else(|| {
        bad_request("idle_for must be a number of seconds, zero or more, such as 12.5")
    })
}

fn unreadable(error: &actix_web::Error) -> HttpResponse {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => content_too_large(),
        _ => bad_request("the body could not be read"),
    }
}

fn respond(context: &RequestContext, verdict: Verdict, token: PageToken) -> HttpResponse {
    let status = StatusBody::new(context, verdict, token);
    match verdict {
        Verdict::Active(_) => status.respond(HttpResponse::Ok()),
        _ => {
            let mut response = status.respond(HttpResponse::Unauthorized());
            set_authenticate_header(response.headers_mut());
            response
        }
    }
}

/// Records that the user was active `idle_for` ago. Returns the verdict on the reloaded record,
/// because another request may have ended the session.
async fn record_activity(
    context: &RequestContext,
    idle_for: Duration,
    req: &HttpRequest,
) -> Result<Verdict, RegistryError> {
    let (Verdict::Active(_), Some(loaded)) = (context.verdict(), context.record()) else {
        return Ok(context.verdict());
    };
    let (config, now) = (context.config(), context.config().now());
    let active_at = context.now.minus(idle_for);
    let client = config.client(req);
    let mut update = SessionUpdate::new(now).active(active_at);
    update.client = Some(client.clone());
    // The reported time would hide the absence before it.
    update.remembered = context.is_remembered(&loaded.record);
    update.longest = config.longer_timeouts(&loaded.record);
    config.registry.update(loaded.record.session_ref(), update).await?;
    let reloaded = config.registry.load(loaded.key, false).await?;
    let facts = reloaded.map_or(Facts::Unknown, |loaded| loaded.record.facts());
    let verdict = judge(&facts, &context.policy(), now);
    if matches!(verdict, Verdict::Active(_)) {
        let event = Event::kept_alive((&*loaded.record).into());
        config.emit(&event.with_requester(&client));
    }
    Ok(verdict)
}
