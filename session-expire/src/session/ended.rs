//! End of a session.
//!
//! A session ends once: its time, reason and cause never change afterwards.

use std::sync::Arc;

use crate::{session::reason::Reason, time::Timestamp};

/// End of a session: its time, its reason, and its cause.
///
/// ```
/// use session_expire::{Reason, clock::Timestamp, registry::Ended};
/// let noon = Timestamp::from_millis(1_767_268_800_000);
/// let evicted = Ended::new(Reason::Evicted, noon).by("Firefox on Linux");
/// assert_eq!((evicted.at, evicted.reason), (noon, Reason::Evicted));
/// let changed = Ended::new(Reason::Revoked, noon).with_cause("password_changed");
/// assert_eq!(changed.cause.as_deref(), Some("password_changed"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Time of the end.
    pub at: Timestamp,
    /// Reason, from the fixed list.
    pub reason: Reason,
    /// Cause: the application's own word in addition to the reason, such as `password_changed`.
    pub cause: Option<Arc<str>>,
    /// Device whose login evicted the session or took its slot; `None` if it is not known.
    pub by: Option<Arc<str>>,
}

impl Ended {
    /// Cause of the end of a session whose credential has changed (see
    /// [`require_stamp`](crate::SessionHandle::require_stamp)).
    pub const CREDENTIAL_CHANGED: &str = "credential_changed";

    /// Returns an end for `reason` at `at`, without a cause.
    #[must_use]
    pub fn new(reason: Reason, at: Timestamp) -> Self {
        Self { at, reason, cause: None, by: None }
    }

    /// Sets the cause, the application's own word in addition to the reason. Default: none.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Arc<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Sets the device whose login evicted the session or took its slot. Default: none.
    #[must_use]
    pub fn by(mut self, device: impl Into<Arc<str>>) -> Self {
        self.by = Some(device.into());
        self
    }
}
