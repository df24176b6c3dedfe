//! Session cookie and anonymous cookie.
//!
//! The session cookie contains only the random key of the session record, so it is not encrypted.
//! The anonymous cookie contains the encrypted state of an anonymous visitor with its issue time.

pub(crate) mod anonymous;
pub(crate) mod takeover_offer;

use std::fmt;

use actix_web::{
    cookie::{Cookie, CookieJar, Key, SameSite, time},
    http::header::{COOKIE, HeaderMap},
};

use self::anonymous::AnonymousState;
use crate::{
    error::ConfigError,
    session::key::RecordKey,
    time::{Timestamp, days},
};

/// Largest size of a cookie's name and value. Browsers ignore larger cookies.
pub(crate) const MAX_BYTES: usize = 4_096;

/// Longest lifetime that browsers grant a cookie: 400 days.
const MAX_AGE_DAYS: u64 = 400;

const HOST_PREFIX: &str = "__Host-";

/// Names and attributes of the cookies.
#[derive(Clone)]
pub(crate) struct CookieConfig {
    pub(crate) names: Option<(String, String)>,
    pub(crate) domain: Option<String>,
    pub(crate) path: String,
    pub(crate) same_site: SameSite,
    pub(crate) secure: bool,
    /// The first key encrypts. All keys decrypt.
    pub(crate) keys: Vec<Key>,
    /// How long an anonymous cookie is accepted after it was issued.
    pub(crate) anonymous_max_age: std::time::Duration,
    session: String,
    anonymous: String,
}

/// Cookies of a request.
#[derive(Debug, Default)]
pub(crate) struct RequestCookies {
    pub(crate) key: Option<RecordKey>,
    pub(crate) has_session_cookie: bool,
    pub(crate) has_anonymous_cookie: bool,
    /// `true` if the request has adopted an old session, whose cookie must be replaced.
    pub(crate) is_adopted: bool,
    pub(crate) anonymous: AnonymousState,
}

/// Error if the anonymous state is too large for a cookie, even without messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("anonymous session does not fit into a cookie of {MAX_BYTES} bytes")]
pub(crate) struct AnonymousTooLarge;

impl CookieConfig {
    pub(crate) fn new() -> Self {
        Self {
            names: None,
            domain: None,
            path: "/".to_owned(),
            same_site: SameSite::Lax,
            secure: true,
            keys: vec![],
            anonymous_max_age: days(30),
            session: String::new(),
            anonymous: String::new(),
        }
    }

    /// Sets default names and a random key, and validates the attributes.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Value`] if a name, the path or `SameSite` is invalid.
    pub(crate) fn build(mut self) -> Result<Self, ConfigError> {
        let is_host_only = self.secure && self.domain.is_none() && self.path == "/";
        let prefix = if is_host_only { HOST_PREFIX } else { "" };
        let (session, anonymous) = self
            .names
            .clone()
            .unwrap_or_else(|| (format!("{prefix}id"), format!("{prefix}anonymous")));
        for name in [&session, &anonymous] {
            check_name(name, is_host_only)?;
        }
        if session == anonymous {
            return Err(invalid_value("cookie_names", &session, "two different names"));
        }
        if !self.path.starts_with('/') || self.path.contains([';', ',']) {
            return Err(invalid_value("cookie_path", &self.path, "a path, such as \"/\""));
        }
        if self.same_site == SameSite::None && !self.secure {
            return Err(invalid_value("cookie_same_site", "None", "allowed over plain HTTP"));
        }
        if self.keys.is_empty() {
            self.keys.push(Key::generate());
        }
        (self.session, self.anonymous) = (session, anonymous);
        Ok(self)
    }

