//! Ending sessions: which, and how.

use std::sync::Arc;

use crate::{
    session::{
        key::partition_key,
        record::{Ended, SessionRecord, SessionRef},
    },
    time::Timestamp,
};

/// Which sessions to end.
///
/// ```
/// use session_expire::{Policy, clock::Timestamp, registry::{EndTarget, NewLogin, SessionRecord}};
/// let record = SessionRecord::new(&NewLogin::new("alice", Timestamp::from_millis(0), &Policy::new()));
/// assert!(EndTarget::Session(record.session_ref()).covers(&record));
/// assert!(EndTarget::All("alice".into()).covers(&record));
/// assert!(!EndTarget::Others(record.session_ref()).covers(&record));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndTarget {
    /// This session, if it is this user's.
    Session(SessionRef),
    /// All sessions of this user but this one, which must itself be open: else none ends.
    Others(SessionRef),
    /// All sessions of this user.
    All(Arc<str>),
}

/// Sessions to end, and what is recorded of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EndSessions {
    /// Which.
    pub target: EndTarget,
    /// When and why.
    pub ended: Ended,
    /// Until when sessions of this user can no longer be adopted from another session layer;
    /// `None` if adoption stays as it is.
    pub close_adoption_until: Option<Timestamp>,
}

impl EndSessions {
    /// Ends the sessions of `target`.
    #[must_use]
    pub fn new(target: EndTarget, ended: Ended) -> Self {
        Self { target, ended, close_adoption_until: None }
    }
}

impl EndTarget {
    /// Returns the user whose sessions may end.
    #[must_use]
    pub fn user(&self) -> &Arc<str> {
        match self {
            Self::Session(session) | Self::Others(session) => &session.user,
            Self::All(user) => user,
        }
    }

    /// Returns the partition key of the user whose sessions may end.
    pub(crate) fn partition_key(&self) -> String {
        partition_key(self.user())
    }

    /// Returns `true` if `record` is one to end.
    #[must_use]
    pub fn covers(&self, record: &SessionRecord) -> bool {
        record.user == *self.user()
            && match self {
                Self::Session(session) => record.id == session.id,
                Self::Others(session) => record.id != session.id,
                Self::All(_) => true,
            }
    }
}
