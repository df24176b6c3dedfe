//! Builder of the middleware.
//!
//! More options are in `callbacks`, `cookie_options`, `live`, `login_pages`, `observers`,
//! `privacy`, `sign_out`, `standards` and `texts`. `build` validates all options.

mod build;
mod callbacks;
mod cookie_options;
mod live;
mod login_pages;
mod observers;
mod privacy;
mod sign_out;
mod standards;
mod texts;

use std::{collections::HashMap, fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use super::SessionExpire;
#[cfg(feature = "translations")]
use crate::translation::Translation;
use crate::{
    compliance::{Deviation, Standard},
    config::{
        CredentialFn, DialogTextsFn, EndedTextFn, RequestPredicate, UserLanguageFn, UserPolicyFn,
    },
    context::session_data::IDENTITY_KEY,
    cookies::CookieConfig,
    event::{
        Observer,
        queue::{AsyncObserver, DEFAULT_CAPACITY},
    },
    migration::Migration,
    policy::{Policy, limit::Limit},
    registry::Registry,
    request::{client_ip::TrustedProxy, login_pages::LoginPages, privacy::Privacy},
    response::sign_out::SignOutConfig,
    time::{clock::Clock, minutes},
};

/// Builder for [`SessionExpire`].
///
/// ```
/// use session_expire::{Limit, MemoryRegistry, Policy, SessionExpire, minutes};
///
/// let expire = SessionExpire::builder(Policy::new().idle(minutes(10)))
///     .registry(MemoryRegistry::new().history_limit(Limit::At(5)))
///     .endpoints_prefix("/account/session")
///     .logout_url("/account/sign-out")
///     .plain_http(true) // for development on localhost
///     .build()?;
/// # Ok::<(), session_expire::error::ConfigError>(())
/// ```
#[must_use]
pub struct SessionExpireBuilder {
    policy: Policy,
    registry: Option<Arc<dyn Registry>>,
    clock: Option<Arc<dyn Clock>>,
    identity_key: &'static str,
    prefix: Arc<str>,
    logout_url: Arc<str>,
    challenge_anonymous: bool,
    proxies: Vec<TrustedProxy>,
    privacy: Privacy,
    allowed_origins: Vec<String>,
    cookies: CookieConfig,
    login_keeps: Option<Vec<Box<str>>>,
    migration: Option<Migration>,
    texts: Option<EndedTextFn>,
    cause_texts: HashMap<Box<str>, Box<str>>,
    dialog_texts: Option<DialogTextsFn>,
    user_language: Option<UserLanguageFn>,
    #[cfg(feature = "translations")]
    translations: Vec<Translation>,
    passive_predicate: Option<RequestPredicate>,
    api_predicate: Option<RequestPredicate>,
    observer: Option<Observer>,
    async_observer: Option<AsyncObserver>,
    event_queue_capacity: NonZeroUsize,
    user_policy: Option<UserPolicyFn>,
    credential: Option<CredentialFn>,
    sign_out: SignOutConfig,
    login_pages: LoginPages,
    standards: Vec<Standard>,
    deviations: Vec<Deviation>,
    live_pages: bool,
    live_check: Limit<Duration>,
}

impl SessionExpire {
    /// Returns a builder with the application's policy. A [`PolicyPatch`](crate::PolicyPatch) can
    /// change it for scopes, handlers and users.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    ///
    /// let policy: Policy = toml::from_str(
    ///     r#"
    ///     idle = "10m"
    ///     max_sessions = 3
    ///     "#,
    /// )?;
    /// let expire = SessionExpire::builder(policy).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(policy: Policy) -> SessionExpireBuilder {
        SessionExpireBuilder {
            policy,
            registry: None,
            clock: None,
            identity_key: IDENTITY_KEY,
            prefix: Arc::from("/session"),
            logout_url: Arc::from("/logout"),
            challenge_anonymous: true,
            proxies: vec![],
            privacy: Privacy::default(),
            allowed_origins: vec![],
            cookies: CookieConfig::new(),
            login_keeps: None,
            migration: None,
            texts: None,
            cause_texts: HashMap::new(),
            dialog_texts: None,
            user_language: None,
            #[cfg(feature = "translations")]
            translations: vec![],
            passive_predicate: None,
            api_predicate: None,
            observer: None,
            async_observer: None,
            event_queue_capacity: DEFAULT_CAPACITY,
            user_policy: None,
            credential: None,
            sign_out: SignOutConfig::default(),
            login_pages: LoginPages::default(),
            standards: vec![],
            deviations: vec![],
            live_pages: false,
            live_check: Limit::At(minutes(1)),
        }
    }
}

impl SessionExpireBuilder {
    /// Sets the registry that stores the sessions. Default: a
    /// [`MemoryRegistry`](crate::MemoryRegistry), which serves one process.
    pub fn registry(mut self, registry: impl Registry) -> Self {
        self.registry = Some(Arc::new(registry));
        self
    }

    /// Sets the clock. Default: the clock of the registry's server if it has one, otherwise the
    /// [`SystemClock`](crate::clock::SystemClock). Tests use a
    /// [`ManualClock`](crate::clock::ManualClock).
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Sets the proxies whose `X-Forwarded-For` is trusted. Default: none.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    ///
    /// let proxies = ["10.0.0.0/8".parse()?, "2001:db8::1".parse()?];
    /// let expire = SessionExpire::builder(Policy::new()).trusted_proxies(proxies).build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = TrustedProxy>) -> Self {
        self.proxies = proxies.into_iter().collect();
        self
    }

    /// Sets the foreign origins whose pages may use the endpoints, such as `https://app.example`.
    /// Default: none. Pages of the application's own origin may always use them.
    pub fn allowed_origins<O: Into<String>>(
        mut self,
        origins: impl IntoIterator<Item = O>,
    ) -> Self {
        self.allowed_origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the name of the session entry that contains the user id. Default:
    /// `actix_identity.user_id`, which `Identity::login` writes.
    ///
    /// Set it if the application calls `session.insert("user_id", …)` instead of `Identity::login`.
    pub fn identity_key(mut self, key: &'static str) -> Self {
        self.identity_key = key;
        self
    }

    /// Sets the path under which the [endpoints](SessionExpire::endpoints) are mounted. Default:
    /// `/session`.
    pub fn endpoints_prefix(mut self, path: impl Into<Arc<str>>) -> Self {
        self.prefix = path.into();
        self
    }

    /// Sets the path of the application's own sign-out. Default: `/logout`.
    ///
    /// A user who posts to this path with an expired session is not notified of the expiry. If the
    /// registry is unavailable, the response is 503 instead of a success.
    pub fn logout_url(mut self, path: impl Into<Arc<str>>) -> Self {
        self.logout_url = path.into();
        self
    }

    /// Sets whether an empty 401 for an anonymous visitor becomes a challenge. Default: `true`.
    pub fn challenge_anonymous(mut self, challenge: bool) -> Self {
        self.challenge_anonymous = challenge;
        self
    }

    /// Sets which entries of an anonymous visitor move into the new session at a login. Default:
    /// all.
    ///
    /// # Security
    ///
    /// A CSRF token that was issued before the login must not move. Leave it out of `names`.
    pub fn login_keeps<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.login_keeps = Some(names.into_iter().map(|name| name.as_ref().into()).collect());
        self
    }
}

impl fmt::Debug for SessionExpireBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionExpireBuilder").field("policy", &self.policy).finish_non_exhaustive()
    }
}