    /// Reads the cookies of a request. If there are several session cookies, uses the first
    /// well-formed key.
    pub(crate) fn read(&self, headers: &HeaderMap, now: impl Fn() -> Timestamp) -> RequestCookies {
        let mut cookies = RequestCookies::default();
        for header in headers.get_all(COOKIE) {
            // Cookies of other applications may have values in any encoding.
            for pair in header.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii) {
                if let Some(value) = value_of(pair, &self.session) {
                    cookies.has_session_cookie = true;
                    cookies.key = cookies.key.or_else(|| RecordKey::parse(value));
                } else if let Some(value) =
                    value_of(pair, &self.anonymous).filter(|_| !cookies.has_anonymous_cookie)
                {
                    cookies.has_anonymous_cookie = true;
                    cookies.anonymous = self.decrypt(value, now()).unwrap_or_default();
                }
            }
        }
        cookies
    }

    /// Decrypts the anonymous cookie. Returns `None` if it is forged or too old.
    fn decrypt(&self, value: &str, now: Timestamp) -> Option<AnonymousState> {
        let encrypted = || Cookie::new(self.anonymous.clone(), value.to_owned());
        let mut jar = CookieJar::new();
        let decrypted =
            self.keys.iter().find_map(|key| jar.private_mut(key).decrypt(encrypted()))?;
        let state: AnonymousState = serde_json::from_str(decrypted.value()).ok()?;
        let age = now.since(Timestamp::from_millis(state.issued_at));
        (age < self.anonymous_max_age).then_some(state)
    }

    /// Returns the cookie with `key`. Without `max_age`, the browser deletes it when it is closed.
    pub(crate) fn session_cookie(
        &self,
        key: &RecordKey,
        max_age: Option<std::time::Duration>,
    ) -> Cookie<'static> {
        let mut cookie = self.cookie(self.session.clone(), key.expose().to_owned());
        if let Some(max_age) = max_age {
            let seconds = max_age.min(days(MAX_AGE_DAYS)).as_secs();
            cookie.set_max_age(time::Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX)));
        }
        cookie
    }

    /// Returns the cookie with `state`, issued at `now`. If it is too large for a browser, discards
    /// messages, oldest first, and then the offer to continue a login.
    ///
    /// # Errors
    ///
    /// Returns [`AnonymousTooLarge`] if it is too large without them.
    pub(crate) fn anonymous_cookie(
        &self,
        mut state: AnonymousState,
        now: Timestamp,
    ) -> Result<Cookie<'static>, AnonymousTooLarge> {
        state.issued_at = now.as_millis();
        loop {
            let cookie = self.encrypt(&state).ok_or(AnonymousTooLarge)?;
            if is_storable(&cookie) {
                return Ok(cookie);
            }
            match state.messages.is_empty() {
                false => drop(state.messages.remove(0)),
                true if state.takeover.take().is_some() => warn_discarded_offer(),
                true => return Err(AnonymousTooLarge),
            }
        }
    }

    /// Returns `true` if the cookie with `state`, issued at `now`, is small enough for a browser.
    pub(crate) fn has_room_for(&self, mut state: AnonymousState, now: Timestamp) -> bool {
        state.issued_at = now.as_millis();
        self.encrypt(&state).is_some_and(|cookie| is_storable(&cookie))
    }

    fn encrypt(&self, state: &AnonymousState) -> Option<Cookie<'static>> {
        let json = serde_json::to_string(state).ok()?;
        let mut jar = CookieJar::new();
        jar.private_mut(self.keys.first()?).add(Cookie::new(self.anonymous.clone(), json));
        let encrypted = jar.get(&self.anonymous)?.value().to_owned();
        Some(self.cookie(self.anonymous.clone(), encrypted))
    }

    pub(crate) fn removed_session_cookie(&self) -> Cookie<'static> {
        removed(self.cookie(self.session.clone(), String::new()))
    }

    pub(crate) fn removed_anonymous_cookie(&self) -> Cookie<'static> {
        removed(self.cookie(self.anonymous.clone(), String::new()))
    }

    pub(crate) fn session_name(&self) -> &str {
        &self.session
    }

    pub(crate) fn anonymous_name(&self) -> &str {
        &self.anonymous
    }

    fn cookie(&self, name: String, value: String) -> Cookie<'static> {
        let mut cookie = Cookie::new(name, value);
        cookie.set_http_only(true);
        cookie.set_path(self.path.clone());
        cookie.set_same_site(self.same_site);
        if self.secure {
            cookie.set_secure(true);
        }
        if let Some(domain) = &self.domain {
            cookie.set_domain(domain.clone());
        }
        cookie
    }
}

/// Returns `true` if browsers store the cookie.
fn is_storable(cookie: &Cookie<'_>) -> bool {
    cookie.name().len() + cookie.value().len() <= MAX_BYTES
}

fn warn_discarded_offer() {
    tracing::warn!(
        event = "sys_offer_too_large",
        "offer to continue a login discarded: anonymous cookie too large"
    );
}

/// Returns the value of `pair` if its name is `name`. A value that is not UTF-8 is empty.
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a str> {
    let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
    Some(str::from_utf8(value).unwrap_or_default())
}

fn removed(mut cookie: Cookie<'static>) -> Cookie<'static> {
    cookie.make_removal();
    cookie
}

/// Checks a cookie name. A `__Host-` cookie must be secure and have the path `/` and no domain (RFC
/// 6265bis §4.1.3.2).
fn check_name(name: &str, is_host_only: bool) -> Result<(), ConfigError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(invalid_value("cookie_names", name, "a cookie name (RFC 6265 §4.1.1)"));
    }
    let has_prefix =
        name.get(..HOST_PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(HOST_PREFIX));
    if has_prefix && !is_host_only {
        let expected = "allowed with a domain, another path or plain HTTP";
        return Err(invalid_value("cookie_names", name, expected));
    }
    Ok(())
}

