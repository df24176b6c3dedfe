//! Problem details for HTTP APIs (RFC 9457 §3).
//!
//! Every rejection by the middleware is a problem response.

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderValue},
    },
};
use serde::Serialize;

use crate::{
    error::{RegistryError, SetupError},
    session::{reason::Reason, record::SessionRecord},
    time::Timestamp,
};

pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// Seconds after which a client may retry while the registry is unavailable.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
/// Authentication scheme of the middleware. Browsers show no prompt for an unknown scheme.
const SESSION_SCHEME: HeaderValue = HeaderValue::from_static("Session realm=\"application\"");

/// Type of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemType {
    SessionExpired,
    SignedOut,
    /// The session is not fresh.
    Confirm,
    /// The user cannot confirm this session.
    ConfirmationRefused,
    Unavailable,
    TooManySessions,
    SignInExpired,
    CrossSite,
    BadRequest,
    ContentTooLarge,
    ConfigurationError,
}

impl ProblemType {
    /// Returns URI, title and status.
    const fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::SessionExpired => (
                "urn:session-expire:session-expired",
                "Your session has ended",
                StatusCode::UNAUTHORIZED,
            ),
            Self::SignedOut => {
                ("urn:session-expire:signed-out", "You are not signed in", StatusCode::UNAUTHORIZED)
            }
            Self::Confirm => {
                ("urn:session-expire:confirm", "Confirm that it is you", StatusCode::UNAUTHORIZED)
            }
            Self::ConfirmationRefused => (
                "urn:session-expire:confirmation-refused",
                "You cannot confirm this session",
                StatusCode::FORBIDDEN,
            ),
            Self::Unavailable => (
                "urn:session-expire:unavailable",
                "Your session could not be checked",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            Self::TooManySessions => {
                ("urn:session-expire:too-many-sessions", "Too many sessions", StatusCode::CONFLICT)
            }
            Self::SignInExpired => {
                ("urn:session-expire:sign-in-expired", "Sign-in expired", StatusCode::CONFLICT)
            }
            Self::CrossSite => ("urn:session-expire:cross-site", "Refused", StatusCode::FORBIDDEN),
            Self::BadRequest => {
                ("urn:session-expire:bad-request", "Bad request", StatusCode::BAD_REQUEST)
            }
            Self::ContentTooLarge => (
                "urn:session-expire:content-too-large",
                "Content too large",
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            Self::ConfigurationError => {
                ("about:blank", "Internal Server Error", StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// Problem to respond with.
#[derive(Debug)]
pub(crate) struct Problem<'a> {
    problem_type: ProblemType,
    detail: &'a str,
    reason: Option<Reason>,
    cause: Option<&'a str>,
    login_url: Option<&'a str>,
    confirm_url: Option<&'a str>,
    max_age: Option<u64>,
}

impl<'a> Problem<'a> {
    pub(crate) fn new(problem_type: ProblemType, detail: &'a str) -> Self {
        Self {
            problem_type,
            detail,
            reason: None,
            cause: None,
            login_url: None,
            confirm_url: None,
            max_age: None,
        }
    }

    /// Sets the reason and the cause of the session's end.
    pub(crate) fn reason(mut self, reason: Reason, cause: Option<&'a str>) -> Self {
        (self.reason, self.cause) = (Some(reason), cause);
        self
    }

    /// Sets the URL of the login page.
    pub(crate) fn login_url(mut self, url: &'a str) -> Self {
        self.login_url = Some(url);
        self
    }

    /// Sets the URL of the confirmation page, and the longest accepted time since the last
    /// authentication, in seconds.
    pub(super) fn confirm(mut self, url: &'a str, max_age: u64) -> Self {
        (self.confirm_url, self.max_age) = (Some(url), Some(max_age));
        self
    }

    pub(crate) fn into_response(self) -> HttpResponse {
        let (r#type, title, status) = self.problem_type.parts();
        let body = ProblemBody {
            r#type,
            title,
            status: status.as_u16(),
            detail: self.detail,
            reason: self.reason.map(Reason::as_str),
            cause: self.cause,
            login_url: self.login_url,
            confirm_url: self.confirm_url,
            max_age: self.max_age,
        };
        let body = serde_json::to_string(&body).unwrap_or_default();
        let mut response = HttpResponse::build(status).content_type(PROBLEM_JSON).body(body);
        let text = ProblemText { title, detail: self.detail.to_owned() };
        response.extensions_mut().insert(text);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if status == StatusCode::UNAUTHORIZED {
            set_authenticate_header(headers);
        }
        response
    }
}

/// Members of RFC 9457 §3.1, and extension members (§3.2).
#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<u64>,
}

/// Sets `WWW-Authenticate`, which every 401 must have (RFC 9110 §11.6.1).
pub(crate) fn set_authenticate_header(headers: &mut HeaderMap) {
    headers.insert(header::WWW_AUTHENTICATE, SESSION_SCHEME);
}

/// Text of a problem for its HTML page. The extensions of the response contain it.
pub(super) struct ProblemText {
    pub(super) title: &'static str,
    pub(super) detail: String,
}

/// Returns a 503 for an unavailable registry. The session does not change.
pub(crate) fn unavailable() -> HttpResponse {
    let detail = "Nothing is lost and you have not been signed out. Try again in a few seconds.";
    let mut response = Problem::new(ProblemType::Unavailable, detail).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// Returns a 403 for a request from a page of another origin.
pub(crate) fn cross_site() -> HttpResponse {
    let detail = "This request came from a page of another site.";
    Problem::new(ProblemType::CrossSite, detail).into_response()
}

/// Returns a 403 for a session that cannot be confirmed.
pub(crate) fn confirmation_refused(detail: &str) -> HttpResponse {
    Problem::new(ProblemType::ConfirmationRefused, detail).into_response()
}

/// Returns a 400. `detail` describes a valid request.
pub(crate) fn bad_request(detail: &str) -> HttpResponse {
    Problem::new(ProblemType::BadRequest, detail).into_response()
}

/// Returns a 413 for a request body that is too long.
pub(crate) fn content_too_large() -> HttpResponse {
    let detail = "The body of this request is too long.";
    Problem::new(ProblemType::ContentTooLarge, detail).into_response()
}

/// Returns a 500 for a configuration error of the application. Only the log has details.
pub(crate) fn configuration_error() -> HttpResponse {
    let detail = "The server is not configured correctly. See its log.";
    Problem::new(ProblemType::ConfigurationError, detail).into_response()
}

/// Returns a 409 for a login that the session limit refuses. It lists the devices of the active
/// sessions.
pub(crate) fn too_many_sessions(active: &[SessionRecord]) -> HttpResponse {
    Problem::new(ProblemType::TooManySessions, &sessions_text(active)).into_response()
}

/// Returns [`too_many_sessions`] with the URL of the page for refused logins.
pub(crate) fn too_many_sessions_at(active: &[SessionRecord], url: &str) -> HttpResponse {
    let detail = sessions_text(active);
    Problem::new(ProblemType::TooManySessions, &detail).login_url(url).into_response()
}

/// Returns a 409 for a login that the session limit refuses, without the active sessions.
pub(crate) fn no_further_session() -> HttpResponse {
    let detail = "You have reached the maximum number of sessions. Sign out of one, then sign in \
                  again.";
    Problem::new(ProblemType::TooManySessions, detail).into_response()
}

fn sessions_text(active: &[SessionRecord]) -> String {
    let sessions: Vec<_> = active.iter().map(session_text).collect();
    format!(
        "You have reached the maximum number of sessions: {}. \
         Sign out of one, then sign in again.",
        sessions.join("; ")
    )
}

/// Returns a 409 for a login with an invalid ticket.
pub(crate) fn sign_in_expired() -> HttpResponse {
    let detail = "That took too long. Please sign in again.";
    Problem::new(ProblemType::SignInExpired, detail).into_response()
}

/// Describes a session without its address, because the reader has not signed in yet.
fn session_text(record: &SessionRecord) -> String {
    let time = |at: Timestamp| at.to_utc().format("%Y-%m-%d %H:%M UTC");
    let device = Some(&*record.client.device).filter(|device| !device.is_empty());
    let device = device.unwrap_or("Unknown device");
    format!("{device} since {}, last used {}", time(record.logged_in_at), time(record.last_seen))
}

impl ResponseError for RegistryError {
    fn status_code(&self) -> StatusCode {
        match self.config_error() {
            Some(_) => StatusCode::INTERNAL_SERVER_ERROR,
            None => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns a 503 without details, or a 500 for an error in the application's configuration.
    fn error_response(&self) -> HttpResponse {
        match self.config_error() {
            Some(_) => configuration_error(),
            None => unavailable(),
        }
    }
}

impl ResponseError for SetupError {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> HttpResponse {
        // `Diagnostics` logs a second session layer once per application.
        if *self != Self::OtherSessionLayer {
            tracing::error!(event = "sys_setup_error", error = %self, "set-up error");
        }
        configuration_error()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        Policy,
        registry::{Client, NewLogin},
    };

    fn json_of(response: HttpResponse) -> Value {
        let body = actix_web::rt::System::new().block_on(to_bytes(response.into_body()));
        serde_json::from_slice(&body.unwrap()).unwrap()
    }

    fn header_of<'a>(response: &'a HttpResponse, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn problems_have_type_status_and_safe_headers() {
        for (response, status, r#type) in [
            (unavailable(), 503, "urn:session-expire:unavailable"),
            (cross_site(), 403, "urn:session-expire:cross-site"),
            (bad_request("x"), 400, "urn:session-expire:bad-request"),
            (content_too_large(), 413, "urn:session-expire:content-too-large"),
            (too_many_sessions(&[]), 409, "urn:session-expire:too-many-sessions"),
            (sign_in_expired(), 409, "urn:session-expire:sign-in-expired"),
            (configuration_error(), 500, "about:blank"),
            (
                Problem::new(ProblemType::SignedOut, "x").into_response(),
                401,
                "urn:session-expire:signed-out",
            ),
            (
                Problem::new(ProblemType::SessionExpired, "x").into_response(),
                401,
                "urn:session-expire:session-expired",
            ),
        ] {
            assert_eq!(response.status(), status);
            assert_eq!(header_of(&response, "content-type"), "application/problem+json");
            assert_eq!(header_of(&response, "cache-control"), "no-store");
            assert_eq!(header_of(&response, "x-content-type-options"), "nosniff");
            let scheme = if status == 401 { "Session realm=\"application\"" } else { "" };
            assert_eq!(header_of(&response, "www-authenticate"), scheme);
            assert_eq!(header_of(&response, "retry-after"), if status == 503 { "5" } else { "" });
            let body = json_of(response);
            assert_eq!((&body["type"], &body["status"]), (&json!(r#type), &json!(status)));
        }
    }

    #[test]
    fn reason_cause_and_login_url_are_optional_members() {
        let problem = || Problem::new(ProblemType::SessionExpired, "Bye.").login_url("/login");
        let mut expected = json!({
            "type": "urn:session-expire:session-expired",
            "title": "Your session has ended",
            "status": 401,
            "detail": "Bye.",
            "login_url": "/login",
        });
        assert_eq!(json_of(problem().into_response()), expected);
        expected["reason"] = json!("revoked");
        assert_eq!(json_of(problem().reason(Reason::Revoked, None).into_response()), expected);
        expected["cause"] = json!("password_changed");
        let problem = problem().reason(Reason::Revoked, Some("password_changed"));
        assert_eq!(json_of(problem.into_response()), expected);
    }

    #[test]
    fn session_limit_problem_has_devices_without_address() {
        let now = Timestamp::from_millis(1_767_268_800_000);
        let mut login = NewLogin::new("alice", now, &Policy::new());
        login.client = Client::new("203.0.113.9".parse().ok(), "Firefox on Linux");
        let known = SessionRecord::new(&login);
        login.client = Client::default();
        let detail = json_of(too_many_sessions(&[known, SessionRecord::new(&login)]))["detail"]
            .as_str()
            .unwrap()
            .to_owned();
        let expected = "Firefox on Linux since 2026-01-01 12:00 UTC, last used 2026-01-01 12:00 UTC; \
                        Unknown device since ";
        assert!(detail.contains(expected), "{detail}");
        assert!(!detail.contains("203.0.113.9"), "{detail}");
    }
}
