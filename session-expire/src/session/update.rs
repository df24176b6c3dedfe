//! Update of a session record.

use std::sync::Arc;

use super::{client::Client, data::DataChanges, key::SigningKey};
use crate::{policy::PolicyPatch, time::Timestamp};

/// What a request changes in the record of its session, in one operation.
///
/// ```
/// # use session_expire::{
/// #     Policy, PolicyPatch, clock::Timestamp, minutes,
/// #     registry::{NewLogin, SessionData, SessionRecord, SessionUpdate}, seconds,
/// # };
/// # let noon = Timestamp::from_millis(1_767_268_800_000);
/// # let mut record = SessionRecord::new(&NewLogin::new("alice", noon, &Policy::new()));
/// let now = noon.plus(minutes(10));
/// // The user typed 20 seconds ago.
/// record.update(&SessionUpdate::new(now).active(now.minus(seconds(20))));
/// assert_eq!(record.last_seen, now.minus(seconds(20)));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionUpdate {
    /// The time of the update.
    pub now: Timestamp,
    /// When the user was active; `None` if the request is no activity.
    pub active_at: Option<Timestamp>,
    /// From where; stored with activity only.
    pub client: Option<Client>,
    /// The user policy from now on, if it was evaluated again.
    pub user_policy: Option<Option<Arc<PolicyPatch>>>,
    /// A new signing key, which voids the page tokens of earlier pages.
    pub signing_key: Option<SigningKey>,
    /// Changes of the session data.
    pub data: DataChanges,
}

impl SessionUpdate {
    /// An update at `now` that changes nothing yet.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            active_at: None,
            client: None,
            user_policy: None,
            signing_key: None,
            data: DataChanges::default(),
        }
    }

    /// Records activity at `at`.
    #[must_use]
    pub fn active(mut self, at: Timestamp) -> Self {
        self.active_at = Some(at);
        self
    }

    /// Returns `true` if nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.active_at.is_none()
            && self.user_policy.is_none()
            && self.signing_key.is_none()
            && self.data.is_empty()
    }
}

/// Outcome of [`Registry::update`](crate::registry::Registry::update).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateOutcome {
    /// The record was updated.
    Updated,
    /// The session has ended or is unknown; nothing was stored.
    Ended,
    /// The session data would exceed
    /// [`SessionData::MAX_BYTES`](super::data::SessionData::MAX_BYTES); nothing was stored.
    TooLarge,
}
