//! Re-authentication from a handler.
//!
//! The application checks the password, the passkey or another factor. A confirmation takes effect
//! with the response. A failure is counted at once.

use std::time::Duration;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};

use super::session_handle::SessionHandle;
use crate::{
    context::{
        access::AccessState,
        load::{LoadedRecord, current_record},
    },
    error::{ConfirmError, RegistryError},
    event::Event,
    response::problem::{configuration_error, confirmation_refused, unavailable},
    session::{ended::Ended, reason::Reason, record::SessionRecord},
};

/// Cause of a session that ends after too many failed re-authentications.
const TOO_MANY_ATTEMPTS: &str = "too_many_attempts";

/// Error source if the session of the request was not loaded.
#[derive(Debug, thiserror::Error)]
#[error("session not loaded")]
struct NotLoaded;

impl SessionHandle {
    /// Confirms the session: its user has just re-authenticated as `user`.
    ///
    /// Call it after the application has checked the password, the passkey or another factor. With
    /// the response, the session gets a new key and a new public id, and both timeouts restart
    /// (NIST SP 800-63B-4 §5.2). The session is then [`fresh`](crate::Policy#structfield.fresh).
    /// Its data and its login time do not change. The old cookie becomes invalid: a request that
    /// still carries it is refused with the reason [`Renewed`](Reason::Renewed).
    ///
    /// If the session has ended in the meantime, such as by the fifth failure of parallel requests,
    /// the response is the challenge instead of the handler's. Of two confirmations at once, the
    /// second changes nothing, and its response sets no cookie.
    ///
    /// # Security
    ///
    /// The application must limit the password checks per user, as on the login page (ASVS 5.0
    /// 6.3.1): see [`confirm_failed`](Self::confirm_failed).
    ///
    /// # Errors
    ///
    /// - [`ConfirmError::NotSignedIn`] if the session is not active.
    /// - [`ConfirmError::OtherUser`] if `user` is not the user of the session.
    /// - [`ConfirmError::Impersonated`] if the session is impersonated.
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

    /// Counts a failed re-authentication, and returns the number of attempts that are left. The
    /// fifth failure in a row ends the session with the cause `too_many_attempts`. Otherwise, a
    /// person at an unattended browser could guess the password.
    ///
    /// It takes effect at once. [`confirm`](Self::confirm) and a login reset the count.
    ///
    /// # Security
    ///
    /// The number limits the guesses of an unattended browser. It does not limit requests that are
    /// sent at the same time: each checks its password before its failure is counted. The
    /// application must limit the password checks per user, as on the login page (ASVS 5.0 6.3.1).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`confirm`](Self::confirm), and [`ConfirmError::SessionEnded`] if
    /// this failure has ended the session. Return the error from the handler: its response leads to
    /// the login page, which shows the reason.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the failure may have been counted.
    pub async fn confirm_failed(&self) -> Result<u32, ConfirmError> {
        let loaded = self.confirmable()?;
        self.context.update_intent(|intent| intent.fails_to_confirm = true);
        let config = self.context.config();
        let ended = Ended::new(Reason::Revoked, config.now()).with_cause(TOO_MANY_ATTEMPTS);
        let count = |session| config.registry.count_failed_confirmation(session, ended.clone());
        let mut counted = count(loaded.record.session_ref()).await?;
        if counted.is_none() {
            counted = match current_record(config, loaded).await? {
                Ok(record) => count(record.session_ref()).await?,
                Err(ended) => return Err(self.end(Some(ended))),
            };
        }
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
            None => Err(self.end(None)),
        }
    }

    /// Returns `true` if the user has authenticated within the last `max_age`. It checks the same
    /// as the policy option [`fresh`](crate::Policy#structfield.fresh): a remembered or
    /// impersonated session is never fresh.
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

    /// Returns an empty 401, which the middleware turns into a challenge, or a problem response.
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::NotSignedIn | Self::SessionEnded => HttpResponse::Unauthorized().finish(),
            Self::OtherUser => confirmation_refused(
                "This session belongs to another user. Sign out, then sign in again.",
            ),
            Self::Impersonated => confirmation_refused(
                "Only the owner of the account can do this. You are acting as that user.",
            ),
            Self::Registry(_) => unavailable(),
            Self::ResponseSent => configuration_error(),
        }
    }
}
