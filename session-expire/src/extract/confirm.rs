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
        load::{LoadedRecord, current_record, end_current},
    },
    error::{ConfirmError, RegistryError},
    event::Event,
    registry::end::{EndSessions, EndTarget},
    response::problem::{configuration_error, confirmation_refused, unavailable},
    session::{
        ended::Ended,
        reason::Reason,
        record::{SessionRecord, SessionRef},
    },
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
    /// If the session has ended in the meantime, for example by the fifth failure in a parallel
    /// request, the challenge replaces the response of the handler. Of two simultaneous
    /// confirmations, the second changes nothing, and its response sets no cookie.
    ///
    /// # Security
    ///
    /// Call [`begin_confirmation`](Self::begin_confirmation) before the check, and limit the
    /// password checks per user; see [`confirm_failed`](Self::confirm_failed).
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
    ///     session.begin_confirmation().await?;
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

    /// Counts an attempt to re-authenticate, before the application checks the credential.
    ///
    /// With this call, at most five attempts in a row are checked, even if an attacker sends them at
    /// the same time. A further one ends the session with the cause `too_many_attempts`. If the check
    /// fails, call [`confirm_failed`](Self::confirm_failed), which does not count the attempt again.
    /// [`confirm`](Self::confirm) and a login reset the count.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`confirm_failed`](Self::confirm_failed).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the attempt may have been counted.
    pub async fn begin_confirmation(&self) -> Result<(), ConfirmError> {
        if self.context.confirmation_attempts.get().is_none() {
            let record = self.count_attempt().await?;
            self.context.confirmation_attempts.set(Some(record.confirmation_attempts));
        }
        Ok(())
    }

    /// Records a failed attempt to re-authenticate, and returns the number of attempts that are
    /// left. The fifth failure in a row ends the session with the cause `too_many_attempts`.
    /// Otherwise, a person at an unattended browser could guess the password.
    ///
    /// It takes effect at once. [`confirm`](Self::confirm) and a login reset the count.
    ///
    /// # Security
    ///
    /// Call [`begin_confirmation`](Self::begin_confirmation) before the check. Otherwise,
    /// simultaneous requests all check their passwords before the first failure is counted. The
    /// count belongs to one session: the application must also limit the password checks per user,
    /// as on the login page (ASVS 5.0 6.3.1).
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
        // A wrong password must have the same response as a right one if the session has ended.
        match self.context.confirmation_attempts.get() {
            Some(_) => drop(self.current(loaded).await?),
            None => self.begin_confirmation().await?,
        }
        let attempts = self.context.confirmation_attempts.take().unwrap_or_default();
        let left = SessionRecord::MAX_CONFIRMATION_ATTEMPTS.saturating_sub(attempts).into();
        let event = Event::confirmation_failed((&*loaded.record).into(), left);
        let requester = self.context.config().client(&self.req);
        self.context.config().emit(&event.with_requester(&requester));
        match left {
            0 => Err(self.end_after_failures(loaded).await?),
            left => Ok(left),
        }
    }

    /// Counts an attempt. Returns the record, or an error if the session has ended.
    async fn count_attempt(&self) -> Result<SessionRecord, ConfirmError> {
        let loaded = self.confirmable()?;
        let (config, ended) = (self.context.config(), self.too_many_attempts());
        let count = |session| config.registry.count_confirmation_attempt(session, ended.clone());
        let counted = match count(loaded.record.session_ref()).await? {
            Some(record) => record,
            None => {
                let current = self.current(loaded).await?;
                count(current).await?.ok_or_else(|| self.end(None))?
            }
        };
        if counted.ended.is_none() {
            return Ok(counted);
        }
        config.emit_ended(std::slice::from_ref(&counted), Some(&config.client(&self.req)));
        Err(self.end(counted.ended))
    }

    /// Ends the session after the last failure.
    async fn end_after_failures(
        &self,
        loaded: &LoadedRecord,
    ) -> Result<ConfirmError, ConfirmError> {
        let (config, ended) = (self.context.config(), self.too_many_attempts());
        let target = EndTarget::Session(loaded.record.session_ref());
        let request = EndSessions::new(target, ended.clone());
        let records = end_current(config, loaded, request).await?;
        let records = records.map_err(|ended| self.end(Some(ended)))?;
        config.emit_ended(&records, Some(&config.client(&self.req)));
        Ok(self.end(Some(ended)))
    }

    /// Returns the reference of the session after a parallel request has rotated its key, or an
    /// error if it has ended.
    async fn current(&self, loaded: &LoadedRecord) -> Result<SessionRef, ConfirmError> {
        let current = current_record(self.context.config(), loaded).await?;
        current.map(|record| record.session_ref()).map_err(|ended| self.end(Some(ended)))
    }

    fn too_many_attempts(&self) -> Ended {
        Ended::new(Reason::Revoked, self.context.config().now()).with_cause(TOO_MANY_ATTEMPTS)
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
