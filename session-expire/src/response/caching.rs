//! Cache headers of responses.
//!
//! Shared caches store no response that depends on a session cookie, unless the handler has set
//! cache headers. They never store a response with a session cookie or a consumed message.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Caching rule of a response. The settle decision chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CachingRule {
    /// For anonymous visitors: adds `Vary: Cookie`.
    VaryCookie,
    /// For signed-in users: `private, no-cache` with a validator, otherwise `no-store`.
    PrivatePage,
    /// For responses with a session cookie, a reason or a consumed message: always `no-store`.
    NoStore,
}

impl CachingRule {
    /// Applies the rule to the headers of a response.
    pub(crate) fn apply(self, headers: &mut HeaderMap) {
        match self {
            Self::VaryCookie => vary_by_cookie(headers),
            Self::PrivatePage => make_private(headers),
            Self::NoStore => forbid_storing(headers),
        }
    }
}

/// Replaces all cache headers of the handler with `no-store`.
fn forbid_storing(headers: &mut HeaderMap) {
    headers.retain(|name, _| !is_cache_header(name));
    set_cache_control(headers, "no-store");
}

fn make_private(headers: &mut HeaderMap) {
    let known = CacheHeaders::find(headers);
    if !known.has_own_rule {
        let rule = if known.has_validator { "private, no-cache" } else { "no-store" };
        set_cache_control(headers, rule);
    }
}

fn vary_by_cookie(headers: &mut HeaderMap) {
    let known = CacheHeaders::find(headers);
    if !(known.has_own_rule || known.has_vary && varies_by_cookie(headers)) {
        headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    }
}

fn set_cache_control(headers: &mut HeaderMap, value: &'static str) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
}

/// Presence of cache headers in a response.
#[derive(Default)]
struct CacheHeaders {
    /// `true` if the handler has set cache headers.
    has_own_rule: bool,
    has_validator: bool,
    has_vary: bool,
}

impl CacheHeaders {
    /// Finds the headers in one pass. Responses have few headers, so this is faster than look-ups.
    fn find(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for name in headers.keys() {
            match *name {
                header::CACHE_CONTROL | header::EXPIRES | header::PRAGMA => {
                    present.has_own_rule = true;
                }
                header::ETAG | header::LAST_MODIFIED => present.has_validator = true,
                header::VARY => present.has_vary = true,
                _ => {}
            }
        }
        present
    }
}

fn varies_by_cookie(headers: &HeaderMap) -> bool {
    let is_cookie = |field: &[u8]| {
        let field = field.trim_ascii();
        field == b"*" || field.eq_ignore_ascii_case(b"cookie")
    };
    headers.get_all(header::VARY).any(|value| value.as_bytes().split(|b| *b == b',').any(is_cookie))
}

/// Returns `true` for headers that control caches. Targeted headers, such as `CDN-Cache-Control`,
/// override `Cache-Control` (RFC 9213 §2.2).
pub(super) fn is_cache_header(name: &HeaderName) -> bool {
    [header::CACHE_CONTROL, header::EXPIRES, header::PRAGMA].contains(name)
        || name.as_str().ends_with("-cache-control")
        || matches!(name.as_str(), "surrogate-control" | "x-accel-expires")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn text(headers: &HeaderMap) -> String {
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let mut lines: Vec<_> = headers.iter().map(line).collect();
        lines.sort();
        lines.join(" | ")
    }

    #[test]
    fn cache_headers_follow_rule_and_own_headers() {
        use CachingRule::{NoStore, PrivatePage, VaryCookie};
        const CACHED: (&str, &str) = ("cache-control", "public, max-age=600");
        const NO_STORE: &str = "cache-control: no-store";
        for (rule, before, after) in [
            (VaryCookie, vec![], "vary: Cookie"),
            (VaryCookie, vec![("etag", "\"1\"")], "etag: \"1\" | vary: Cookie"),
            (VaryCookie, vec![("vary", "Accept")], "vary: Accept | vary: Cookie"),
            (VaryCookie, vec![("vary", "Accept, cookie")], "vary: Accept, cookie"),
            (
                VaryCookie,
                vec![("vary", "accept"), ("vary", "COOKIE")],
                "vary: COOKIE | vary: accept",
            ),
            (VaryCookie, vec![("vary", "*")], "vary: *"),
            (VaryCookie, vec![("vary", "x-cookie")], "vary: Cookie | vary: x-cookie"),
            (VaryCookie, vec![CACHED], "cache-control: public, max-age=600"),
            (VaryCookie, vec![("expires", "0")], "expires: 0"),
            (VaryCookie, vec![("pragma", "no-cache")], "pragma: no-cache"),
            (PrivatePage, vec![], NO_STORE),
            (PrivatePage, vec![CACHED], "cache-control: public, max-age=600"),
            (PrivatePage, vec![("expires", "0")], "expires: 0"),
            (PrivatePage, vec![("pragma", "no-cache")], "pragma: no-cache"),
            (
                PrivatePage,
                vec![("etag", "\"1\"")],
                "cache-control: private, no-cache | etag: \"1\"",
            ),
            (
                PrivatePage,
                vec![("last-modified", "x")],
                "cache-control: private, no-cache | last-modified: x",
            ),
            (PrivatePage, vec![("etag", "\"1\""), ("expires", "0")], "etag: \"1\" | expires: 0"),
            (PrivatePage, vec![("vary", "accept")], "cache-control: no-store | vary: accept"),
            (NoStore, vec![], NO_STORE),
            (NoStore, vec![CACHED, ("expires", "0"), ("pragma", "public")], NO_STORE),
            (NoStore, vec![("cdn-cache-control", "max-age=600")], NO_STORE),
            (NoStore, vec![("surrogate-control", "max-age=600")], NO_STORE),
            (NoStore, vec![("etag", "\"1\"")], "cache-control: no-store | etag: \"1\""),
        ] {
            let mut headers = map(&before);
            rule.apply(&mut headers);
            assert_eq!(text(&headers), after, "{rule:?} {before:?}");
        }
    }

    #[test]
    fn rule_applied_twice_changes_nothing() {
        for rule in [CachingRule::VaryCookie, CachingRule::PrivatePage, CachingRule::NoStore] {
            let mut headers = map(&[("etag", "\"1\"")]);
            rule.apply(&mut headers);
            let once = text(&headers);
            rule.apply(&mut headers);
            assert_eq!(text(&headers), once, "{rule:?}");
        }
    }
}
