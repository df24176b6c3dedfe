//! How the middleware is configured.

use std::{fmt, sync::Arc};

use actix_web::HttpRequest;

use super::{
    client::Proxy,
    dialog::DialogTexts,
    ledger::IDENTITY,
    middleware::SessionExpire,
    setup::{Dialogs, Passive, Setup, Texts, UserPolicy},
};
#[cfg(feature = "metrics")]
use crate::registry::measured::Measured;
use crate::{
    clock::{Clock, SteadyClock, SystemClock},
    error::ConfigError,
    event::{Event, Observer},
    limit::Limit,
    path::local_path,
    policy::{Policy, PolicyPatch},
    registry::{Registry, memory::MemoryRegistry},
    text::{Languages, Notice},
    time::Timestamp,
};

/// Configures a [`SessionExpire`].
#[must_use]
pub struct Builder {
    policy: Policy,
    registry: Option<Arc<dyn Registry>>,
    clock: Arc<dyn Clock>,
    texts: Option<Texts>,
    dialogs: Option<Dialogs>,
    passive: Option<Passive>,
    observer: Option<Observer>,
    identity_key: &'static str,
    prefix: Arc<str>,
    logout_url: Arc<str>,
    challenge_anonymous: bool,
    adopt_until: Option<Timestamp>,
    user_policy: Option<UserPolicy>,
    proxies: Vec<Proxy>,
}

impl SessionExpire {
    /// Starts to configure the middleware; `policy` holds wherever no
    /// [`PolicyPatch`](crate::PolicyPatch) says otherwise.
    pub fn builder(policy: Policy) -> Builder {
        Builder::new(policy)
    }
}

impl Builder {
    fn new(policy: Policy) -> Self {
        Self {
            policy,
            registry: None,
            clock: Arc::new(SystemClock::default()),
            texts: None,
            dialogs: None,
            passive: None,
            observer: None,
            identity_key: IDENTITY,
            prefix: Arc::from("/session"),
            logout_url: Arc::from("/logout"),
            challenge_anonymous: true,
            adopt_until: None,
            user_policy: None,
            proxies: vec![],
        }
    }

    /// Where logins are recorded: by default a [`MemoryRegistry`], for one process.
    pub fn registry(mut self, registry: impl Registry) -> Self {
        self.registry = Some(Arc::new(registry));
        self
    }

    /// What tells the time: by default the [`SystemClock`]. For tests, a [`ManualClock`].
    ///
    /// [`ManualClock`]: crate::ManualClock
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// What each user has of their own, asked at every login and kept with it; it has the last word over
    /// all policies. By default nothing.
    ///
    /// ```
    /// use session_expire::{Limit, Policy, PolicyPatch, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new().max_sessions(3))
    ///     .user_policy(|user| async move {
    ///         match user.as_str() {
    ///             "root" => PolicyPatch::new().max_sessions(Limit::Off),
    ///             _ => PolicyPatch::new(),
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    pub fn user_policy<F, P>(mut self, user_policy: F) -> Self
    where
        F: Fn(String) -> P + Send + Sync + 'static,
        P: Future<Output = PolicyPatch> + 'static,
    {
        self.user_policy = Some(Arc::new(move |user| Box::pin(user_policy(user))));
        self
    }

