//! Origins of requests, for protection against cross-site request forgery (CSRF).
//!
//! Forwarding headers are not used, because any client can send them.

use actix_web::{
    HttpRequest,
    http::{
        header,
        uri::{Authority, Scheme},
    },
};

use super::{header_names::SEC_FETCH_SITE, header_text};
use crate::error::ConfigError;

/// Returns `true` if a page of another origin sent the request. It reads `Sec-Fetch-Site`, or
/// compares `Origin` with `Host`.
///
/// # Security
///
/// Use it for forms that change something without a session, such as the login form: `SameSite`
/// cookies do not protect them. Clients other than browsers send neither header; their requests
/// yield `false`.
///
/// ```
/// use actix_web::test::TestRequest;
/// use session_expire::request::is_cross_site;
///
/// let post = TestRequest::post().insert_header(("host", "bank.example"));
/// let forged = post.insert_header(("origin", "https://evil.example")).to_http_request();
/// assert!(is_cross_site(&forged));
/// ```
#[must_use]
pub fn is_cross_site(req: &HttpRequest) -> bool {
    if let Some(site) = header_text(req.headers(), &SEC_FETCH_SITE) {
        return !matches!(site, "same-origin" | "none");
    }
    match req.headers().get(header::ORIGIN) {
        None => false,
        Some(origin) => !origin.to_str().is_ok_and(|origin| is_own_url(req, origin)),
    }
}

/// Returns `true` if another site caused the request, by a link, a form or an embedded element.
///
/// Such a request carries the user's cookies, but the user may not have intended it. Old browsers
/// send no `Sec-Fetch-Site`. For them, a foreign `Origin` or `Referer` counts.
pub(crate) fn is_from_other_site(req: &HttpRequest) -> bool {
    let has_metadata = req.headers().contains_key(&SEC_FETCH_SITE);
    let has_foreign_referer =
        || header_text(req.headers(), header::REFERER).is_some_and(|url| !is_own_url(req, url));
    is_cross_site(req) || !has_metadata && has_foreign_referer()
}

/// Returns `true` if `url` is absolute and has the host of the request.
pub(crate) fn is_own_url(req: &HttpRequest, url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let port = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => ":443",
        _ if scheme.eq_ignore_ascii_case("http") => ":80",
        _ => return false,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Some proxies add the default port to `Host`.
    let without_port = |text: &'_ str| text.strip_suffix(port).unwrap_or(text).len();
    host(req).is_some_and(|host| {
        host[..without_port(host)].eq_ignore_ascii_case(&authority[..without_port(authority)])
    })
}

/// Returns the host of the request.
fn host(req: &HttpRequest) -> Option<&str> {
    header_text(req.headers(), header::HOST)
        .or_else(|| req.uri().authority().map(Authority::as_str))
}

/// Foreign origins whose pages may use the endpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AllowedOrigins(Vec<Box<str>>);

impl AllowedOrigins {
    /// Parses the origins of the builder's option `allowed_origins`.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Value`] unless each origin consists of `http` or `https`, a host and
    /// an optional port.
    pub(crate) fn parse<S: AsRef<str>>(
        origins: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConfigError> {
        let origin = |text: S| {
            normalized(text.as_ref()).ok_or_else(|| ConfigError::Value {
                key: "allowed_origins",
                value: format!("{:?}", text.as_ref()),
                expected: "an origin without a path, such as \"https://app.example\"",
            })
        };
        origins.into_iter().map(origin).collect::<Result<_, _>>().map(Self)
    }

    /// Returns `true` if `req` comes from a page of another origin that is not allowed.
    pub(crate) fn refuses(&self, req: &HttpRequest) -> bool {
        is_cross_site(req) && !self.allows_origin(req)
    }

    fn allows_origin(&self, req: &HttpRequest) -> bool {
        let origin = header_text(req.headers(), header::ORIGIN);
        !self.0.is_empty()
            && origin.and_then(normalized).is_some_and(|origin| self.0.contains(&origin))
    }
}

/// Returns the form in which browsers send an origin: lower case, without the default port.
fn normalized(text: &str) -> Option<Box<str>> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme: Scheme =
        scheme.parse().ok().filter(|s| [Scheme::HTTP, Scheme::HTTPS].contains(s))?;
    let authority: Authority = rest.parse().ok()?;
    let port = match rest.strip_prefix(authority.host())? {
        "" => None,
        port => Some(port.strip_prefix(':')?.parse::<u16>().ok()?),
    };
    let default = if scheme == Scheme::HTTPS { 443 } else { 80 };
    let port = port.filter(|port| *port != default).map(|port| format!(":{port}"));
    let origin = format!("{scheme}://{}{}", authority.host(), port.unwrap_or_default());
    is_host(authority.host()).then(|| origin.to_ascii_lowercase().into())
}

