//! How the middleware is configured.

use std::{fmt, sync::Arc};

use actix_web::HttpRequest;

use super::{
    caller::Programs,
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
///
/// ```
/// use session_expire::{Limit, MemoryRegistry, Policy, SessionExpire, minutes};
/// let expire = SessionExpire::builder(Policy::new().idle(minutes(10)))
///     .registry(MemoryRegistry::new().log_limit(Limit::At(5)))
///     .endpoints_prefix("/account/session")
///     .logout_url("/account/sign-out")
///     .build()?;
/// # Ok::<(), session_expire::ConfigError>(())
/// ```
#[must_use]
pub struct Builder {
    policy: Policy,
    registry: Option<Arc<dyn Registry>>,
    clock: Arc<dyn Clock>,
    texts: Option<Texts>,
    dialogs: Option<Dialogs>,
    passive: Option<Passive>,
    programs: Option<Programs>,
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
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    /// let policy: Policy = toml::from_str(
    ///     r#"
    ///     idle = "10m"
    ///     max_sessions = 3
    ///     "#,
    /// )?;
    /// let expire = SessionExpire::builder(policy).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
            programs: None,
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
    ///
    /// ```
    /// use session_expire::{Limit, MemoryRegistry, Policy, SessionExpire};
    /// let registry = MemoryRegistry::new().log_limit(Limit::At(0));
    /// let expire = SessionExpire::builder(Policy::new()).registry(registry).build()?;
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    pub fn registry(mut self, registry: impl Registry) -> Self {
        self.registry = Some(Arc::new(registry));
        self
    }

    /// What tells the time: by default the [`SystemClock`]. For tests, a [`ManualClock`].
    ///
    /// [`ManualClock`]: crate::ManualClock
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use actix_identity::IdentityMiddleware;
    /// # use actix_session::{SessionMiddleware, storage::CookieSessionStore};
    /// # use actix_web::{App, cookie::Key, get, post, test::{self, TestRequest, call_service}};
    /// # use actix_identity::Identity;
    /// # use session_expire::{ManualClock, Policy, SessionExpire, SessionHandle, SignInError, minutes};
    /// # #[post("/login")]
    /// # async fn login(session: SessionHandle) -> Result<&'static str, SignInError> {
    /// #     session.sign_in("alice").await?;
    /// #     Ok("welcome")
    /// # }
    /// # #[get("/mail")]
    /// # async fn mail(_user: Identity) -> &'static str { "no mail" }
    /// let clock = ManualClock::default();
    /// let policy = Policy::new().idle(minutes(10));
    /// let expire = SessionExpire::builder(policy).clock(clock.clone()).build()?;
    /// # let app = test::init_service(
    /// #     App::new().service(login).service(mail)
    /// #         .wrap(expire.clone())
    /// #         .wrap(IdentityMiddleware::default())
    /// #         .wrap(SessionMiddleware::new(CookieSessionStore::default(), Key::generate())),
    /// # )
    /// # .await;
    /// // `app` is the application, wrapped with `expire`.
    /// let answer = call_service(&app, TestRequest::post().uri("/login").to_request()).await;
    /// let cookie = answer.response().cookies().next().ok_or("no cookie")?;
    /// let request = || TestRequest::get().uri("/mail").cookie(cookie.clone()).to_request();
    /// assert_eq!(call_service(&app, request()).await.status(), 200);
    /// clock.advance(minutes(10));
    /// assert_eq!(call_service(&app, request()).await.status(), 401);
    /// # Ok(()) }
    /// ```
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// A patch for each user, asked at login and kept with that login
    /// ([`refresh_policy`](crate::SessionHandle::refresh_policy) asks again). It goes before the policies of
    /// app, scope and handler, and before what was chosen at the login. By default there is none.
    ///
    /// A patch that contradicts itself signs nobody in: 503, and the log says what is wrong with it.
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
    ///
    /// ```
    /// use session_expire::{Policy, Reason, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .texts(|notice| match notice.reason {
    ///         Reason::LoggedOut => "See you soon.".to_owned(),
    ///         Reason::Idle => "You were away for a while.".to_owned(),
    ///         _ => "Please sign in again.".to_owned(),
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    pub fn texts<F>(mut self, texts: F) -> Self
    where
        F: Fn(&Notice<'_>) -> String + Send + Sync + 'static,
    {
        self.texts = Some(Arc::new(texts));
        self
    }

    /// What the [warning dialog](crate::SessionVars::warning_dialog) says, by the languages a person
    /// reads (`Accept-Language`). By default English.
    ///
    /// ```
    /// use session_expire::{DialogTexts, Policy, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .dialog_texts(|_languages| DialogTexts {
    ///         idle: "For your safety, the bank signs you out in {time}.".into(),
    ///         ..DialogTexts::default()
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    pub fn dialog_texts<F>(mut self, texts: F) -> Self
    where
        F: Fn(&Languages) -> DialogTexts + Send + Sync + 'static,
    {
        self.dialogs = Some(Arc::new(texts));
        self
    }

    /// Which requests are no activity of a person: by default those with an `X-Session-Passive`
    /// header. It is asked only when activity would be written.
    ///
    /// A rule of yours stands in place of the default:
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .passive_when(|req| {
    ///         req.path().starts_with("/poll/") || req.headers().contains_key("x-session-passive")
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    pub fn passive_when<F>(mut self, passive: F) -> Self
    where
        F: Fn(&HttpRequest) -> bool + Send + Sync + 'static,
    {
        self.passive = Some(Arc::new(passive));
        self
    }

    /// Which requests are those of programs, besides those that say so themselves: they are never sent to the
    /// login page, but answered 401 and the reason, even where a browser opens their address. By default no
    /// others.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .program_when(|req| req.path().starts_with("/api/"))
    ///     .build()?;
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    pub fn program_when<F>(mut self, is_program: F) -> Self
    where
        F: Fn(&HttpRequest) -> bool + Send + Sync + 'static,
    {
        self.programs = Some(Programs(Arc::new(is_program)));
        self
    }

    /// Who is told of logins, ends, refusals and failures, besides `tracing`.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use session_expire::{Event, Policy, Reason, SessionExpire};
    ///
    /// static EVICTED: AtomicU64 = AtomicU64::new(0);
    ///
    /// let expire = SessionExpire::builder(Policy::new().max_sessions(1))
    ///     .observer(|event| {
    ///         if let Event::Ended { reason: Reason::Evicted, .. } = event {
    ///             EVICTED.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    pub fn observer<F>(mut self, observer: F) -> Self
    where
        F: Fn(&Event<'_>) + Send + Sync + 'static,
    {
        self.observer = Some(Arc::new(observer) as Observer);
        self
    }

    /// The `id_key` that `IdentityMiddleware` was given, if it was given one.
    ///
    /// ```
    /// use actix_identity::IdentityMiddleware;
    /// use session_expire::{Policy, SessionExpire};
    /// let identity = IdentityMiddleware::builder().id_key("user").build();
    /// let expire = SessionExpire::builder(Policy::new()).identity_key("user").build()?;
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    pub fn identity_key(mut self, key: &'static str) -> Self {
        self.identity_key = key;
        self
    }

    /// Where [`SessionExpire::endpoints`] answer: by default under `/session`.
    ///
    /// ```
    /// use actix_web::App;
    /// use session_expire::{Policy, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new()).endpoints_prefix("/app/session").build()?;
    /// let app = App::new().service(expire.endpoints()); // not `endpoints()`, which has the default
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    pub fn endpoints_prefix(mut self, path: impl Into<Arc<str>>) -> Self {
        self.prefix = path.into();
        self
    }

    /// The path of the application's own sign-out: by default `/logout`. Whoever posts there with a
    /// session that has just ended is not told why: they were leaving anyway.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new()).logout_url("/account/sign-out").build()?;
    /// assert!(SessionExpire::builder(Policy::new()).logout_url("https://a.example/").build().is_err());
    /// # Ok::<(), session_expire::ConfigError>(())
    /// ```
    pub fn logout_url(mut self, path: impl Into<Arc<str>>) -> Self {
        self.logout_url = path.into();
        self
    }

    /// Whether an empty 401 to an anonymous visitor is turned into a redirect to the login page (or
    /// a problem report, for programs), as it is for an expired one: by default it is.
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use actix_identity::IdentityMiddleware;
    /// # use actix_session::{SessionMiddleware, storage::CookieSessionStore};
    /// # use actix_identity::Identity;
    /// # use actix_web::{App, cookie::Key, get, test::{self, TestRequest, call_service}};
    /// # use session_expire::{Policy, SessionExpire};
    /// #[get("/mail")]
    /// async fn mail(_user: Identity) -> &'static str { "no mail" }
    ///
    /// let expire = SessionExpire::builder(Policy::new()).challenge_anonymous(false).build()?;
    /// # let app = test::init_service(
    /// #     App::new().service(mail)
    /// #         .wrap(expire.clone())
    /// #         .wrap(IdentityMiddleware::default())
    /// #         .wrap(SessionMiddleware::new(CookieSessionStore::default(), Key::generate())),
    /// # )
    /// # .await;
    /// // `app` is the application, wrapped with `expire`.
    /// let page = TestRequest::get().uri("/mail").insert_header(("accept", "text/html")).to_request();
    /// assert_eq!(call_service(&app, page).await.status(), 401); // otherwise 303 to the login page
    /// # Ok(()) }
    /// ```
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
    ///
    /// ```
    /// use chrono::{DateTime, Utc};
    /// use session_expire::{Policy, SessionExpire};
    /// let end: DateTime<Utc> = "2026-01-05T00:00:00Z".parse()?;
    /// let expire = SessionExpire::builder(Policy::new()).adopt_until(end).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adopt_until(mut self, end: impl Into<Timestamp>) -> Self {
        self.adopt_until = Some(end.into());
        self
    }

    /// Checks everything and builds the middleware.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the option and the cure.
    ///
    /// ```
    /// use session_expire::{ConfigError, Policy, SessionExpire};
    /// let built = SessionExpire::builder(Policy::new().login_url("//evil.example")).build();
    /// assert!(matches!(built, Err(ConfigError::NotLocal { key: "login_url", .. })));
    /// ```
    pub fn build(self) -> Result<SessionExpire, ConfigError> {
        self.policy.validate()?;
        let own_memory = self.registry.is_none();
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
        registry.begin(self.clock.now());
        Ok(SessionExpire::new(Setup {
            policy: Arc::new(self.policy),
            clock: Arc::new(SteadyClock::new(self.clock, registry.shared())),
            registry,
            own_memory,
            texts: self.texts,
            dialogs: self.dialogs,
            passive: self.passive,
            programs: self.programs,
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
