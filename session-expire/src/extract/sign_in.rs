//! Signing in from a handler.

use actix_identity::Identity;
use actix_web::{HttpMessage, HttpResponse, ResponseError};

use super::session_handle::SessionHandle;
use crate::{
    context::pending_login::Reserved,
    error::RegistryError,
    policy::PolicyPatch,
    response::problem::{configuration_error, too_many_sessions, unavailable},
    session::{key::PublicId, record::SessionRecord},
};

/// Error of [`SessionHandle::sign_in`].
///
/// ```
/// use actix_web::{HttpResponse, Result};
/// use session_expire::{SessionHandle, SignInError};
///
/// async fn login(session: SessionHandle) -> Result<HttpResponse> {
///     match session.sign_in("alice").await {
///         Ok(_) => Ok(HttpResponse::SeeOther().insert_header(("location", "/")).finish()),
///         Err(SignInError::Refused(active)) => {
///             let devices: Vec<_> = active.iter().map(|record| &*record.client.device).collect();
///             Ok(HttpResponse::Conflict().body(format!("in use on {}", devices.join(", "))))
///         }
///         Err(error) => Err(error.into()), // 503 if the registry is unavailable
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// The session limit is reached: by these sessions, oldest login first.
    #[error("session limit reached: {} active sessions", .0.len())]
    Refused(Vec<SessionRecord>),
    /// The registry is unavailable.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The session could not be written.
    #[error("session could not be written")]
    Session(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The user signed out earlier in this request.
    #[error(
        "cannot sign in after signing out in the same request; `sign_in` already replaces the current session"
    )]
    AfterSignOut,
    /// The response is on its way, and its cookies are set.
    #[error("cannot sign in after the response was sent")]
    ResponseSent,
}

impl ResponseError for SignInError {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Refused(active) => too_many_sessions(active),
            Self::Registry(_) => unavailable(),
            Self::Session(_) | Self::AfterSignOut | Self::ResponseSent => configuration_error(),
        }
    }
}

impl SessionHandle {
    /// Signs `user` in, after the application has checked the credentials.
    ///
    /// It reserves a slot of the session limit now, and the login takes effect with the response: if
    /// the handler or a middleware fails, or the client goes away before, no user is signed in and
    /// no other session has ended. Entries of the anonymous visitor move into the new session
    /// (see [`login_keeps`](crate::SessionExpireBuilder::login_keeps)); entries of another user do not.
    ///
    /// # Errors
    ///
    /// - [`SignInError::Refused`] if the session limit is reached and `overflow` is `refuse`.
    /// - [`SignInError::Registry`] if the registry is unavailable.
    /// - [`SignInError::AfterSignOut`] if the user signed out in the same request.
    /// - [`SignInError::Session`] if the user could not be written into `Session`.
    /// - [`SignInError::ResponseSent`] if the response is on its way.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the reservation is released.
    ///
    /// # Security
    ///
    /// CSRF tokens among the entries that move must be renewed.
    pub async fn sign_in(&self, user: impl Into<String>) -> Result<PublicId, SignInError> {
        self.sign_in_with(user, PolicyPatch::new()).await
    }

    /// Signs `user` in with a policy of this login, such as longer limits for "keep me signed in".
    ///
    /// A login policy that is stricter than the application's holds on every page. A laxer one
    /// replaces the application's limits: a page that allows one minute still allows one minute. The
    /// [user policy](crate::SessionExpireBuilder::user_policy) has the last word. The cookie outlives the browser
    /// for as long as `absolute` of the login policy says.
    ///
    /// # Errors
    ///
    /// As [`sign_in`](Self::sign_in).
    ///
    /// ```
    /// use session_expire::{PolicyPatch, PublicId, SessionHandle, SignInError, days};
    /// async fn enter(session: &SessionHandle, name: &str, keep: bool) -> Result<PublicId, SignInError> {
    ///     let kept = || PolicyPatch::new().idle(days(7)).absolute(days(30));
    ///     session.sign_in_with(name, if keep { kept() } else { PolicyPatch::new() }).await
    /// }
    /// ```
    pub async fn sign_in_with(
        &self,
        user: impl Into<String>,
        login_policy: PolicyPatch,
    ) -> Result<PublicId, SignInError> {
        if self.context.is_settled() {
            return Err(SignInError::ResponseSent);
        }
        if self.context.session.is_purged() {
            return Err(SignInError::AfterSignOut);
        }
        let user = user.into();
        let reserved = self.context.reserve_login(user.clone(), login_policy, &self.req).await;
        match reserved.inspect_err(|error| self.context.config().emit_failure(error))? {
            Reserved::Refused(active) => Err(SignInError::Refused(active)),
            Reserved::Held(id) => self.name_user(user).await.map(|()| id),
        }
    }

    /// Lets the rest of this request see the new user.
    async fn name_user(&self, user: String) -> Result<(), SignInError> {
        self.context.hand_over(&user);
        let named = Identity::login(&self.req.extensions(), user);
        if let Err(error) = named {
            self.context.cancel_login().await;
            return Err(SignInError::Session(error.into()));
        }
        Ok(())
    }
}
