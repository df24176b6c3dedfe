//! Responses to requests whose session is not fresh.
//!
//! Browsers are redirected to the confirmation page. Other clients receive a 401 with its URL and
//! the challenge of RFC 9470 §3.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderValue},
};

use super::{
    challenge::{see_other, set_hx_redirect},
    problem::{Problem, ProblemType},
};
use crate::request::{RequestInfo, kind::ResponseFormat, return_path::confirm_location};

/// Returns the response to a request whose session is not fresh. `fresh` is the longest accepted
/// time since the last authentication.
pub(crate) fn confirm(info: &RequestInfo, confirm_url: &str, fresh: Duration) -> HttpResponse {
    let location = confirm_location(confirm_url, info.return_path.as_deref());
    let mut response = match info.format {
        ResponseFormat::Page => return see_other(&location),
        ResponseFormat::Htmx | ResponseFormat::Api => unauthorized(&location, fresh),
    };
    if info.format == ResponseFormat::Htmx {
        set_hx_redirect(response.headers_mut(), &location);
    }
    response
}

fn unauthorized(location: &str, fresh: Duration) -> HttpResponse {
    let max_age = fresh.as_secs();
    let detail = "Enter your password or use your passkey again to continue.";
    let problem = Problem::new(ProblemType::Confirm, detail).confirm(location, max_age);
    let mut response = problem.into_response();
    let scheme =
        format!("Bearer error=\"insufficient_user_authentication\", max_age=\"{max_age}\"");
    if let Ok(scheme) = HeaderValue::from_str(&scheme) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

#[cfg(test)]
mod tests {
    use actix_web::{body::to_bytes, test::TestRequest};
    use serde_json::Value;

    use super::*;
    use crate::time::minutes;

    fn response(header: (&'static str, &'static str)) -> HttpResponse {
        let request = TestRequest::with_uri("/settings?tab=2")
            .insert_header(("host", "site.example"))
            .insert_header(("referer", "https://site.example/settings?tab=2"))
            .insert_header(("hx-current-url", "https://site.example/settings?tab=2"))
            .insert_header(header);
        let info = RequestInfo::new(&request.to_http_request(), false);
        confirm(&info, "/confirm", minutes(10))
    }

    #[test]
    fn response_follows_format() {
        const TARGET: &str = "/confirm?next=/settings%3Ftab%3D2";
        const SCHEME: &str = "Bearer error=\"insufficient_user_authentication\", max_age=\"600\"";
        for (header, status, location, hx, scheme) in [
            (("sec-fetch-mode", "navigate"), 303, TARGET, "", ""),
            (("hx-request", "true"), 401, "", TARGET, SCHEME),
            (("sec-fetch-mode", "cors"), 401, "", "", SCHEME),
        ] {
            let response = response(header);
            let text = |name| response.headers().get(name).map_or("", |v| v.to_str().unwrap());
            assert_eq!(response.status(), status, "{header:?}");
            assert_eq!(text("location"), location, "{header:?}");
            assert_eq!(text("hx-redirect"), hx, "{header:?}");
            assert_eq!(text("www-authenticate"), scheme, "{header:?}");
            assert_eq!(text("cache-control"), "no-store", "{header:?}");
            assert_eq!(text("x-session-expired"), "", "{header:?}");
        }
    }

    #[test]
    fn api_problem_has_confirm_url_and_no_reason() {
        let body = response(("sec-fetch-mode", "cors")).into_body();
        let body = actix_web::rt::System::new().block_on(to_bytes(body)).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["type"], "urn:session-expire:confirm");
        assert_eq!(body["confirm_url"], "/confirm?next=/settings%3Ftab%3D2");
        assert_eq!(body["max_age"], 600);
        assert!(body.get("reason").is_none() && body.get("login_url").is_none(), "{body}");
    }
}
