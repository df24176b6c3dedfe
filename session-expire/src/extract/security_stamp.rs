//! Security stamp of a session, from a handler.
//!
//! A changed credential ends the sessions that were started with the earlier one.

use actix_web::{HttpResponse, ResponseError, http::StatusCode};

use super::session_handle::SessionHandle;
use crate::{
    error::{RegistryError, StampError},
    response::problem::unavailable,
    session::{login::stamp::Stamp, update::SessionUpdate},
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
    /// Returns an error, and ends the session, if the user's credential has changed since it was
    /// stored with the session.
    ///
    /// `current` is the current value of that which the login passed to
    /// [`stamp`](crate::sign_in::SignInOptions::stamp), such as the stored password hash. The
    /// session ends as revoked with the cause `credential_changed`, and the response to the error is
    /// the challenge with the text of this cause.
    ///
    /// A session without a stamp ends, too, as in Django and ASP.NET Core: otherwise sessions from
    /// before the first use of stamps would outlive each change. The check costs no operation of the
    /// registry while the stamp is current.
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

    /// Stores the digest of a new credential with this session, so that the session that changed the
    /// credential stays signed in. Without an active session, the call does nothing.
    ///
    /// Call it directly after the change. Between the two, another request of this session may fail
    /// the check and end the session.
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
        let (session, now) = (loaded.record.session_ref(), context.config().now());
        let update = SessionUpdate { stamp: Some(stamp), ..SessionUpdate::new(now) };
        let updated = context.config().registry.update(session, update).await;
        updated.inspect_err(|error| context.config().emit_failure(error))?;
        context.set_new_stamp(stamp);
        Ok(())
    }
}
