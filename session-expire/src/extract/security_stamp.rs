//! Check and change of a session's security stamp in a handler.
//!
//! A changed credential ends the sessions that were started with the earlier one.

use actix_web::{HttpResponse, ResponseError, http::StatusCode};

use super::session_handle::SessionHandle;
use crate::{
    context::load::update_current,
    error::{RegistryError, StampError},
    response::problem::unavailable,
    session::{
        login::stamp::Stamp,
        update::{SessionUpdate, UpdateOutcome},
    },
};

impl ResponseError for StampError {
    fn status_code(&self) -> StatusCode {
        self.error_response().status()
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            // An empty 401 becomes the challenge.
            Self::Changed | Self::NotSignedIn => HttpResponse::Unauthorized().finish(),
            Self::Registry(_) => unavailable(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("response already sent")]
struct ResponseSent;

impl SessionHandle {
    /// Ends the session and returns an error if the user's credential has changed since the login.
    ///
    /// `current` is the current credential, such as the stored password hash. The login must pass
    /// the same value to [`stamp`](crate::sign_in::SignInOptions::stamp). The session ends as
    /// revoked with the cause `credential_changed`. The error becomes a challenge with the text of
    /// this cause.
    ///
    /// A session without a stamp also ends, as in Django and ASP.NET Core. Otherwise, sessions from
    /// before the first use of stamps would outlive each change. While the stamp is current, the
    /// check costs no operation of the registry.
    ///
    /// The builder's [`stamp`](crate::SessionExpireBuilder::stamp) checks all requests.
    ///
    /// # Errors
    ///
    /// - [`StampError::Changed`] if the stamp differs or is missing.
    /// - [`StampError::NotSignedIn`] if the request has no active session, or has signed a user in
    ///   or out.
    /// - [`StampError::Registry`] if the registry is unavailable.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the session either has ended or is unchanged.
    ///
    /// ```
    /// use session_expire::{SessionHandle, error::StampError};
    ///
    /// async fn transfer(session: SessionHandle) -> Result<&'static str, StampError> {
    ///     let password_hash = "$argon2id$v=19$…"; // of this user, from the database
    ///     session.require_stamp(password_hash).await?;
    ///     Ok("transferred")
    /// }
    /// ```
    pub async fn require_stamp(&self, current: impl AsRef<[u8]>) -> Result<(), StampError> {
        if !self.context.acts_for_session() {
            return Err(StampError::NotSignedIn);
        }
        let checked = self.context.require_stamp(Stamp::new(current), &self.req).await;
        match checked.inspect_err(|error| self.context.config().emit_failure(error))? {
            true => Ok(()),
            false => Err(StampError::Changed),
        }
    }

    /// Stores the stamp of a new credential with this session, so that the session stays signed in
    /// after it has changed the credential. The call does nothing without an active session, or if
    /// the session has ended in the meantime.
    ///
    /// Call it directly after the change. Before the call, a parallel request of this session may
    /// fail the check and end the session.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the registry is unavailable, or the response was already sent.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the session has either the old stamp or the new one.
    ///
    /// ```
    /// use session_expire::{SessionHandle, error::RegistryError};
    ///
    /// async fn change_password(session: SessionHandle) -> Result<&'static str, RegistryError> {
    ///     let new_hash = "$argon2id$v=19$…"; // stored in the database
    ///     session.set_stamp(new_hash).await?;
    ///     Ok("Your other sessions are signed out.")
    /// }
    /// ```
    pub async fn set_stamp(&self, credential: impl AsRef<[u8]>) -> Result<(), RegistryError> {
        let (context, stamp) = (&self.context, Stamp::new(credential));
        if context.is_settled() {
            return Err(RegistryError::new("store a security stamp", ResponseSent));
        }
        if context.set_pending_stamp(stamp) || !context.acts_for_session() {
            return Ok(());
        }
        let Some(loaded) = context.record() else { return Ok(()) };
        let config = context.config();
        let update = SessionUpdate { stamp: Some(stamp), ..SessionUpdate::new(config.now()) };
        let updated = update_current(config, loaded, update).await;
        if updated.inspect_err(|error| config.emit_failure(error))? != UpdateOutcome::Ended {
            context.set_new_stamp(stamp);
        }
        Ok(())
    }
}
