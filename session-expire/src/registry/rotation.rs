//! Key rotation: the input and the outcome of
//! [`Registry::rotate`](crate::registry::Registry::rotate).
//!
//! One of two rotations of the same key succeeds; both updates are stored. A renewal and a
//! re-authentication rotate the key.

use crate::session::{
    key::{PublicId, RecordKey},
    record::SessionRef,
    update::SessionUpdate,
};

/// Rotation of a session key, by compare-and-swap on the old key.
///
/// For a day the old key loads a tombstone with the reason [`Renewed`](crate::Reason::Renewed).
/// Requests in progress use its public id to address the session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeyRotation {
    /// Session whose key rotates.
    pub session: SessionRef,
    /// Old key: the key of the request.
    pub(crate) from: RecordKey,
    /// New key.
    pub(crate) to: RecordKey,
    /// For a re-authentication, the new public id; both timeouts are reset. `None` for a renewal,
    /// after which the timeouts continue.
    pub reauthenticated_as: Option<PublicId>,
    /// Other changes of the request. They are stored even if another request rotated the key first.
    pub update: SessionUpdate,
}

impl KeyRotation {
    /// Returns the secret key of the request, which is the old key. Do not log it.
    #[must_use]
    pub fn old_key(&self) -> RecordKey {
        self.from
    }

    /// Returns the secret key of the session from now on. Do not log it.
    #[must_use]
    pub fn new_key(&self) -> RecordKey {
        self.to
    }

    /// Sets the new key. Default: a random key.
    #[must_use]
    pub fn with_new_key(mut self, key: RecordKey) -> Self {
        self.to = key;
        self
    }

    /// Returns a renewal that replaces the key `from` of `session` with a random key.
    #[must_use]
    pub fn new(session: SessionRef, from: RecordKey, update: SessionUpdate) -> Self {
        let to = RecordKey::random(&session.user);
        Self { session, from, to, reauthenticated_as: None, update }
    }
}

/// Outcome of [`Registry::rotate`](super::Registry::rotate).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationOutcome {
    /// The session has the new key, and the update is stored.
    Rotated,
    /// Another request rotated the key first; the update is stored.
    Lost,
    /// The session has ended or is unknown; nothing has changed.
    Ended,
    /// The session data would exceed
    /// [`SessionData::MAX_BYTES`](super::SessionData::MAX_BYTES); nothing has changed.
    TooLarge,
}
