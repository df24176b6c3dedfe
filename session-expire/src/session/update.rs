//! Update of a session record: the input and the outcome of
//! [`Registry::update`](crate::registry::Registry::update).
//!
//! One request makes at most one update, which is atomic. The middleware builds it when it settles
//! the request.

use std::{sync::Arc, time::Duration};

use super::{client::Client, data::DataChanges, login::stamp::Stamp, signing_key::SigningKey};
use crate::{
    policy::{PolicyPatch, limit::Limit},
    time::Timestamp,
};

/// Changes that a request makes to the record of its session, in one operation.
///
/// ```
/// use session_expire::{clock::Timestamp, registry::SessionUpdate, seconds};
/// let now = Timestamp::from_millis(1_767_268_800_000);
/// // The user typed 20 seconds ago.
/// let update = SessionUpdate::new(now).active(now.minus(seconds(20)));
/// assert_eq!(update.active_at, Some(now.minus(seconds(20))));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionUpdate {
    /// Time of the update.
    pub now: Timestamp,
    /// Time of the activity; `None` if the request is passive.
    pub active_at: Option<Timestamp>,
    /// Client of the activity; ignored without activity.
    pub client: Option<Client>,
    /// New policy patch of the user, if it was evaluated again; `Some(None)` removes it.
    pub user_policy: Option<Option<Arc<PolicyPatch>>>,
    /// New signing key, which voids the page tokens of earlier pages.
    pub(crate) signing_key: Option<SigningKey>,
    /// New [`longest_idle`](crate::registry::SessionRecord::longest_idle) and
    /// [`longest_absolute`](crate::registry::SessionRecord::longest_absolute).
    pub longest: Option<(Limit<Duration>, Limit<Duration>)>,
    /// `true` marks the session as
    /// [remembered](crate::registry::SessionRecord::remembered). `false` changes nothing.
    pub remembered: bool,
    /// New security stamp; `None` changes nothing.
    pub stamp: Option<Stamp>,
    /// Changes of the session data.
    pub data: DataChanges,
}

impl SessionUpdate {
    /// Returns an update at `now` without changes.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            active_at: None,
            client: None,
            user_policy: None,
            signing_key: None,
            longest: None,
            remembered: false,
            stamp: None,
            data: DataChanges::default(),
        }
    }

    /// Sets the time of the activity. Default: none.
    #[must_use]
    pub fn active(mut self, at: Timestamp) -> Self {
        self.active_at = Some(at);
        self
    }

    /// Sets a new signing key, which voids the page tokens of earlier pages.
    #[must_use]
    pub fn with_signing_key(mut self, key: impl Into<Option<SigningKey>>) -> Self {
        self.signing_key = key.into();
        self
    }

    /// Returns the new signing key, for a registry to store. Do not log it.
    #[must_use]
    pub fn signing_key(&self) -> Option<&SigningKey> {
        self.signing_key.as_ref()
    }

    /// Returns `true` if the update sets a user policy or a signing key.
    /// [`Registry::subscribe`](crate::registry::Registry::subscribe) reports such updates.
    #[must_use]
    pub fn changes_policy(&self) -> bool {
        self.user_policy.is_some() || self.signing_key.is_some()
    }

    /// Returns `true` if there are no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.active_at.is_none()
            && self.user_policy.is_none()
            && self.signing_key.is_none()
            && self.longest.is_none()
            && !self.remembered
            && self.stamp.is_none()
            && self.data.is_empty()
    }
}

/// Outcome of [`Registry::update`](crate::registry::Registry::update).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateOutcome {
    /// The record was updated.
    Updated,
    /// The session has ended or is unknown; nothing has changed.
    Ended,
    /// The session data would exceed
    /// [`SessionData::MAX_BYTES`](super::data::SessionData::MAX_BYTES); nothing has changed.
    TooLarge,
}
