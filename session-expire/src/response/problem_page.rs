//! HTML pages for problems.
//!
//! The middleware renders a page last, so the application's error pages take precedence.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};

use super::problem::{PROBLEM_JSON, ProblemText};
use crate::{dialog::html::escape, request::RequestInfo};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Returns a page for `problem` with a link to `retry_path`.
///
/// Returns `None` if the response is not a problem of the middleware, or if the application has
/// replaced its body.
pub(crate) fn as_html_page<B>(
    problem: &HttpResponse<B>,
    retry_path: Option<&str>,
) -> Option<HttpResponse> {
    let extensions = problem.extensions();
    let text = extensions.get::<ProblemText>()?;
    if problem.headers().get(header::CONTENT_TYPE)? != PROBLEM_JSON {
        return None;
    }
    let mut page = HttpResponse::build(problem.status()).body(render_html(text, retry_path));
    for (name, value) in problem.headers() {
        page.headers_mut().append(name.clone(), value.clone());
    }
    page.headers_mut().insert(header::CONTENT_TYPE, HTML);
    page.headers_mut().remove(header::CONTENT_LENGTH);
    Some(page)
}

/// Returns the path at which the user can retry a request that failed with `status`.
///
/// A refused login starts again at its form, or at `login_url`. The URL of a callback may hold a
/// code that works only once.
pub(crate) fn retry_link<'a>(
    status: StatusCode,
    info: &'a RequestInfo,
    login_url: &'a str,
) -> Option<&'a str> {
    match (status, info.is_safe_method) {
        (StatusCode::CONFLICT, true) => Some(login_url),
        (StatusCode::CONFLICT, false) => info.retry_path().or(Some(login_url)),
        _ => info.retry_path(),
    }
}

fn render_html(text: &ProblemText, retry_path: Option<&str>) -> String {
    let (title, detail) = (escape(text.title), escape(&text.detail));
    let link = |path| format!("<p><a href=\"{}\">Try again</a></p>", escape(path));
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><h1>{title}</h1><p>{detail}</p>{}",
        retry_path.map(link).unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use actix_web::{
        body::{MessageBody, to_bytes},
        http::Method,
        test::TestRequest,
    };

    use super::*;
    use crate::response::problem::{bad_request, unavailable};

    fn text_of<B: MessageBody<Error: std::fmt::Debug>>(response: HttpResponse<B>) -> String {
        let body = actix_web::rt::System::new().block_on(to_bytes(response.into_body()));
        String::from_utf8(body.unwrap().to_vec()).unwrap()
    }

    fn header_of<'a, B>(response: &'a HttpResponse<B>, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn page_has_escaped_problem_and_retry_link() {
        let problem = bad_request("<script>\"&");
        let page = as_html_page(&problem, Some("/a?b=\"&c")).unwrap();
        assert_eq!(page.status(), 400);
        assert_eq!(header_of(&page, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header_of(&page, "x-content-type-options"), "nosniff");
        let html = text_of(page);
        assert!(html.contains("<p>&lt;script&gt;&quot;&amp;</p>"), "{html}");
        assert!(html.contains("<a href=\"/a?b=&quot;&amp;c\">Try again</a>"), "{html}");
    }

    #[test]
    fn page_keeps_headers_of_problem() {
        let page = as_html_page(&unavailable(), None).unwrap();
        assert_eq!(header_of(&page, "retry-after"), "5");
        assert!(!text_of(page).contains("Try again<"));
    }

    #[test]
    fn page_is_none_for_other_responses() {
        assert!(as_html_page(&HttpResponse::BadRequest().body("own"), None).is_none());
        let mut replaced = unavailable();
        replaced.headers_mut().insert(header::CONTENT_TYPE, HTML);
        assert!(as_html_page(&replaced, None).is_none());
    }

    #[test]
    fn refused_login_always_has_a_link() {
        const CONFLICT: StatusCode = StatusCode::CONFLICT;
        const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        for (status, method, referer, link) in [
            (CONFLICT, Method::POST, "https://site.example/login?next=/a", "/login?next=/a"),
            (CONFLICT, Method::POST, "", "/sign-in"),
            (CONFLICT, Method::GET, "https://provider.example/", "/sign-in"),
            (UNAVAILABLE, Method::GET, "", ""),
        ] {
            let request = TestRequest::with_uri("/callback?code=1").method(method.clone());
            let request = [("host", "site.example"), ("accept", "text/html"), ("referer", referer)]
                .into_iter()
                .fold(request, TestRequest::insert_header);
            let info = RequestInfo::new(&request.to_http_request(), false);
            let found = retry_link(status, &info, "/sign-in");
            assert_eq!(found, Some(link), "{status} {method} {referer}");
        }
        let request = TestRequest::post().insert_header(("accept", "text/html"));
        let info = RequestInfo::new(&request.to_http_request(), false);
        assert_eq!(retry_link(UNAVAILABLE, &info, "/sign-in"), None);
    }
}
