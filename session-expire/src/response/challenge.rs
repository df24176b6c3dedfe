//! Challenges: responses to requests that need a login.
//!
//! Browsers are redirected to the login page. Other clients receive a 401 with the reason.

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
};

use super::problem::{Problem, ProblemType};
use crate::{
    request::{
        RequestInfo,
        kind::ResponseFormat,
        return_path::{login_location, page_after},
    },
    session::reason::Reason,
};

const SESSION_EXPIRED: HeaderName = HeaderName::from_static("x-session-expired");
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// Details of an ended session in a challenge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expired<'a> {
    pub(crate) reason: Reason,
    /// Cause, which is a word of the application.
    pub(crate) cause: Option<&'a str>,
    /// Text for the user.
    pub(crate) text: &'a str,
}

/// Returns the challenge for a request. `expired` is `None` for an anonymous request.
///
/// The caller must not challenge a request for the login page: see [`RequestInfo::is_at`].
pub(crate) fn challenge(
    info: &RequestInfo,
    login_url: &str,
    confirm_url: &str,
    expired: Option<Expired<'_>>,
) -> HttpResponse {
    // A user who has just signed in does not need to confirm the session.
    let page = info.return_path.as_deref().and_then(|page| page_after(page, confirm_url));
    let location = login_location(login_url, page.as_deref());
    let mut response = match info.format {
        ResponseFormat::Page => see_other(&location),
        ResponseFormat::Htmx | ResponseFormat::Api => unauthorized(&location, expired),
    };
    if info.format == ResponseFormat::Htmx {
        set_hx_redirect(response.headers_mut(), &location);
    }
    if let Some(Expired { reason, .. }) = expired {
        set_reason_header(response.headers_mut(), reason);
    }
    response
}

fn unauthorized(location: &str, expired: Option<Expired<'_>>) -> HttpResponse {
    let problem = match expired {
        Some(Expired { reason, cause, text }) => {
            Problem::new(ProblemType::SessionExpired, text).reason(reason, cause)
        }
        None => Problem::new(ProblemType::SignedOut, "Sign in and try again."),
    };
    problem.login_url(location).into_response()
}

/// Sets `X-Session-Expired`.
pub(crate) fn set_reason_header(headers: &mut HeaderMap, reason: Reason) {
    headers.insert(SESSION_EXPIRED, HeaderValue::from_static(reason.as_str()));
}

/// Returns a redirect for browsers, which load `location` with GET.
pub(crate) fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// Returns a redirect for htmx.
pub(crate) fn hx_redirect(location: &str) -> HttpResponse {
    let mut response =
        HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).finish();
    set_hx_redirect(response.headers_mut(), location);
    response
}

/// Sets `HX-Redirect`, which htmx follows with any status.
pub(super) fn set_hx_redirect(headers: &mut HeaderMap, location: &str) {
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(HX_REDIRECT, location);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{body::to_bytes, test::TestRequest};
    use serde_json::Value;

    use super::*;

    const PAGE: (&str, &str) = ("sec-fetch-mode", "navigate");
    const API: (&str, &str) = ("sec-fetch-mode", "cors");
    const HTMX: (&str, &str) = ("hx-request", "true");

    fn info(header: (&'static str, &'static str)) -> RequestInfo {
        let request = TestRequest::with_uri("/list?page=2")
            .insert_header(("host", "site.example"))
            .insert_header(("referer", "https://site.example/list?page=2"))
            .insert_header(("hx-current-url", "https://site.example/list?page=2"))
            .insert_header(header);
        RequestInfo::new(&request.to_http_request(), false)
    }

    fn expired() -> Option<Expired<'static>> {
        Some(Expired { reason: Reason::Revoked, cause: Some("password_changed"), text: "Bye." })
    }

    fn body_of(response: HttpResponse) -> Value {
        let body = actix_web::rt::System::new().block_on(to_bytes(response.into_body())).unwrap();
        serde_json::from_slice(&body).unwrap_or_default()
    }

    #[test]
    fn challenge_follows_format_and_reason() {
        const TARGET: &str = "/login?next=/list%3Fpage%3D2";
        for (header, why, status, location, hx, reason) in [
            (PAGE, None, 303, TARGET, "", ""),
            (PAGE, expired(), 303, TARGET, "", "revoked"),
            (HTMX, None, 401, "", TARGET, ""),
            (HTMX, expired(), 401, "", TARGET, "revoked"),
            (API, None, 401, "", "", ""),
            (API, expired(), 401, "", "", "revoked"),
        ] {
            let response = challenge(&info(header), "/login", "/confirm", why);
            let header_text =
                |name| response.headers().get(name).map_or("", |v| v.to_str().unwrap());
            assert_eq!(response.status(), status, "{header:?}");
            assert_eq!(header_text("location"), location, "{header:?}");
            assert_eq!(header_text("hx-redirect"), hx, "{header:?}");
            assert_eq!(header_text("x-session-expired"), reason, "{header:?}");
            assert_eq!(header_text("cache-control"), "no-store", "{header:?}");
            assert_eq!(header_text("www-authenticate").is_empty(), status != 401, "{header:?}");
        }
    }

    #[test]
    fn return_path_skips_the_confirmation_page() {
        let request = TestRequest::with_uri("/confirm?next=/settings%3Ftab%3D2")
            .insert_header(("host", "site.example"))
            .insert_header(PAGE);
        let info = RequestInfo::new(&request.to_http_request(), false);
        let response = challenge(&info, "/login", "/confirm", None);
        let location = response.headers().get("location").unwrap();
        assert_eq!(location, "/login?next=/settings%3Ftab%3D2");
    }

    #[test]
    fn api_problem_names_reason_cause_and_login_url() {
        let body = body_of(challenge(&info(API), "/login", "/confirm", expired()));
        assert_eq!(body["type"], "urn:session-expire:session-expired");
        assert_eq!(
            (&body["reason"], &body["cause"]),
            (&"revoked".into(), &"password_changed".into())
        );
        assert_eq!((&body["detail"], &body["status"]), (&"Bye.".into(), &401.into()));
        assert_eq!(body["login_url"], "/login?next=/list%3Fpage%3D2");
    }

    #[test]
    fn anonymous_problem_names_no_reason() {
        let body = body_of(challenge(&info(API), "/login", "/confirm", None));
        assert_eq!(body["type"], "urn:session-expire:signed-out");
        assert_eq!(body["title"], "You are not signed in");
        assert!(body.get("reason").is_none() && body.get("cause").is_none(), "{body}");
    }

    #[test]
    fn htmx_redirect_is_not_cached() {
        let response = hx_redirect("/login");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().get("hx-redirect").unwrap(), "/login");
        assert_eq!(response.headers().get("cache-control").unwrap(), "no-store");
    }
}