fn is_host(text: &str) -> bool {
    let is_address = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(address) => is_address(address),
        None => !text.is_empty() && text.bytes().all(is_host_byte),
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(headers: &[(&'static str, &'static str)]) -> HttpRequest {
        let base = TestRequest::with_uri("/page?x=1").insert_header(("host", "site.example"));
        headers.iter().fold(base, |req, header| req.insert_header(*header)).to_http_request()
    }

    #[test]
    fn cross_site_is_detected() {
        for (headers, expected) in [
            (vec![], false),
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("sec-fetch-site", "same-site")], true),
            (vec![("sec-fetch-site", "cross-site")], true),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], false),
            (vec![("origin", "https://site.example")], false),
            (vec![("origin", "https://site.example.evil.example")], true),
            (vec![("origin", "https://site.example@evil.example")], true),
            (vec![("origin", "https://sub.site.example")], true),
            (vec![("origin", "null")], true),
            (vec![("origin", "https://SITE.example:443")], false),
            (vec![("origin", "http://site.example:80")], false),
            (vec![("origin", "http://site.example:443")], true),
            (vec![("host", "Site.example:443"), ("origin", "https://site.example")], false),
            (vec![("host", "[::1]:8080"), ("origin", "http://[::1]:8080")], false),
            (vec![("host", "[::1]:8080"), ("origin", "http://[::1]")], true),
            (vec![("origin", "")], true),
            (vec![("origin", "https://")], true),
            (vec![("origin", "chrome-extension://site.example")], true),
            (vec![("origin", "\u{fc}")], true),
        ] {
            assert_eq!(is_cross_site(&request(&headers)), expected, "{headers:?}");
        }
    }

    #[test]
    fn request_from_other_site_is_detected() {
        for (headers, expected) in [
            (vec![], false),
            (vec![("sec-fetch-site", "cross-site")], true),
            (vec![("sec-fetch-site", "same-site")], true),
            (vec![("sec-fetch-site", "none"), ("referer", "https://evil.example/")], false),
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![("referer", "https://site.example/list")], false),
            (vec![("referer", "https://evil.example/")], true),
            (vec![("origin", "https://evil.example")], true),
        ] {
            assert_eq!(is_from_other_site(&request(&headers)), expected, "{headers:?}");
        }
    }

    #[test]
    fn allowed_origin_is_not_refused() {
        let allowed = AllowedOrigins::parse([
            "https://App.example",
            "http://[::1]:8080",
            "https://b.example:443",
        ])
        .unwrap();
        let (cross, sibling) = (("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"));
        for (headers, refused) in [
            (vec![], false),
            (vec![cross, ("origin", "https://app.example")], false),
            (vec![sibling, ("origin", "https://app.example")], false),
            (vec![("origin", "https://app.example")], false),
            (vec![("origin", "https://b.example")], false),
            (vec![("origin", "http://[::1]:8080")], false),
            (vec![("origin", "https://site.example")], false),
            (vec![("origin", "http://app.example")], true),
            (vec![("origin", "https://app.example:8443")], true),
            (vec![cross, ("origin", "https://x.app.example")], true),
            (vec![cross, ("origin", "null")], true),
            (vec![cross], true),
        ] {
            assert_eq!(allowed.refuses(&request(&headers)), refused, "{headers:?}");
        }
        assert!(AllowedOrigins::default().refuses(&request(&[("origin", "https://app.example")])));
    }

    #[test]
    fn invalid_origin_is_config_error() {
        for text in [
            "",
            "*",
            "null",
            "app.example",
            "https://",
            "https://app.example/",
            "https://app.example/path",
            "https://app.example?x",
            "https://*.example",
            "https://user@app.example",
            "https://app.example:",
            "https://app.example:99999",
            "https://:443",
            "https://[::x]",
            "ftp://app.example",
            "https://caf\u{e9}.example",
            " https://app.example",
        ] {
            let error = AllowedOrigins::parse([text]).unwrap_err().to_string();
            assert!(error.starts_with("allowed_origins: "), "{error}");
        }
    }
}
