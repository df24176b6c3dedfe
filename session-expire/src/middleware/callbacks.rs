//! Options of the builder that an application gives as a function.

use std::sync::Arc;

use actix_web::HttpRequest;

use super::builder::SessionExpireBuilder;
use crate::{
    dialog::texts::DialogTexts,
    event::{Event, Observer},
    messages::notice::{Languages, Notice},
    policy::PolicyPatch,
};

impl SessionExpireBuilder {
    /// Sets a policy patch per user, evaluated at login and stored with the session
    /// ([`refresh_policy`](crate::SessionHandle::refresh_policy) evaluates it again). It has the last
    /// word over application, scope, handler and login. Default: none.
    ///
    /// If the returned patch is invalid, the login fails with 503.
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
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn user_policy<F, P>(mut self, user_policy: F) -> Self
    where
        F: Fn(String) -> P + Send + Sync + 'static,
        P: Future<Output = PolicyPatch> + 'static,
    {
        self.user_policy = Some(Arc::new(move |user| Box::pin(user_policy(user))));
        self
    }

    /// Sets the text that a user reads whose session has ended, by reason and language
    /// (`Accept-Language`). A policy's [`message`](crate::Policy::message) goes before. Default: an
    /// English sentence per reason. An empty text shows nothing.
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
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn texts<F>(mut self, texts: F) -> Self
    where
        F: Fn(&Notice<'_>) -> String + Send + Sync + 'static,
    {
        self.texts = Some(Arc::new(texts));
        self
    }

    /// Sets the texts of the [warning dialog](crate::SessionVars::warning_dialog), by language.
    /// Default: English.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, page::DialogTexts};
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .dialog_texts(|_languages| DialogTexts {
    ///         idle: "For your safety, the bank signs you out in {time}.".into(),
    ///         ..DialogTexts::default()
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn dialog_texts<F>(mut self, texts: F) -> Self
    where
        F: Fn(&Languages) -> DialogTexts + Send + Sync + 'static,
    {
        self.dialog_texts = Some(Arc::new(texts));
        self
    }

    /// Sets which requests are no activity of the user, besides speculative loads. Default: those
    /// with an `X-Session-Passive` header. Called only when activity would be written.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .passive_when(|req| {
    ///         req.path().starts_with("/poll/") || req.headers().contains_key("x-session-passive")
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn passive_when<F>(mut self, is_passive: F) -> Self
    where
        F: Fn(&HttpRequest) -> bool + Send + Sync + 'static,
    {
        self.passive = Some(Arc::new(is_passive));
        self
    }

    /// Sets which requests are those of API clients, besides those whose headers say so. They get a
    /// 401 with the reason instead of a redirect to the login page. Default: none.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .api_when(|req| req.path().starts_with("/api/"))
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn api_when<F>(mut self, is_api: F) -> Self
    where
        F: Fn(&HttpRequest) -> bool + Send + Sync + 'static,
    {
        self.api = Some(Arc::new(is_api));
        self
    }

    /// Sets the observer of logins, ends, refusals and failures, besides `tracing`. Default: none.
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
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn observer<F>(mut self, observer: F) -> Self
    where
        F: Fn(&Event<'_>) + Send + Sync + 'static,
    {
        self.observer = Some(Arc::new(observer) as Observer);
        self
    }
}
