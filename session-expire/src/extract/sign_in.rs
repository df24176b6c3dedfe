//! Sign-in from a handler.
//!
//! A login reserves a slot of the session limit first. It takes effect with the response.

use actix_identity::Identity;
use actix_web::{HttpMessage, HttpResponse, ResponseError};

use super::session_handle::SessionHandle;
use crate::{
    context::login::pending::LoginReservation,
    error::RegistryError,
    response::problem::{
        bad_request, configuration_error, no_further_session, sign_in_expired, too_many_sessions,
    },
    session::{key::PublicId, login::options::SignInOptions, record::SessionRecord},
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
    /// The registry is unavailable (503), or the login policy or the user policy is invalid (500).
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
    /// The ticket of [`sign_in_taking_over`](SessionHandle::sign_in_taking_over) has expired, or
    /// was not issued to this browser.
    #[error("ticket is invalid")]
    TicketInvalid,
    /// The anonymous cookie has no room for the offer of
    /// [`takeover_ticket`](SessionHandle::takeover_ticket). The response is a 409 that lists no
    /// sessions. A handler that lists them must not show a form for the ticket.
    #[error("offer to continue the login does not fit into the anonymous cookie")]
    OfferTooLarge,
    /// The actor of [`impersonated_by`](crate::sign_in::SignInOptions::impersonated_by) is empty,
    /// or is the user who signs in.
    #[error("actor must differ from the user who signs in")]
    InvalidActor,
    /// The response was already sent, with its cookies.
    #[error("cannot sign in after the response was sent")]
    ResponseSent,
}

impl ResponseError for SignInError {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Refused { active } => too_many_sessions(active),
            Self::Registry(error) => error.error_response(),
            Self::TicketInvalid => sign_in_expired(),
            Self::OfferTooLarge => no_further_session(),
            Self::InvalidActor => bad_request("You cannot impersonate yourself."),
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
    /// - [`SignInError::Registry`] if the registry is unavailable (503), or if the user policy is
    ///   invalid or does not meet a [declared
    ///   standard](crate::SessionExpireBuilder::complies_with) (500).
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
        self.sign_in_with(user, SignInOptions::new()).await
    }

    /// Signs `user` in with [options](SignInOptions), such as "keep me signed in". A
    /// [`PolicyPatch`](crate::PolicyPatch) converts into options with that login policy.
    ///
    /// If the login policy sets `absolute`, the browser keeps the cookie for that time. Otherwise
    /// it deletes the cookie when it is closed.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`sign_in`](Self::sign_in), and:
    ///
    /// - [`SignInError::Registry`] if the login policy is invalid, or does not meet a [declared
    ///   standard](crate::SessionExpireBuilder::complies_with) together with the user policy (500).
    ///   Each breach is an [event](crate::Event::PolicyBreach).
    /// - [`SignInError::InvalidActor`] if the actor is empty, or is `user`.
    ///
    /// # Cancel safety
    ///
    /// Same as [`sign_in`](Self::sign_in).
    ///
    /// ```
    /// use session_expire::{PublicId, SessionHandle, SignInError, days, sign_in::SignInOptions};
    ///
    /// async fn keep_signed_in(session: SessionHandle, user: &str) -> Result<PublicId, SignInError> {
    ///     session.sign_in_with(user, SignInOptions::new().persistent(days(30))).await
    /// }
    /// ```
    pub async fn sign_in_with(
        &self,
        user: impl Into<String>,
        options: impl Into<SignInOptions>,
    ) -> Result<PublicId, SignInError> {
        let (user, options) = (user.into(), options.into());
        self.check_sign_in(&user, &options)?;
        let reserved = self.context.reserve_login(user.clone(), &options, &self.req).await;
        match reserved.inspect_err(|error| self.context.config().emit_failure(error))? {
            LoginReservation::Refused(active) => Err(SignInError::Refused { active }),
            LoginReservation::Reserved(id) => self.write_user(user).await.map(|()| id),
        }
    }

    /// Returns an error if this request cannot sign in with these options.
    pub(super) fn check_sign_in(
        &self,
        user: &str,
        options: &SignInOptions,
    ) -> Result<(), SignInError> {
        match () {
            () if self.context.is_settled() => Err(SignInError::ResponseSent),
            () if self.context.session.is_purged() => Err(SignInError::AfterSignOut),
            () if !options.is_actor_valid(user) => Err(SignInError::InvalidActor),
            () => Ok(()),
        }
    }

    /// Writes `user` into `Session`. Later code in this request reads the new user.
    pub(super) async fn write_user(&self, user: String) -> Result<(), SignInError> {
        self.context.switch_user(&user);
        let written = Identity::login(&self.req.extensions(), user);
        if let Err(error) = written {
            self.context.cancel_login().await;
            return Err(SignInError::Session(error.into()));
        }
        Ok(())
    }
}
