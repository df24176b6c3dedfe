//! Return paths: pages to which a login redirects.
//!
//! Every return path is a local path that the browser can load with GET.

use actix_web::{
    HttpRequest,
    http::{Uri, header},
    web::Query,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{header_names::HX_CURRENT_URL, header_text, kind::ResponseFormat, origin::is_own_url};
use crate::policy::local_path::{MAX_PATH_LEN, local_path};

/// Characters that are encoded in the value of a query parameter. Slashes are not, for readability.
const QUERY_VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Returns the return path of a request.
///
/// For safe navigations, it is the requested URL. For form posts and scripts it is the page in
/// `Referer`, because a GET of the target would fail or repeat the action. For htmx it is
/// `HX-Current-URL`.
pub(crate) fn return_path(req: &HttpRequest, format: ResponseFormat) -> Option<String> {
    let page = match format {
        ResponseFormat::Htmx => {
            return path_of_own_url(req, header_text(req.headers(), &HX_CURRENT_URL)?);
        }
        ResponseFormat::Page if req.method().is_safe() => req.uri().path_and_query()?.as_str(),
        ResponseFormat::Page | ResponseFormat::Api => {
            return path_of_own_url(req, header_text(req.headers(), header::REFERER)?);
        }
    };
    local_path(page).map(str::to_owned)
}

fn path_of_own_url(req: &HttpRequest, url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok().filter(|_| is_own_url(req, url))?;
    local_path(uri.path_and_query()?.as_str()).map(str::to_owned)
}

/// Returns the URL of the login page with the return path as `next`.
///
/// The start page and the login page are left out. A path is also left out if the URL with it
/// exceeds [`MAX_PATH_LEN`], because browsers and proxies refuse long `Location` headers.
pub(crate) fn login_location(login_url: &str, return_path: Option<&str>) -> String {
    return_path
        .filter(|path| *path != "/" && !is_at(without_query(path), login_url))
        .map(|path| with_next(login_url, path))
        .filter(|location| location.len() <= MAX_PATH_LEN)
        .unwrap_or_else(|| login_url.to_owned())
}

/// Returns the URL of the confirmation page, with the return path as `next`.
///
/// Without a return path, or if the URL would be too long, `next` is the start page. It is never
/// the confirmation page itself.
pub(crate) fn confirm_location(confirm_url: &str, return_path: Option<&str>) -> String {
    return_path
        .filter(|path| !is_at(without_query(path), confirm_url))
        .map(|path| with_next(confirm_url, path))
        .filter(|location| location.len() <= MAX_PATH_LEN)
        .unwrap_or_else(|| with_next(confirm_url, "/"))
}

/// Query of a login page or a confirmation page.
#[derive(Deserialize)]
struct NextQuery {
    next: Option<String>,
}

/// Returns `page`, or its `next` if `page` is the page at `url`.
pub(crate) fn page_after(page: &str, url: &str) -> Option<String> {
    let (path, query) = page.split_once('?').unwrap_or((page, ""));
    if !is_at(path, url) {
        return Some(page.to_owned());
    }
    let next = Query::<NextQuery>::from_query(query).ok()?.into_inner().next?;
    local_path(&next).map(str::to_owned)
}

fn with_next(login_url: &str, path: &str) -> String {
    let (page, fragment) = login_url.split_at(login_url.find('#').unwrap_or(login_url.len()));
    let separator = if page.contains('?') { '&' } else { '?' };
    format!("{page}{separator}next={}{fragment}", utf8_percent_encode(path, QUERY_VALUE))
}

/// Returns `true` if `path` is the path of `login_url`.
pub(crate) fn is_at(path: &str, login_url: &str) -> bool {
    path == without_query(login_url)
}

/// Returns `true` if `path` is the path of `url` or below it.
pub(crate) fn is_at_or_below(path: &str, url: &str) -> bool {
    let base = without_query(url).trim_end_matches('/');
    let below = path.strip_prefix(base).filter(|_| !base.is_empty());
    is_at(path, url) || below.is_some_and(|below| below.starts_with('/'))
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use actix_web::{http::Method, test::TestRequest};

    use super::*;

    #[test]
    fn paths_below_a_page_start_with_its_path_and_a_slash() {
        for (path, url, expected) in [
            ("/confirm", "/confirm?x=1", true),
            ("/confirm/passkey", "/confirm?x=1", true),
            ("/confirm/", "/confirm", true),
            ("/confirmed", "/confirm", false),
            ("/settings", "/confirm", false),
            ("/settings", "/", false),
            ("/", "/", true),
        ] {
            assert_eq!(is_at_or_below(path, url), expected, "{path} {url}");
        }
    }

    #[test]
    fn return_path_is_local_page_for_get() {
        use ResponseFormat::{Api, Htmx, Page};
        let (get, post) = (Method::GET, Method::POST);
        let long = format!("https://site.example/{}", "a".repeat(MAX_PATH_LEN));
        let referer = |url: &'static str| Some(("referer", url));
        let current = |url: &'static str| Some(("hx-current-url", url));
        for (method, format, header, expected) in [
            (&get, Page, referer("https://site.example/list"), Some("/page?x=1")),
            (&Method::HEAD, Page, None, Some("/page?x=1")),
            (&get, Api, referer("https://site.example/list"), Some("/list")),
            (&get, Api, None, None),
            (&post, Page, None, None),
            (&post, Page, referer("https://site.example/form?y=2"), Some("/form?y=2")),
            (&post, Page, referer("https://site.example"), Some("/")),
            (&post, Page, referer("https://SITE.example:443/form"), Some("/form")),
            (&post, Page, referer("https://evil.example/form"), None),
            (&post, Page, referer("https://site.example//evil.example"), None),
            (&post, Page, referer("https://site.example@evil.example/"), None),
            (&post, Page, referer("//site.example/form"), None),
            (&post, Page, referer("/form"), None),
            (&post, Page, referer("javascript:alert(1)"), None),
            (&post, Page, referer(long.leak()), None),
            (&post, Htmx, current("https://site.example/list#row-7"), Some("/list")),
            (&get, Htmx, current("https://evil.example/list"), None),
            (&get, Htmx, referer("https://site.example/list"), None),
        ] {
            let mut req = TestRequest::with_uri("/page?x=1").method(method.clone());
            req = req.insert_header(("host", "site.example"));
            req = header.into_iter().fold(req, TestRequest::insert_header);
            let actual = return_path(&req.to_http_request(), format);
            assert_eq!(actual.as_deref(), expected, "{method} {format:?} {header:?}");
        }
    }

    #[test]
    fn login_location_has_encoded_return_path() {
        for (login_url, path, location) in [
            ("/login", None, "/login"),
            ("/login", Some("/"), "/login"),
            ("/login", Some("/login?next=/a"), "/login"),
            ("/login?lang=de", Some("/login"), "/login?lang=de"),
            ("/login", Some("/login/help"), "/login?next=/login/help"),
            ("/login", Some("/a?b=c&d=%20"), "/login?next=/a%3Fb%3Dc%26d%3D%2520"),
            ("/login?lang=de#form", Some("/a-b_c.d~e"), "/login?lang=de&next=/a-b_c.d~e#form"),
        ] {
            assert_eq!(login_location(login_url, path), location);
        }
    }

    #[test]
    fn login_location_length_is_limited() {
        let prefix = "/login?next=";
        for (path, expected) in [
            ("a".repeat(MAX_PATH_LEN - prefix.len() - 1), MAX_PATH_LEN),
            ("a".repeat(MAX_PATH_LEN - prefix.len()), "/login".len()),
            ("?".repeat(700), "/login".len()),
        ] {
            assert_eq!(login_location("/login", Some(&format!("/{path}"))).len(), expected);
        }
    }
}
