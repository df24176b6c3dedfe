//! Builder options that take a function.
//!
//! The functions run in requests, so they must not block the thread.

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
    /// Sets the function that returns the policy patch of a user. Default: none.
    ///
    /// It runs at each login, and its patch is stored with the session.
    /// [`refresh_policy`](crate::SessionHandle::refresh_policy) runs it again. The patch takes
    /// precedence over application, scope, handler and login. If the patch is invalid, the login
    /// fails with 503.
    ///
    /// ```
    /// use session_expire::{Limit, Policy, PolicyPatch, SessionExpire};
    ///
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

    /// Sets the function that returns the text about an ended session, by reason, cause and language
    /// (`Accept-Language`). Default: [`Notice::default_text`], an English sentence per reason.
    ///
    /// A policy's [`message`](crate::Policy::message) takes precedence. If the text is empty, no
    /// message is shown.
    ///
    /// ```
    /// use session_expire::{Policy, Reason, SessionExpire};
    ///
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .ended_texts(|notice| match notice.reason {
    ///         Reason::LoggedOut => "See you soon.".to_owned(),
    ///         Reason::Idle => "You were away for a while.".to_owned(),
    ///         _ => "Please sign in again.".to_owned(),
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn ended_texts<F>(mut self, texts: F) -> Self
    where
        F: Fn(&Notice<'_>) -> String + Send + Sync + 'static,
    {
        self.texts = Some(Arc::new(texts));
        self
    }

    /// Sets the function that returns the texts of the
    /// [warning dialog](crate::SessionVars::warning_dialog), by language. Default: English texts.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, page::DialogTexts};
    ///
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .dialog_texts(|_languages| {
    ///         let mut texts = DialogTexts::default();
    ///         texts.idle = "For your safety, the bank signs you out in {time}.".into();
    ///         texts
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

    /// Sets the function that returns `true` for passive requests. Default: requests with an
    /// `X-Session-Passive` header.
    ///
    /// The middleware calls it only if activity is due. Speculative loads are always passive.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    ///
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
        self.passive_predicate = Some(Arc::new(is_passive));
        self
    }

    /// Sets the function that returns `true` for requests of API clients. Default: none, so that
    /// only the request's headers decide.
    ///
    /// API clients receive a 401 with the reason instead of a redirect to the login page.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    ///
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .api_when(|req| req.path().starts_with("/api/"))
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn api_when<F>(mut self, is_api: F) -> Self
    where
        F: Fn(&HttpRequest) -> bool + Send + Sync + 'static,
    {
        self.api_predicate = Some(Arc::new(is_api));
        self
    }

    /// Sets a function that receives every [`Event`]. Default: none. Events also go to `tracing`.
    ///
    /// It runs on the thread of the request, which it must not block.
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
