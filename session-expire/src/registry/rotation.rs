//! Key rotation: a renewal of the session key, or a re-authentication.

use crate::session::{
    key::{PublicId, RecordKey},
    record::SessionRef,
    update::SessionUpdate,
};

/// Renames the key of a session, by compare-and-swap on the old key.
///
/// The old key is kept as a tombstone with the reason
/// [`Renewed`](crate::Reason::Renewed) for a day.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeyRotation {
    /// The session.
    pub session: SessionRef,
    /// The key that the request came with.
    pub from: RecordKey,
    /// The new key.
    pub to: RecordKey,
    /// For a re-authentication, the new public id: both timeouts start anew. `None` for a renewal,
    /// after which the timeouts continue.
    pub reauthenticated_as: Option<PublicId>,
    /// What else the request changes. It is stored whether or not this request wins the rotation.
    pub update: SessionUpdate,
}

impl KeyRotation {
    /// A renewal of the key `from` of `session`.
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
    /// The session has ended or is unknown; nothing was stored.
    Ended,
    /// The session data would exceed its limit; nothing was stored, and the key is the old one.
    TooLarge,
}
