//! Answers for programs, `application/problem+json`; and the same as a page, for people.

use std::sync::atomic::AtomicBool;

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use serde::Serialize;

use super::{advice, markup::escape};
use crate::error::{RegistryError, StackError};

/// Seconds after which it is worth asking again while the registry is away.
const RETRY_AFTER: &str = "5";

const PROBLEM: &str = "application/problem+json";

/// A body of `application/problem+json` (RFC 9457).
#[derive(Serialize)]
pub(crate) struct Problem<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) title: &'static str,
    pub(crate) status: u16,
    pub(crate) detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) login_url: Option<&'a str>,
}

impl Problem<'_> {
    pub(crate) fn into_response(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = HttpResponseBuilder::new(status)
            .insert_header((header::CONTENT_TYPE, PROBLEM))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(body);
        response
            .extensions_mut()
            .insert(Page { title: self.title, detail: self.detail.to_owned() });
        response
    }
}

/// A problem as a person reads it: the plainest page that does it.
struct Page {
    title: &'static str,
    detail: String,
}

/// The page in the place of `problem`, if that is one of ours and nobody has put a page of their own there.
pub(crate) fn page_instead_of<B>(
    problem: &HttpResponse<B>,
    again: Option<&str>,
) -> Option<HttpResponse> {
    let extensions = problem.extensions();
    let Page { title, detail } = extensions.get::<Page>()?;
    if problem.headers().get(header::CONTENT_TYPE)? != PROBLEM {
        return None;
    }
    let (title, detail) = (escape(title), escape(detail));
    let again = again.map(|path| format!("<p><a href=\"{}\">Try again</a></p>", escape(path)));
    let mut page = HttpResponse::build(problem.status());
    page.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
    Some(page.body(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><h1>{title}</h1><p>{detail}</p>{}",
        again.unwrap_or_default()
    )))
}

/// The registry is away: nobody can be trusted, and trying again will help.
pub(crate) fn unavailable() -> HttpResponse {
    let mut response = Problem {
        r#type: "urn:session-expire:unavailable",
        title: "Your session could not be checked",
        status: 503,
        detail: "Nothing is lost and you have not been signed out. Try again in a few seconds.",
        reason: None,
        login_url: None,
    }
    .into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    response
}

/// A request from a page of another origin that would have changed something.
pub(crate) fn cross_site() -> HttpResponse {
    Problem {
        r#type: "urn:session-expire:cross-site",
        title: "Refused",
        status: 403,
        detail: "This request came from a page of another site.",
        reason: None,
        login_url: None,
    }
    .into_response()
}

/// A request that makes no sense; `detail` says what would.
pub(crate) fn bad_request(detail: &str) -> HttpResponse {
    Problem {
        r#type: "urn:session-expire:bad-request",
        title: "Bad request",
        status: 400,
        detail,
        reason: None,
        login_url: None,
    }
    .into_response()
}

impl ResponseError for RegistryError {
    fn status_code(&self) -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }

    /// Try again later; the cause is in the log already.
    fn error_response(&self) -> HttpResponse {
        unavailable()
    }
}

impl ResponseError for StackError {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    /// An opaque answer; whoever runs the site finds the cure in the log.
    fn error_response(&self) -> HttpResponse {
        static SAID: AtomicBool = AtomicBool::new(false);
        advice::say(&SAID, &self.to_string());
        Problem {
            r#type: "about:blank",
            title: "Internal Server Error",
            status: 500,
            detail: "The server is not set up correctly. Its log says what to change.",
            reason: None,
            login_url: None,
        }
        .into_response()
    }
}
