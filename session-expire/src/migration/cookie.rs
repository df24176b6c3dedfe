//! Cookie of `SessionMiddleware`.
//!
//! Only an authentic cookie is decoded.

use std::str;

use actix_web::{
    cookie::{Cookie, CookieJar, Key},
    http::header::{COOKIE, HeaderMap},
};

/// Length of the shortest value that can be decoded: 12 bytes of nonce and 16 bytes of
/// authentication tag in Base64. A signature has 44 characters. Session keys of this crate are
/// shorter.
const MIN_VALUE_LEN: usize = 40;

/// Largest number of cookies that the server tries to decode per request.
const MAX_ATTEMPTS: usize = 8;

/// Length of the nonce of an encrypted cookie: 12 bytes in Base64.
const NONCE_LEN: usize = 16;

/// Name, key and attributes of the old cookie.
pub(super) struct OldCookie {
    name: String,
    /// Encoded name and `=`, as `SessionMiddleware` sends them.
    prefix: String,
    key: Key,
    pub(super) path: String,
    pub(super) domain: Option<String>,
}

/// Content of an authentic cookie.
#[derive(PartialEq, Eq)]
pub(super) struct DecodedCookie {
    /// Session key of actix-session. With `CookieSessionStore`, it is the state of the session.
    pub(super) text: String,
    /// Nonce, which distinguishes encrypted cookies with the same text. `None` for a signed cookie.
    pub(super) nonce: Option<String>,
}

impl OldCookie {
    pub(super) fn new(name: &str, key: Key) -> Self {
        let name = name.to_owned();
        let prefix = Cookie::new(name.as_str(), "").encoded().to_string();
        Self { name, prefix, key, path: "/".to_owned(), domain: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns `true` if a request has a cookie with the name and a sufficient length.
    pub(super) fn is_present(&self, headers: &HeaderMap) -> bool {
        self.pairs(headers).next().is_some()
    }

    /// Decodes the first authentic cookie with the name.
    pub(super) fn decode(&self, headers: &HeaderMap) -> Option<DecodedCookie> {
        let pairs = self.pairs(headers).take(MAX_ATTEMPTS);
        pairs.filter_map(|pair| Cookie::parse_encoded(pair.to_owned()).ok()).find_map(|cookie| {
            let nonce = cookie.value().get(..NONCE_LEN).map(str::to_owned);
            self.decrypt(&cookie, nonce).or_else(|| self.verify(cookie))
        })
    }

    /// Returns the cookie that deletes the old one.
    pub(super) fn removal(&self) -> Cookie<'static> {
        let mut cookie = Cookie::new(self.name.clone(), "");
        cookie.set_path(self.path.clone());
        cookie.set_http_only(true);
        if let Some(domain) = &self.domain {
            cookie.set_domain(domain.clone());
        }
        // RFC 6265bis §4.1.3: browsers ignore these names without `Secure`. Over plain HTTP they
        // ignore every cookie with `Secure`.
        if has_prefix(&self.name, "__Secure-") || has_prefix(&self.name, "__Host-") {
            cookie.set_secure(true);
        }
        cookie.make_removal();
        cookie
    }

    fn decrypt(&self, cookie: &Cookie<'static>, nonce: Option<String>) -> Option<DecodedCookie> {
        let decoded = CookieJar::new().private(&self.key).decrypt(cookie.clone())?;
        Some(DecodedCookie { text: decoded.value().to_owned(), nonce })
    }

    fn verify(&self, cookie: Cookie<'static>) -> Option<DecodedCookie> {
        let decoded = CookieJar::new().signed(&self.key).verify(cookie)?;
        Some(DecodedCookie { text: decoded.value().to_owned(), nonce: None })
    }

    /// Returns the cookies with the name. It does not parse other cookies, which may have invalid
    /// bytes.
    fn pairs<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let pairs =
            headers.get_all(COOKIE).flat_map(|header| header.as_bytes().split(is_separator));
        pairs.filter_map(|pair| {
            let pair = pair.trim_ascii();
            let value = pair.strip_prefix(self.prefix.as_bytes())?;
            str::from_utf8(pair).ok().filter(|_| value.len() >= MIN_VALUE_LEN)
        })
    }
}

fn is_separator(byte: &u8) -> bool {
    *byte == b';'
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(cookies: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_bytes(cookies).unwrap());
        headers
    }

    fn encrypted(name: &str, key: &Key, text: &str) -> String {
        let mut jar = CookieJar::new();
        jar.private_mut(key).add(Cookie::new(name.to_owned(), text.to_owned()));
        jar.get(name).unwrap().encoded().to_string()
    }

    #[test]
    fn cookie_is_present_by_name_and_length() {
        let cookie = OldCookie::new("id", Key::generate());
        let long = "x".repeat(MIN_VALUE_LEN);
        for (header, expected) in [
            (format!("id={long}"), true),
            (format!("a=b;id={long};c=d"), true),
            (format!("id=4n0thErNameD; id={long}"), true),
            (format!("id={}", &long[1..]), false),
            (format!("xid={long}; ID={long}; id2={long}"), false),
            ("id=".to_owned(), false),
            ("id".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(cookie.is_present(&headers(header.as_bytes())), expected, "{header}");
        }
        assert!(!cookie.is_present(&HeaderMap::new()));
    }

    #[test]
    fn first_authentic_cookie_is_decoded() {
        let key = Key::generate();
        let cookie = OldCookie::new("i|d", key.clone());
        let [first, second] = ["first", "second"].map(|text| encrypted("i|d", &key, text));
        let (forged, renamed) =
            (encrypted("i|d", &Key::generate(), "x"), encrypted("other", &key, "x"));
        let renamed = renamed.replacen("other=", &cookie.prefix, 1);
        let mut header = format!("{forged}; {renamed}; {first}; {second}; other=").into_bytes();
        header.push(0xFF);
        assert_eq!(cookie.decode(&headers(&header)).unwrap().text, "first");
        for header in [forged.clone(), renamed, format!("{}; {first}", [&*forged; 8].join("; "))] {
            assert!(cookie.decode(&headers(header.as_bytes())).is_none(), "{header}");
        }
    }

    #[test]
    fn removal_has_attributes_of_cookie() {
        for (name, path, domain, start) in [
            ("id", "/", None, "id=; HttpOnly; Path=/; Max-Age=0; Expires="),
            (
                "id",
                "/app",
                Some("a.example"),
                "id=; HttpOnly; Path=/app; Domain=a.example; Max-Age=0;",
            ),
            ("__secure-id", "/", None, "__secure-id=; HttpOnly; Secure; Path=/; Max-Age=0;"),
        ] {
            let mut cookie = OldCookie::new(name, Key::generate());
            (cookie.path, cookie.domain) = (path.to_owned(), domain.map(str::to_owned));
            let text = cookie.removal().to_string();
            assert!(text.starts_with(start), "{text}");
        }
    }
}
