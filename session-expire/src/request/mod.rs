//! Parts of requests: what the middleware reads of them, and what applications may read, too.
//!
//! Nothing here changes a session or writes a response.

pub(crate) mod client_ip;
pub(crate) mod header_names;
pub(crate) mod kind;
pub(crate) mod origin;
pub(crate) mod return_path;
pub(crate) mod user_agent;

pub use self::{client_ip::TrustedProxy, origin::is_cross_site, user_agent::device_name};
pub use crate::policy::local_path::local_path;
use actix_web::{
    HttpRequest,
    http::header::{self, AsHeaderName, HeaderMap},
};

use self::{
    kind::{RequestKind, ResponseFormat},
    return_path::{is_at, return_path},
};
use crate::messages::notice::Languages;

/// What a challenge needs of a request. It outlives the request.
#[derive(Debug, Clone)]
pub(crate) struct RequestInfo {
    pub(crate) kind: RequestKind,
    pub(crate) format: ResponseFormat,
    /// Whether the method only reads (RFC 9110 §9.2.1).
    pub(crate) is_safe_method: bool,
    /// The page to come back to after the login, if there is a safe one.
    pub(crate) return_path: Option<String>,
    pub(crate) languages: Languages,
    pub(crate) path: String,
}

impl RequestInfo {
    /// Reads `req`. `is_api` is the result of the application's own predicate.
    pub(crate) fn new(req: &HttpRequest, is_api: bool) -> Self {
        let format = ResponseFormat::classify(req, is_api);
        let languages = header_text(req.headers(), header::ACCEPT_LANGUAGE).map(Languages::parse);
        Self {
            kind: RequestKind::classify(req, is_api),
            format,
            is_safe_method: req.method().is_safe(),
            return_path: return_path(req, format),
            languages: languages.unwrap_or_default(),
            path: req.path().to_owned(),
        }
    }

    /// What a challenge needs of a request that has failed and is gone.
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

    /// The link under which the user can try again: this page, or the page of the form that was
    /// submitted.
    pub(crate) fn retry_path(&self) -> Option<&str> {
        if self.is_safe_method { Some("") } else { self.return_path.as_deref() }
    }

    /// Returns `true` if this request asks for `url`, for example the login page.
    pub(crate) fn is_at(&self, url: &str) -> bool {
        is_at(&self.path, url)
    }

    /// Returns `true` if this request changes something at `url`: submits the login form, for
    /// example.
    pub(crate) fn acts_at(&self, url: &str) -> bool {
        !self.is_safe_method && self.is_at(url)
    }
}

/// The value of a header that is visible ASCII.
pub(crate) fn header_text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use actix_web::{http::Method, test::TestRequest};

    use super::*;

    #[test]
    fn login_page_and_retry_path_depend_on_method() {
        for (method, uri, is_at, acts_at, retry) in [
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
            assert_eq!(info.acts_at("/login?lang=de#form"), acts_at, "{method} {uri}");
            assert_eq!(info.retry_path(), retry, "{method} {uri}");
        }
    }

    #[test]
    fn languages_are_read() {
        let req = TestRequest::default().insert_header(("accept-language", "de, en;q=0.5"));
        let info = RequestInfo::new(&req.to_http_request(), true);
        assert_eq!(info.languages.best_of(&["en", "de"]), Some("de"));
        assert_eq!(info.format, ResponseFormat::Api);
    }
}
