//! Migration from actix-session: adoption of old sessions.
//!
//! The record key is derived from the old cookie, so one cookie has one record. The registry
//! retains the record or its tombstone until the adoption ends. A replayed cookie therefore leads
//! to its own record, and an ended session is not adopted again.
//!
//! The middleware reads an old session only if a request has no session cookie of this crate, and
//! only before [`Migration::until`].

mod cookie;
mod record_key;
mod state;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;

use actix_session::storage::{SessionKey, SessionStore};
use actix_web::{
    HttpRequest,
    cookie::{Cookie, Key},
};

use self::{
    cookie::{DecodedCookie, OldCookie},
    record_key::KeyDerivation,
    state::{OldState, SessionState},
    store::OldStore,
};
use crate::session::{data::SessionData, key::RecordKey};
use crate::{error::RegistryError, time::Timestamp};

/// Session layer whose sessions are adopted: its cookie, key and store.
pub(crate) struct Migration {
    cookie: OldCookie,
    derivation: KeyDerivation,
    store: Box<dyn OldStore>,
    until: Timestamp,
}

/// Session of the old layer with a user.
pub(crate) struct OldSession {
    /// User id. A number is converted to decimal text.
    pub(crate) user: String,
    /// Key of the new record. It is always the same for the same session.
    pub(crate) key: RecordKey,
    /// Entries, without those of actix-identity and without a string user id.
    pub(crate) data: SessionData,
    /// Login time, if actix-identity recorded it. It may be in the future.
    pub(crate) logged_in_at: Option<Timestamp>,
    session_key: SessionKey,
}

impl Migration {
    /// Returns a migration that adopts the sessions of `store` until `until`. Their cookie has the
    /// name `cookie` and the key `key`.
    ///
    /// # Security
    ///
    /// - Do not move `until` to a later time. The registry retains the tombstones of sessions that
    ///   were adopted before only until the earlier time.
    /// - Signed cookies are accepted, too, and a signature does not cover the name of the cookie.
    ///   `key` must not have signed another cookie whose content a client can choose.
    pub(crate) fn new<S>(cookie: &str, key: Key, store: S, until: Timestamp) -> Self
    where
        S: SessionStore + Send + Sync + 'static,
    {
        let derivation = KeyDerivation::new(&key);
        Self { cookie: OldCookie::new(cookie, key), derivation, store: Box::new(store), until }
    }

    /// Sets the path of the old cookie. Default: `/`.
    pub(crate) fn path(mut self, path: impl Into<String>) -> Self {
        self.cookie.path = path.into();
        self
    }

    /// Sets the domain of the old cookie. Default: none.
    pub(crate) fn domain(mut self, domain: impl Into<String>) -> Self {
        self.cookie.domain = Some(domain.into());
        self
    }

    /// Returns the end of the adoption. No session is adopted at or after this time.
    pub(crate) fn until(&self) -> Timestamp {
        self.until
    }

    /// Returns the name of the old cookie.
    pub(crate) fn cookie_name(&self) -> &str {
        self.cookie.name()
    }

    /// Returns `true` if the request has a cookie that may be an old session. It decodes no cookie.
    pub(crate) fn has_cookie(&self, req: &HttpRequest) -> bool {
        self.cookie.is_present(req.headers())
    }

    /// Returns the old session of a request, or `None` if it has none with a user under
    /// `identity_key`.
    ///
    /// # Errors
    ///
    /// Returns [`RegistryError`] if the store is unavailable.
    pub(crate) async fn read(
        &self,
        req: &HttpRequest,
        identity_key: &str,
    ) -> Result<Option<OldSession>, RegistryError> {
        let Some(decoded) = self.cookie.decode(req.headers()) else { return Ok(None) };
        let Ok(session_key) = SessionKey::try_from(decoded.text.clone()) else { return Ok(None) };
        let state = self.store.load(&session_key).await?;
        Ok(state.and_then(|state| self.old_session(&decoded, session_key, state, identity_key)))
    }

    fn old_session(
        &self,
        decoded: &DecodedCookie,
        session_key: SessionKey,
        state: SessionState,
        identity_key: &str,
    ) -> Option<OldSession> {
        let OldState { user, logged_in_at, data } = OldState::new(state, identity_key)?;
        let key = self.derivation.record_key(&user, decoded)?;
        Some(OldSession { user, key, data, logged_in_at, session_key })
    }

    /// Deletes the store's entry of a session whose record has **ended**. Logs a failure.
    ///
    /// Do not call it when the session is adopted. Only the entry names the user, and the record
    /// key is derived from the user. It is still needed in two cases:
    ///
    /// - Another tab has sent a request with the old cookie before it received the new one.
    /// - The response with the new cookie is lost, and the browser sends the old cookie again.
    ///
    /// The deletion is not necessary for security: `CookieSessionStore` deletes nothing. The record
    /// or its tombstone shows that a session has ended, and the registry retains it until
    /// [`until`](Self::until). The entry of an active session expires in the store.
    pub(crate) async fn delete(&self, old: &OldSession) {
        if let Err(error) = self.store.delete(&old.session_key).await {
            tracing::warn!(
                event = "sys_migration_delete_failed",
                %error,
                "entry of the former session store not deleted"
            );
        }
    }

    /// Returns the cookie that deletes the old one.
    ///
    /// Do not add it to a response that sets a cookie with the same name, path and domain.
    pub(crate) fn removal_cookie(&self) -> Cookie<'static> {
        self.cookie.removal()
    }
}

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration")
            .field("cookie", &self.cookie_name())
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OldSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OldSession")
            .field("user", &self.user)
            .field("data", &self.data)
            .field("logged_in_at", &self.logged_in_at)
            .finish_non_exhaustive()
    }
}
