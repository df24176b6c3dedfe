//! Sessions to end: the input of [`Registry::end`](crate::registry::Registry::end).
//!
//! A target never includes sessions of two users, so a registry ends it atomically. The sessions
//! API, the logout endpoint and the settling of a request build it.

use std::sync::Arc;

use crate::{
    session::{
        ended::Ended,
        key::partition_key,
        record::{SessionRecord, SessionRef},
    },
    time::Timestamp,
};

/// Target of [`EndSessions`]: one or more sessions of one user.
///
/// ```
/// use session_expire::{Policy, clock::Timestamp, registry::{EndTarget, NewLogin, SessionRecord}};
/// let login = NewLogin::new("alice", Timestamp::from_millis(0), &Policy::new());
/// let record = SessionRecord::new(&login);
/// assert!(EndTarget::Session(record.session_ref()).covers(&record));
/// assert!(EndTarget::All("alice".into()).covers(&record));
/// assert!(!EndTarget::Others(record.session_ref()).covers(&record));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndTarget {
    /// One session. The user's [tickets](crate::registry::LoginTicket) stay valid.
    Session(SessionRef),
    /// All other sessions of the user, whose tickets become void. If this session itself is not
    /// open, nothing changes.
    Others(SessionRef),
    /// All sessions of one user, whose tickets become void.
    All(Arc<str>),
}

/// Sessions to end, and the end to record.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EndSessions {
    /// Sessions to end.
    pub target: EndTarget,
    /// End to record: time, reason, cause.
    pub ended: Ended,
    /// Time until which no session of this user can be adopted from another session layer; `None`
    /// leaves adoption unchanged.
    pub close_adoption_until: Option<Timestamp>,
}

impl EndSessions {
    /// Returns the operation that ends the sessions of `target`; adoption stays unchanged.
    #[must_use]
    pub fn new(target: EndTarget, ended: Ended) -> Self {
        Self { target, ended, close_adoption_until: None }
    }
}

impl EndTarget {
    /// Returns the user of the sessions.
    #[must_use]
    pub fn user(&self) -> &Arc<str> {
        match self {
            Self::Session(session) | Self::Others(session) => &session.user,
            Self::All(user) => user,
        }
    }

    /// Returns the partition key of the user.
    pub(crate) fn partition_key(&self) -> String {
        partition_key(self.user())
    }

    /// Returns `true` if the end voids the user's tickets. After a change of the password, the end
    /// of the other sessions must include logins in progress.
    pub(crate) fn voids_tickets(&self) -> bool {
        !matches!(self, Self::Session(_))
    }

    /// Returns `true` if the target includes `record`.
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
