//! Sign-in from a handler.
//!
//! A login reserves a slot of the session limit first. It takes effect with the response.

use actix_identity::Identity;
use actix_web::{HttpMessage, HttpResponse, ResponseError};

use super::session_handle::SessionHandle;
use crate::{
    context::pending_login::LoginReservation,
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
///         Err(SignInError::Refused { active, .. }) => {
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
    /// The session limit is reached. Lists the active sessions, oldest login first.
    #[error("session limit reached: {} active sessions", .active.len())]
    #[non_exhaustive]
    Refused {
        /// Active sessions, oldest login first.
        active: Vec<SessionRecord>,
    },
    /// The registry is unavailable.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The user could not be written into `Session`.
    #[error("user could not be written into the session")]
    Session(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The user signed out earlier in this request.
    #[error(
        "cannot sign in after signing out in the same request; `sign_in` already replaces the current session"
    )]
    AfterSignOut,
    /// The response was already sent, with its cookies.
    #[error("cannot sign in after the response was sent")]
    ResponseSent,
}

impl ResponseError for SignInError {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Refused { active } => too_many_sessions(active),
            Self::Registry(_) => unavailable(),
            Self::Session(_) | Self::AfterSignOut | Self::ResponseSent => configuration_error(),
        }
    }
}

impl SessionHandle {
    /// Signs `user` in, after the application has checked the credentials.
    ///
    /// The call reserves a slot of the session limit. The login takes effect with the response:
    /// only then do other sessions end. If a middleware fails or the client disconnects first, the
    /// user is not signed in.
    ///
    /// Entries of the anonymous visitor move into the new session (see
    /// [`login_keeps`](crate::SessionExpireBuilder::login_keeps)). Entries of another user do not.
    ///
    /// # Errors
    ///
    /// - [`SignInError::Refused`] if the session limit is reached and `overflow` is `refuse`.
    /// - [`SignInError::Registry`] if the registry is unavailable or the user policy is invalid.
    /// - [`SignInError::AfterSignOut`] if the user signed out in the same request.
    /// - [`SignInError::Session`] if the user could not be written into `Session`.
    /// - [`SignInError::ResponseSent`] if the response was already sent.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the reservation is cancelled and no session changes.
    ///
    /// # Security
    ///
    /// The application must renew CSRF tokens among the entries that move.
    pub async fn sign_in(&self, user: impl Into<String>) -> Result<PublicId, SignInError> {
        self.sign_in_with(user, PolicyPatch::new()).await
    }

    /// Signs `user` in with a login policy, such as longer limits for "keep me signed in".
    ///
    /// A login policy that is stricter than the application's applies to every page. A laxer one
    /// replaces the application's limits, but not those of a stricter page. The
    /// [user policy](crate::SessionExpireBuilder::user_policy) takes precedence over both.
    ///
    /// If the login policy sets `absolute`, the browser keeps the cookie for that time. Otherwise
    /// it deletes the cookie when it is closed.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`sign_in`](Self::sign_in). Returns [`SignInError::Registry`] if
    /// `login_policy` is invalid.
    ///
    /// # Cancel safety
    ///
    /// Same as [`sign_in`](Self::sign_in).
    ///
    /// ```
    /// use session_expire::{PolicyPatch, PublicId, SessionHandle, SignInError, days};
    ///
    /// async fn remember(session: SessionHandle, user: &str) -> Result<PublicId, SignInError> {
    ///     let limits = PolicyPatch::new().idle(days(7)).absolute(days(30));
    ///     session.sign_in_with(user, limits).await
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
            LoginReservation::Refused(active) => Err(SignInError::Refused { active }),
            LoginReservation::Reserved(id) => self.write_user(user).await.map(|()| id),
        }
    }

    /// Writes `user` into `Session`. Later code in this request reads the new user.
    async fn write_user(&self, user: String) -> Result<(), SignInError> {
        self.context.switch_user(&user);
        let written = Identity::login(&self.req.extensions(), user);
        if let Err(error) = written {
            self.context.cancel_login().await;
            return Err(SignInError::Session(error.into()));
        }
        Ok(())
    }
}
