//! New login: what a registry is given to create a record.

use std::{sync::Arc, time::Duration};

use super::{
    client::Client,
    data::SessionData,
    key::{PublicId, RecordKey, SigningKey},
    record::{Ended, SessionRecord},
};
use crate::{
    policy::{Policy, PolicyPatch, limit::Limit},
    session::{limit::SessionLimit, reason::Reason},
    time::Timestamp,
};

/// A login as it is handed to a registry.
///
/// ```
/// use session_expire::{
///     Policy, PolicyPatch, Reason, clock::Timestamp, hours, registry::{NewLogin, SessionRecord},
/// };
/// let now = Timestamp::from_millis(0);
/// let mut login = NewLogin::new("alice", now, &Policy::new().max_sessions(1));
/// login.client.device = "Firefox on Linux".into();
/// login.login_policy = Some(PolicyPatch::new().absolute(hours(24)).into());
///
/// assert_eq!(login.limit.max(), 1);
/// let ended = login.evicts();
/// assert_eq!((ended.reason, ended.by.as_deref()), (Reason::Evicted, Some("Firefox on Linux")));
/// assert_eq!(SessionRecord::new(&login).last_seen, now);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewLogin {
    /// Secret key of the new record, and the idempotency key of the login: the same login may be
    /// committed again after its answer was lost.
    pub key: RecordKey,
    /// Public id of the new record.
    pub id: PublicId,
    pub(crate) signing_key: SigningKey,
    /// User id, as actix-identity knows it.
    pub user: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// When the user had signed in before, if the session is adopted from another session layer; it
    /// then counts as the time of the authentication.
    pub logged_in_at: Option<Timestamp>,
    /// From where.
    pub client: Client,
    /// The session of the same user that this browser had, whose slot the login takes, and the
    /// reason for which it ends.
    pub replaces: Option<(PublicId, Reason)>,
    /// How many sessions the user may have, this one included.
    pub limit: SessionLimit,
    /// Idle timeout under which this session counts as active when sessions are counted.
    pub idle: Limit<Duration>,
    /// Absolute timeout under which it does.
    pub absolute: Limit<Duration>,
    /// Policy patch chosen at this login; see [`SessionRecord::login_policy`].
    pub login_policy: Option<Arc<PolicyPatch>>,
    /// Policy patch of the user; it has the last word.
    pub user_policy: Option<Arc<PolicyPatch>>,
    /// `true` if the session takes no slot of the session limit.
    pub uncounted: bool,
    /// The user who impersonates [`user`](Self::user) in this session.
    pub actor: Option<Arc<str>>,
    /// For a session that is adopted from another session layer: until when it may be adopted.
    pub adopted_until: Option<Timestamp>,
    /// Data of the session.
    pub data: SessionData,
}

/// A slot that is held for a login until it is committed, cancelled, or the deadline passes.
///
/// It ends no session. A login that is refused under `overflow = "refuse"` is refused here, before
/// the application has told the user anything.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reservation {
    /// Key of the login that is going to be committed.
    pub key: RecordKey,
    /// User id.
    pub user: Arc<str>,
    /// The time now.
    pub at: Timestamp,
    /// When the slot is free again.
    pub until: Timestamp,
    /// The session of the same user whose slot the login takes.
    pub replaces: Option<PublicId>,
    /// How many sessions the user may have, this one included.
    pub limit: SessionLimit,
}

/// Outcome of [`Registry::reserve`](crate::registry::Registry::reserve).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReserveOutcome {
    /// The slot is held.
    Reserved,
    /// The session limit is reached, and nothing has changed.
    Refused {
        /// The active sessions, oldest login first.
        active: Vec<SessionRecord>,
    },
}

/// Outcome of [`Registry::commit`](crate::registry::Registry::commit).
// A login is rare, and its record is about to be used: a box would only cost.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LoginOutcome {
    /// The record was created.
    Committed {
        /// The record.
        record: SessionRecord,
        /// The records that the login has ended: the one it replaces, and the evicted.
        ended: Vec<SessionRecord>,
    },
    /// The session limit is reached, and nothing has changed.
    Refused {
        /// The active sessions, oldest login first.
        active: Vec<SessionRecord>,
    },
    /// Sessions of this user can no longer be adopted, and nothing has changed.
    AdoptionClosed,
}

impl NewLogin {
    /// A login of `user` at `at`, with new keys, under the limits of `policy`.
    pub fn new(user: impl Into<Arc<str>>, at: Timestamp, policy: &Policy) -> Self {
        let user = user.into();
        Self {
            key: RecordKey::random(&user),
            id: PublicId::random(),
            signing_key: SigningKey::random(),
            user,
            at,
            logged_in_at: None,
            client: Client::default(),
            replaces: None,
            limit: SessionLimit::from(policy),
            idle: policy.idle,
            absolute: policy.absolute,
            login_policy: None,
            user_policy: None,
            uncounted: false,
            actor: None,
            adopted_until: None,
            data: SessionData::default(),
        }
    }

    /// Returns the reservation of a slot for this login until `until`.
    #[must_use]
    pub fn reservation(&self, until: Timestamp) -> Reservation {
        Reservation {
            key: self.key,
            user: Arc::clone(&self.user),
            at: self.at,
            until,
            replaces: self.replaces.map(|(id, _)| id),
            limit: self.limit,
        }
    }

    /// Returns how this login is written into the record of a session that it evicts.
    #[must_use]
    pub fn evicts(&self) -> Ended {
        Ended::new(Reason::Evicted, self.at).by(Arc::clone(&self.client.device))
    }
}