    /// The peers whose `X-Forwarded-For` is believed, for the address in the login log: by default none.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    /// let proxies = ["10.0.0.0/8".parse()?, "2001:db8::1".parse()?];
    /// let expire = SessionExpire::builder(Policy::new()).trusted_proxies(proxies).build()?;
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = Proxy>) -> Self {
        self.proxies = proxies.into_iter().collect();
        self
    }

    /// What a person is told whose session has ended, by the reason and the languages they read
    /// (`Accept-Language`). By default an English sentence for each reason. A policy's
    /// [`message`](Policy::message) goes before.
    pub fn texts<F>(mut self, texts: F) -> Self
    where
        F: Fn(&Notice<'_>) -> String + Send + Sync + 'static,
    {
        self.texts = Some(Arc::new(texts));
        self
    }

    /// What the [warning dialog](crate::SessionVars::warning_dialog) says, by the languages a person
    /// reads (`Accept-Language`). By default English.
    pub fn dialog_texts<F>(mut self, texts: F) -> Self
    where
        F: Fn(&Languages) -> DialogTexts + Send + Sync + 'static,
    {
        self.dialogs = Some(Arc::new(texts));
        self
    }

    /// Which requests are no activity of a person: by default those with an `X-Session-Passive`
    /// header. It is asked only when activity would be written.
    pub fn passive_when<F>(mut self, passive: F) -> Self
    where
        F: Fn(&HttpRequest) -> bool + Send + Sync + 'static,
    {
        self.passive = Some(Arc::new(passive));
        self
    }

    /// Who is told of logins, ends, refusals and failures, besides `tracing`.
    pub fn observer<F>(mut self, observer: F) -> Self
    where
        F: Fn(&Event<'_>) + Send + Sync + 'static,
    {
        self.observer = Some(Arc::new(observer) as Observer);
        self
    }

    /// The `id_key` that `IdentityMiddleware` was given, if it was given one.
    pub fn identity_key(mut self, key: &'static str) -> Self {
        self.identity_key = key;
        self
    }

    /// Where [`SessionExpire::endpoints`] answer: by default under `/session`.
    pub fn endpoints_prefix(mut self, path: impl Into<Arc<str>>) -> Self {
        self.prefix = path.into();
        self
    }

    /// The path of the application's own sign-out: by default `/logout`. Whoever posts there with a
    /// session that has just ended is not told why: they were leaving anyway.
    pub fn logout_url(mut self, path: impl Into<Arc<str>>) -> Self {
        self.logout_url = path.into();
        self
    }

    /// Whether an empty 401 to an anonymous visitor is turned into a redirect to the login page (or
    /// a problem report, for programs), as it is for an expired one: by default it is.
    pub fn challenge_anonymous(mut self, challenge: bool) -> Self {
        self.challenge_anonymous = challenge;
        self
    }

    /// Until when a signed-in session from before this middleware was installed counts as a login that
    /// happens now: by default such sessions have to sign in again.
    ///
    /// Set it when you add this crate to a running application, a few days ahead. It must end some day:
    /// an old cookie that a thief has copied can be adopted again and again until then, because nothing
    /// in it can be ended.
    pub fn adopt_until(mut self, end: impl Into<Timestamp>) -> Self {
        self.adopt_until = Some(end.into());
        self
    }

    /// Checks everything and builds the middleware.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the option and the cure.
    pub fn build(self) -> Result<SessionExpire, ConfigError> {
        self.policy.validate()?;
        let registry = self.registry.unwrap_or_else(|| Arc::new(MemoryRegistry::new()));
        if self.policy.max_sessions != Limit::Off && !registry.counts() {
            return Err(ConfigError::CannotCount);
        }
        for (key, path) in [("endpoints_prefix", &self.prefix), ("logout_url", &self.logout_url)] {
            if local_path(path).is_none() || path.ends_with('/') {
                return Err(ConfigError::NotLocal { key, value: path.to_string() });
            }
        }
        #[cfg(feature = "metrics")]
        let registry: Arc<dyn Registry> = Arc::new(Measured(registry));
        Ok(SessionExpire::new(Setup {
            policy: Arc::new(self.policy),
            registry,
            clock: SteadyClock::new(self.clock),
            texts: self.texts,
            dialogs: self.dialogs,
            passive: self.passive,
            observer: self.observer,
            identity_key: self.identity_key,
            prefix: self.prefix,
            logout_url: self.logout_url,
            challenge_anonymous: self.challenge_anonymous,
            adopt_until: self.adopt_until,
            user_policy: self.user_policy,
            proxies: self.proxies,
        }))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("policy", &self.policy).finish_non_exhaustive()
    }
}
