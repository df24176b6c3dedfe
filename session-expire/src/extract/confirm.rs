//! Re-authentication from a handler.
//!
//! The application checks the password, passkey or other factor. The result takes effect with the
//! response, and failures are counted at once.

use std::time::Duration;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};

use super::session_handle::SessionHandle;
use crate::{
    context::{access::AccessState, load::LoadedRecord},
    error::{ConfirmError, RegistryError},
    event::Event,
    response::problem::{configuration_error, confirmation_refused, unavailable},
    session::{ended::Ended, reason::Reason, record::SessionRecord},
};

/// Cause of a session that ends after too many failed re-authentications.
const TOO_MANY_ATTEMPTS: &str = "too_many_attempts";

/// Source of the error of a request whose session was not loaded.
#[derive(Debug, thiserror::Error)]
#[error("session not loaded")]
struct NotLoaded;

impl SessionHandle {
    /// Confirms the session: its user has just authenticated again as `user`.
    ///
    /// Call it after the application has checked the password, the passkey or another factor. With
    /// the response, the session gets a new key and a new public id, the old cookie becomes
    /// invalid, and both timeouts start anew (NIST SP 800-63B-4 §5.2). The session then is
    /// [`fresh`](crate::Policy#structfield.fresh). Its data and its login time do not change. A
    /// request that still carries the old key is refused with the reason
    /// [`Renewed`](Reason::Renewed).
    ///
    /// # Errors
    ///
    /// - [`ConfirmError::NotSignedIn`] if the session is not active.
    /// - [`ConfirmError::OtherUser`] if `user` is not the user of the session.
    /// - [`ConfirmError::Impersonated`] if another user acts in this session.
    /// - [`ConfirmError::Registry`] if the registry is unavailable.
    /// - [`ConfirmError::ResponseSent`] if the response was already sent.
    ///
    /// ```
    /// use actix_web::{Result, web};
    /// use session_expire::{SessionHandle, error::ConfirmError};
    /// # fn check_password(_: &str, _: &str) -> bool { true }
    ///
    /// async fn confirm(
    ///     user: actix_identity::Identity,
    ///     password: String,
    ///     session: SessionHandle,
    /// ) -> Result<web::Redirect> {
    ///     let user = user.id()?;
    ///     if !check_password(&user, &password) {
    ///         session.confirm_failed().await?;
    ///         return Ok(web::Redirect::to("/confirm").see_other());
    ///     }
    ///     session.confirm(&user)?;
    ///     Ok(web::Redirect::to("/settings").see_other())
    /// }
    /// # let _ = actix_web::Resource::new("/").to(confirm);
    /// ```
    pub fn confirm(&self, user: &str) -> Result<(), ConfirmError> {
        let loaded = self.confirmable()?;
        if *loaded.record.user != *user {
            return Err(ConfirmError::OtherUser);
        }
        self.context.update_intent(|intent| intent.confirms = true);
        Ok(())
    }

    /// Counts a failed re-authentication, and returns how many more may fail. The fifth in a row
    /// ends the session with the cause `too_many_attempts`, because an unattended browser must not
    /// allow to guess passwords.
    ///
    /// It takes effect at once. [`confirm`](Self::confirm) and a login set the number to zero.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`confirm`](Self::confirm), and [`ConfirmError::SessionEnded`] if
    /// this failure has ended the session. Return that error from the handler: its response leads
    /// to the login page, which shows the reason.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the failure may have been counted.
    pub async fn confirm_failed(&self) -> Result<u32, ConfirmError> {
        let loaded = self.confirmable()?;
        let config = self.context.config();
        let ended = Ended::new(Reason::Revoked, config.now()).with_cause(TOO_MANY_ATTEMPTS);
        let session = loaded.record.session_ref();
        let counted = config.registry.count_failed_confirmation(session, ended).await?;
        let requester = config.client(&self.req);
        if let Some(record) = &counted {
            let event = Event::confirmation_failed(record.into(), attempts_left(record));
            config.emit(&event.with_requester(&requester));
        }
        match counted {
            Some(record) if record.ended.is_none() => Ok(attempts_left(&record)),
            Some(record) => {
                config.emit_ended(std::slice::from_ref(&record), Some(&requester));
                Err(self.end(record.ended))
            }
            None => {
                let known = config.registry.load(loaded.key, false).await?;
                Err(self.end(known.and_then(|known| known.record.ended.clone())))
            }
        }
    }

    /// Returns `true` if the user has authenticated within the last `max_age`, as the policy option
    /// [`fresh`](crate::Policy#structfield.fresh) requires. A remembered or impersonated session is
    /// never fresh.
    #[must_use]
    pub fn is_fresh(&self, max_age: Duration) -> bool {
        self.context.fresh_for(max_age).is_some()
    }

    /// Returns the record if the user of the session may confirm it.
    fn confirmable(&self) -> Result<&LoadedRecord, ConfirmError> {
        if self.context.is_settled() {
            return Err(ConfirmError::ResponseSent);
        }
        if *self.context.access() == AccessState::Unavailable {
            return Err(RegistryError::new("confirm a session", NotLoaded).into());
        }
        let active = self.context.record().filter(|_| self.context.acts_for_session());
        let loaded = active.ok_or(ConfirmError::NotSignedIn)?;
        match loaded.record.actor {
            Some(_) => Err(ConfirmError::Impersonated),
            None => Ok(loaded),
        }
    }

    fn end(&self, ended: Option<Ended>) -> ConfirmError {
        let unknown = || Ended::new(Reason::Unknown, self.context.config().now());
        self.context.end_during_request(ended.unwrap_or_else(unknown));
        ConfirmError::SessionEnded
    }
}

fn attempts_left(record: &SessionRecord) -> u32 {
    SessionRecord::MAX_FAILED_CONFIRMATIONS.saturating_sub(record.failed_confirmations).into()
}

impl ResponseError for ConfirmError {
    fn status_code(&self) -> StatusCode {
        self.error_response().status()
    }

    /// Returns a 401 that the middleware turns into a challenge, or a problem.
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::NotSignedIn | Self::SessionEnded => HttpResponse::Unauthorized().finish(),
            Self::OtherUser => confirmation_refused(
                "This session belongs to another user. Sign out, then sign in again.",
            ),
            Self::Impersonated => confirmation_refused(
                "Only the user of the account can do this. You are acting for that user.",
            ),
            Self::Registry(_) => unavailable(),
            Self::ResponseSent => configuration_error(),
        }
    }
}
