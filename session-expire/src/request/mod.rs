//! Properties of requests: origin, client, device and local paths.
//!
//! Nothing here changes a session or writes a response.

pub(crate) mod client_ip;
pub(crate) mod header_names;
pub(crate) mod kind;
pub(crate) mod login_pages;
pub(crate) mod origin;
pub(crate) mod privacy;
pub(crate) mod return_path;

pub use self::{client_ip::TrustedProxy, origin::is_cross_site, privacy::RecordedAddress};
pub use crate::{policy::local_path::local_path, session::device_name::device_name};
use actix_web::{
    HttpRequest,
    http::header::{AsHeaderName, HeaderMap},
};

use self::{
    kind::{RequestKind, ResponseFormat},
    return_path::{is_at, return_path},
};
use crate::messages::notice::Languages;

/// Properties of a request that a challenge needs. It outlives the request.
#[derive(Debug, Clone)]
pub(crate) struct RequestInfo {
    pub(crate) kind: RequestKind,
    pub(crate) format: ResponseFormat,
    /// `true` if the method is safe (RFC 9110 §9.2.1).
    pub(crate) is_safe_method: bool,
    /// Return path, if the request has one.
    pub(crate) return_path: Option<String>,
    pub(crate) languages: Languages,
    pub(crate) path: String,
}

impl RequestInfo {
    /// Reads `req`, except for the languages, which `Config::request_info` adds. `is_api` is the
    /// result of the application's own predicate.
    pub(crate) fn new(req: &HttpRequest, is_api: bool) -> Self {
        let format = ResponseFormat::classify(req, is_api);
        Self {
            kind: RequestKind::classify(req, is_api),
            format,
            is_safe_method: req.method().is_safe(),
            return_path: return_path(req, format),
            languages: Languages::default(),
            path: req.path().to_owned(),
        }
    }

    /// Returns the properties for the challenge of a request without a context.
    pub(crate) fn for_challenge(format: ResponseFormat, return_path: Option<&str>) -> Self {
        Self {
            kind: RequestKind::Api,
            format,
            is_safe_method: true,
            return_path: return_path.map(str::to_owned),
            languages: Languages::default(),
            path: String::new(),
        }
    }

    /// Returns the link with which the user can try again: this page, or the page of the submitted
    /// form. The empty path is this page.
    pub(crate) fn retry_path(&self) -> Option<&str> {
        if self.is_safe_method { Some("") } else { self.return_path.as_deref() }
    }

    /// Returns `true` if the path of the request is that of `url`.
    pub(crate) fn is_at(&self, url: &str) -> bool {
        is_at(&self.path, url)
    }

    /// Returns `true` for an unsafe request to the path of `url`, such as a submitted login form.
    pub(crate) fn submits_to(&self, url: &str) -> bool {
        !self.is_safe_method && self.is_at(url)
    }
}

/// Returns the value of a header, if it is visible ASCII.
pub(crate) fn header_text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use actix_web::{http::Method, test::TestRequest};

    use super::*;

    #[test]
    fn login_page_and_retry_path_depend_on_method() {
        for (method, uri, is_at, is_submitted, retry) in [
            (Method::GET, "/login?next=/a", true, false, Some("")),
            (Method::HEAD, "/login", true, false, Some("")),
            (Method::OPTIONS, "/login", true, false, Some("")),
            (Method::POST, "/login", true, true, Some("/form")),
            (Method::POST, "/login/more", false, false, Some("/form")),
            (Method::GET, "/", false, false, Some("")),
        ] {
            let req = TestRequest::with_uri(uri)
                .method(method.clone())
                .insert_header(("host", "site.example"))
                .insert_header(("accept", "text/html"))
                .insert_header(("referer", "https://site.example/form"))
                .to_http_request();
            let info = RequestInfo::new(&req, false);
            assert_eq!(info.is_at("/login?lang=de#form"), is_at, "{method} {uri}");
            assert_eq!(info.submits_to("/login?lang=de#form"), is_submitted, "{method} {uri}");
            assert_eq!(info.retry_path(), retry, "{method} {uri}");
        }
    }
}
