//! Response to a login that the session limit refuses.

use actix_web::HttpResponse;

use super::{
    challenge::{see_other, set_hx_redirect},
    problem::{too_many_sessions, too_many_sessions_at},
};
use crate::{
    request::{
        RequestInfo,
        kind::ResponseFormat,
        return_path::{login_location, page_after},
    },
    session::record::SessionRecord,
};

/// Returns the response to a refused login: a redirect to `refused_url` for browsers, and a problem
/// with this URL for other clients. Without a `refused_url`, it is a problem for all clients.
pub(crate) fn refused_login(
    info: &RequestInfo,
    refused_url: Option<&str>,
    login_url: &str,
    active: &[SessionRecord],
) -> HttpResponse {
    let Some(refused_url) = refused_url else { return too_many_sessions(active) };
    let location = login_location(refused_url, return_path(info, login_url).as_deref());
    if info.format == ResponseFormat::Page {
        return see_other(&location);
    }
    let mut response = too_many_sessions_at(active, &location);
    if info.format == ResponseFormat::Htmx {
        set_hx_redirect(response.headers_mut(), &location);
    }
    response
}

/// Returns the page to which the login would have led: the return path of the login page, or the
/// page that contains another login form.
///
/// Returns `None` for a safe request, because the URL of a callback may contain a one-time code.
fn return_path(info: &RequestInfo, login_url: &str) -> Option<String> {
    let page = info.return_path.as_deref().filter(|_| !info.is_safe_method)?;
    page_after(page, login_url)
}

#[cfg(test)]
mod tests {
    use actix_web::{http::Method, test::TestRequest};

    use super::*;

    fn location(method: Method, referer: &str) -> String {
        let request = TestRequest::with_uri("/login")
            .method(method)
            .insert_header(("host", "site.example"))
            .insert_header(("sec-fetch-mode", "navigate"))
            .insert_header(("referer", format!("https://site.example{referer}")));
        let info = RequestInfo::new(&request.to_http_request(), false);
        let response = refused_login(&info, Some("/too-many"), "/login", &[]);
        response.headers().get("location").unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn return_path_is_that_of_the_login_form() {
        for (method, referer, expected) in [
            (Method::POST, "/login?next=/vault%3Fa%3D1", "/too-many?next=/vault%3Fa%3D1"),
            (Method::POST, "/login", "/too-many"),
            (Method::POST, "/login?next=//evil.example", "/too-many"),
            (Method::POST, "/shop", "/too-many?next=/shop"),
            (Method::POST, "/too-many?next=/vault", "/too-many"),
            (Method::GET, "/login?next=/vault", "/too-many"),
        ] {
            assert_eq!(location(method.clone(), referer), expected, "{method} {referer}");
        }
    }
}
