//! Builder options that take a function.
//!
//! The functions run in requests, so they must not block the thread.

use std::{error::Error, sync::Arc};

use actix_web::HttpRequest;

use super::SessionExpireBuilder;
use crate::policy::PolicyPatch;

impl SessionExpireBuilder {
    /// Sets the function that returns the policy patch of a user. Default: none.
    ///
    /// It runs at each login, and its patch is stored with the session.
    /// [`refresh_policy`](crate::SessionHandle::refresh_policy) runs it again. The patch takes
    /// precedence over application, scope, handler and login.
    ///
    /// If the patch is invalid, the login fails with 500, and an error is logged. The login also
    /// fails if the patch and the login policy together do not meet a
    /// [declared standard](Self::complies_with). Each breach is then an
    /// [event](crate::Event::PolicyBreach).
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

    /// Sets the function that returns the current credential of a user, such as the stored password
    /// hash. Default: none.
    ///
    /// Each login stores the security stamp of the credential, unless the login passes its own
    /// [`stamp`](crate::sign_in::SignInOptions::stamp). Each request with an open session compares
    /// the stored stamp with the current credential. If they differ, the session ends as revoked
    /// with the cause `credential_changed`. A changed password therefore signs the user out
    /// everywhere, except in the session that calls [`set_stamp`](crate::SessionHandle::set_stamp).
    ///
    /// - `Ok(None)` means that the user is unknown or disabled, and ends the session. For a user
    ///   without a password, return a constant.
    /// - `Err` does not end the session. The request is anonymous, and a 401 becomes a 503, as in
    ///   an outage of the registry.
    /// - A session without a stamp ends. The first release with this option signs all users out.
    ///
    /// # Cost
    ///
    /// The function runs once for each request with an open session, before the handler. If it
    /// queries a database, cache the credential for a few seconds. Sessions then end that much
    /// later. To check only some handlers, use
    /// [`require_stamp`](crate::SessionHandle::require_stamp) instead.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    ///
    /// /// Returns the password hash of an active user.
    /// async fn password_hash(user: &str) -> Result<Option<String>, std::io::Error> {
    ///     Ok((user == "alice").then(|| "$argon2id$v=19$…".to_owned()))
    /// }
    ///
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .stamp(|user| async move { Ok(password_hash(&user).await?) })
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn stamp<F, C>(mut self, credential: F) -> Self
    where
        F: Fn(String) -> C + Send + Sync + 'static,
        C: Future<Output = Result<Option<String>, Box<dyn Error + Send + Sync>>> + 'static,
    {
        self.credential = Some(Arc::new(move |user| Box::pin(credential(user))));
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
}