fn invalid_value(key: &'static str, value: &str, expected: &'static str) -> ConfigError {
    ConfigError::Value { key, value: format!("{value:?}"), expected }
}

impl fmt::Debug for CookieConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieConfig")
            .field("session", &self.session)
            .field("anonymous", &self.anonymous)
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;
    use crate::messages::flash::{FlashLevel, FlashMessage};

    const NOW: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn config() -> CookieConfig {
        CookieConfig::new().build().unwrap()
    }

    fn headers(cookies: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_bytes(cookies.as_bytes()).unwrap());
        headers
    }

    fn state(messages: usize, text: &str) -> AnonymousState {
        let message = FlashMessage::new(FlashLevel::Info, text).into();
        AnonymousState { messages: vec![message; messages], ..AnonymousState::default() }
    }

    fn reread(config: &CookieConfig, cookie: &Cookie<'_>, now: Timestamp) -> AnonymousState {
        config.read(&headers(&cookie.stripped().to_string()), || now).anonymous
    }

    #[test]
    fn session_cookie_contains_key() {
        let (config, key) = (config(), RecordKey::random("alice"));
        let cookie = config.session_cookie(&key, None);
        assert_eq!(
            cookie.to_string(),
            format!("__Host-id={}; HttpOnly; SameSite=Lax; Secure; Path=/", key.expose())
        );
        let other = RecordKey::random("bob");
        let sent =
            format!("a=b; __Host-id=x; __Host-id={}; __Host-id={}", key.expose(), other.expose());
        assert_eq!(config.read(&headers(&sent), || NOW).key, Some(key));
        let beside_other_encoding = format!("name=J\u{fc}rgen; __Host-id={}", key.expose());
        assert_eq!(config.read(&headers(&beside_other_encoding), || NOW).key, Some(key));
        let persistent = config.session_cookie(&key, Some(days(1_000)));
        assert!(persistent.to_string().contains("Max-Age=34560000"), "{persistent}");
    }

    #[test]
    fn old_or_forged_anonymous_cookie_is_ignored() {
        let (config, other) = (config(), config());
        let cookie = config.anonymous_cookie(state(1, "hello"), NOW).unwrap();
        assert_eq!(reread(&config, &cookie, NOW.plus(days(29))).messages.len(), 1);
        assert!(reread(&config, &cookie, NOW.plus(days(30))).is_empty());
        assert!(reread(&other, &cookie, NOW).is_empty());
        let mut rotated = other.clone();
        rotated.keys.extend(config.keys.clone());
        assert_eq!(reread(&rotated, &cookie, NOW).messages.len(), 1);
    }

    #[test]
    fn large_anonymous_cookie_discards_messages() {
        let config = config();
        let cookie = config.anonymous_cookie(state(6, &"x".repeat(700)), NOW).unwrap();
        assert!(cookie.name().len() + cookie.value().len() <= MAX_BYTES);
        assert_eq!(reread(&config, &cookie, NOW).messages.len(), 4);
        let mut large = AnonymousState::default();
        let mut changes = crate::session::data::DataChanges::default();
        changes.set("cart", serde_json::value::to_raw_value(&"x".repeat(4_000)).unwrap());
        large.data.apply(&changes).unwrap();
        assert_eq!(config.anonymous_cookie(large, NOW), Err(AnonymousTooLarge));
    }

    #[test]
    fn cookie_names_are_validated() {
        let plain = CookieConfig { secure: false, ..CookieConfig::new() }.build().unwrap();
        assert_eq!((plain.session.as_str(), plain.anonymous.as_str()), ("id", "anonymous"));
        let named = |session: &str, anonymous: &str| {
            let names = Some((session.to_owned(), anonymous.to_owned()));
            CookieConfig { names, ..CookieConfig::new() }
        };
        assert!(named("__Host-a", "__Host-b").build().is_ok());
        for config in [
            CookieConfig { domain: Some("a.example".to_owned()), ..named("__Host-a", "b") },
            CookieConfig { path: "/app".to_owned(), ..named("__Host-a", "b") },
            CookieConfig { secure: false, ..named("__host-a", "b") },
            CookieConfig { path: "app".to_owned(), ..CookieConfig::new() },
            CookieConfig { same_site: SameSite::None, secure: false, ..CookieConfig::new() },
            named("a", "a"),
            named("a b", "c"),
            named("", "c"),
        ] {
            assert!(config.clone().build().is_err(), "{config:?}");
        }
    }
}
