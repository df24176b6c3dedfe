//! Sessions of actix-session that are adopted, so that a change of the session layer signs no user
//! out.
//!
//! Invariant: one cookie has one record key, which is derived from it. The record that is committed
//! under this key, or its tombstone, is kept until the adoption ends. A replayed cookie therefore
//! meets its own record, and an ended session does not return.
//!
//! The middleware asks for an old session only if a request has no session cookie of its own, and
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
    cookie::{OldCookie, OpenedCookie},
    record_key::KeyDerivation,
    state::{OldState, SessionState},
    store::OldStore,
};
use crate::session::{data::SessionData, key::RecordKey};
use crate::{error::RegistryError, time::Timestamp};

/// The session layer whose sessions are adopted: its cookie, key and store.
pub(crate) struct Migration {
    cookie: OldCookie,
    derivation: KeyDerivation,
    store: Box<dyn OldStore>,
    until: Timestamp,
}

/// A session of the old layer that names a user.
pub(crate) struct OldSession {
    /// The user. A number counts as its decimal text.
    pub(crate) user: String,
    /// Key of the record that adopts the session. The same session always has the same key.
    pub(crate) key: RecordKey,
    /// All entries but those of actix-identity, and the user's if it is a string.
    pub(crate) data: SessionData,
    /// When actix-identity signed the user in, if it recorded that. May lie in the future.
    pub(crate) logged_in_at: Option<Timestamp>,
    session_key: SessionKey,
}

impl Migration {
    /// Adopts the sessions of `store` until `until`. Their cookie has the name `cookie` and the key
    /// `key`.
    ///
    /// # Security
    ///
    /// - `until` must not be moved to a later time: the tombstones of sessions that were adopted
    ///   before are kept only until the earlier one.
    /// - Signed cookies are accepted beside encrypted ones, and a signature does not cover the name
    ///   of the cookie. `key` must not have signed another cookie whose content a client can
    ///   choose.
    pub(crate) fn new<S>(cookie: &str, key: Key, store: S, until: Timestamp) -> Self
    where
        S: SessionStore + Send + Sync + 'static,
    {
        let derivation = KeyDerivation::new(&key);
        Self { cookie: OldCookie::new(cookie, key), derivation, store: Box::new(store), until }
    }

    /// Sets the path of the old cookie: `/` by default.
    pub(crate) fn path(mut self, path: impl Into<String>) -> Self {
        self.cookie.path = path.into();
        self
    }

    /// Sets the domain of the old cookie: none by default.
    pub(crate) fn domain(mut self, domain: impl Into<String>) -> Self {
        self.cookie.domain = Some(domain.into());
        self
    }

    /// Returns when the adoption ends: at exactly this time no session is adopted.
    pub(crate) fn until(&self) -> Timestamp {
        self.until
    }

    /// Returns the name of the old cookie.
    pub(crate) fn cookie_name(&self) -> &str {
        self.cookie.name()
    }

    /// Returns `true` if the request has a cookie that may be an old session. Opens no cookie.
    pub(crate) fn has_cookie(&self, req: &HttpRequest) -> bool {
        self.cookie.is_in(req.headers())
    }

    /// Returns the old session of a request; `None` if it has none that names a user under
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
        let Some(opened) = self.cookie.open(req.headers()) else { return Ok(None) };
        let Ok(session_key) = SessionKey::try_from(opened.text.clone()) else { return Ok(None) };
        let state = self.store.load(&session_key).await?;
        Ok(state.and_then(|state| self.old_session(&opened, session_key, state, identity_key)))
    }

    fn old_session(
        &self,
        opened: &OpenedCookie,
        session_key: SessionKey,
        state: SessionState,
        identity_key: &str,
    ) -> Option<OldSession> {
        let OldState { user, logged_in_at, data } = OldState::new(state, identity_key)?;
        let key = self.derivation.record_key(&user, opened)?;
        Some(OldSession { user, key, data, logged_in_at, session_key })
    }

    /// Deletes the store's entry of a session whose record has **ended**. A failure is logged.
    ///
    /// The adopting response must not call it, because that loses users:
    ///
    /// - A request of another tab, sent with the old cookie before that response, finds no user.
    ///   Only the entry names the user, and without the user there is no record key.
    /// - If that response is lost on its way, the browser still has the old cookie only, and the
    ///   entry is the only way back to the record.
    ///
    /// No safety rests on the deletion: `CookieSessionStore` has nothing to delete. Whether a
    /// session has ended is known from its record or its tombstone, which the registry keeps until
    /// [`until`](Self::until). When a replayed cookie meets the tombstone, no request needs the
    /// entry any more. The entry of an active session is left to the store's own lifetime.
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
    /// A response that sets another cookie of the same name, path and domain must not send it.
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
