//! Logins: the input and the outcomes of [`Registry::reserve`](crate::registry::Registry::reserve)
//! and [`Registry::commit`](crate::registry::Registry::commit).
//!
//! The key identifies a login: a login that is committed twice creates one record. The middleware
//! builds these values.

pub(crate) mod options;
pub(crate) mod stamp;
pub(crate) mod ticket;

use std::{sync::Arc, time::Duration};

use self::{stamp::Stamp, ticket::Takeover};
use super::{
    client::Client,
    data::SessionData,
    ended::Ended,
    key::{PublicId, RecordKey},
    record::SessionRecord,
    signing_key::SigningKey,
};
use crate::{
    policy::{Policy, PolicyPatch, limit::Limit},
    session::{limit::SessionLimit, reason::Reason},
    time::Timestamp,
};

/// Login that a registry commits.
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
/// let ended = login.eviction();
/// assert_eq!((ended.reason, ended.by.as_deref()), (Reason::Evicted, Some("Firefox on Linux")));
/// assert_eq!(SessionRecord::new(&login).last_seen, now);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewLogin {
    /// Secret key of the new record. It is also the idempotency key of the login: the same login
    /// may be committed again after its response was lost.
    pub(crate) key: RecordKey,
    /// Public id of the new record.
    pub id: PublicId,
    pub(crate) signing_key: SigningKey,
    /// User id, as `Identity::id` returns it.
    pub user: Arc<str>,
    /// Time of the login.
    pub at: Timestamp,
    /// For a session that is adopted from another session layer, the time of its login there. It
    /// becomes the time of the authentication.
    pub logged_in_at: Option<Timestamp>,
    /// Client of the login.
    pub client: Client,
    /// Generation of the registry when the slot was reserved; `None` without a reservation. If it
    /// is lower than that of the registry, the login is [void](LoginOutcome::Voided).
    pub reserved_in: Option<u64>,
    /// Previous session of the same user in this browser, and the reason why it ends. The login
    /// takes its slot.
    pub replaces: Option<(PublicId, Reason)>,
    /// Session limit of the user; the new session counts toward it.
    pub limit: SessionLimit,
    /// Idle timeout by which the session limit decides whether this session is active.
    pub idle: Limit<Duration>,
    /// Absolute timeout by which the session limit decides whether this session is active.
    pub absolute: Limit<Duration>,
    /// Longest idle timeout of all policies that can apply to this session; see
    /// [`SessionRecord::leaves_at`]. Default: the idle timeout.
    pub longest_idle: Limit<Duration>,
    /// Longest absolute timeout of all policies that can apply to this session. Default: the
    /// absolute timeout.
    pub longest_absolute: Limit<Duration>,
    /// Policy patch chosen at this login; see [`SessionRecord::login_policy`].
    pub login_policy: Option<Arc<PolicyPatch>>,
    /// Policy patch of the user; it has the highest precedence.
    pub user_policy: Option<Arc<PolicyPatch>>,
    /// `true` if the session takes no slot of the session limit.
    pub uncounted: bool,
    /// `true` if the session is not fresh until the user re-authenticates; see
    /// [`SessionRecord::remembered`].
    pub remembered: bool,
    /// User who impersonates [`user`](Self::user) in this session.
    pub actor: Option<Arc<str>>,
    /// Security stamp; see [`SessionRecord::stamp`].
    pub stamp: Option<Stamp>,
    /// Ticket that the login spends, and the session that it ends; `None` for a login without a
    /// ticket.
    pub takeover: Option<Takeover>,
    /// For a session that is adopted from another session layer, the time until which it may be
    /// adopted.
    pub adopted_until: Option<Timestamp>,
    /// Data of the session.
    pub data: SessionData,
}

/// Reservation of a slot for a login, until the login is committed or cancelled, or the deadline
/// passes.
///
/// A reservation ends no session. Under `overflow = "refuse"` the reservation is refused if the
/// limit is reached. The handler learns of it before it responds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reservation {
    /// Key of the login to commit.
    pub(crate) key: RecordKey,
    /// User id.
    pub user: Arc<str>,
    /// Current time.
    pub at: Timestamp,
    /// Time at which the slot becomes free again.
    pub until: Timestamp,
    /// Session of the same user whose slot the login takes.
    pub replaces: Option<PublicId>,
    /// Session limit of the user; the new session counts toward it.
    pub limit: SessionLimit,
    /// `true` if the session takes no slot. The reservation only checks
    /// [`SessionLimit::MAX_UNCOUNTED`], and need not be stored.
    pub uncounted: bool,
}

/// Outcome of [`Registry::reserve`](crate::registry::Registry::reserve).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReserveOutcome {
    /// The slot is reserved.
    Reserved {
        /// Generation of the registry, for [`NewLogin::reserved_in`].
        generation: u64,
    },
    /// The session limit is reached; nothing has changed.
    Refused {
        /// Active sessions of the user, oldest login first.
        active: Vec<SessionRecord>,
    },
}

/// Outcome of [`Registry::commit`](crate::registry::Registry::commit).
// A login is rare and its record is used at once, so a box would only add an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LoginOutcome {
    /// The record was created.
    Committed {
        /// New record.
        record: SessionRecord,
        /// Records that the login has ended: the replaced one and the evicted ones.
        ended: Vec<SessionRecord>,
    },
    /// The session limit is reached; nothing has changed.
    Refused {
        /// Active sessions of the user, oldest login first.
        active: Vec<SessionRecord>,
    },
    /// Sessions of this user can no longer be adopted; nothing has changed.
    AdoptionClosed,
    /// All sessions of all users were ended after the slot was reserved; nothing has changed.
    Voided,
    /// The ticket of [`NewLogin::takeover`] is unknown, spent or expired; nothing has changed.
    TicketInvalid,
}

impl Reservation {
    /// Returns the secret key of the login to commit. Do not log it.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        self.key
    }

    /// Sets the secret key of the login to commit.
    #[must_use]
    pub fn with_key(mut self, key: RecordKey) -> Self {
        self.key = key;
        self
    }
}

impl NewLogin {
    /// Returns the secret key of the new record. Do not log it.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        self.key
    }

    /// Sets the secret key of the new record. Default: a random key.
    #[must_use]
    pub fn with_key(mut self, key: RecordKey) -> Self {
        self.key = key;
        self
    }

    /// Returns a login of `user` at `at` with new keys, under the limits of `policy`.
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
            reserved_in: None,
            replaces: None,
            limit: SessionLimit::from(policy),
            idle: policy.idle,
            absolute: policy.absolute,
            longest_idle: policy.idle,
            longest_absolute: policy.absolute,
            login_policy: None,
            user_policy: None,
            uncounted: false,
            remembered: false,
            actor: None,
            stamp: None,
            takeover: None,
            adopted_until: None,
            data: SessionData::default(),
        }
    }

    /// Returns a reservation for this login with the deadline `until`.
    #[must_use]
    pub fn reservation(&self, until: Timestamp) -> Reservation {
        Reservation {
            key: self.key,
            user: Arc::clone(&self.user),
            at: self.at,
            until,
            replaces: self.replaces.map(|(id, _)| id),
            limit: self.limit,
            uncounted: self.uncounted,
        }
    }

    /// Returns the sessions that this login ends by choice: the replaced session, and the chosen
    /// session of the takeover. They take no slot.
    pub(crate) fn ended_by_choice(&self) -> [Option<PublicId>; 2] {
        let taken = self.takeover.as_ref().map(|takeover| takeover.session);
        [self.replaces.map(|(id, _)| id), taken]
    }

    /// Returns the end to record for a session that this login evicts.
    #[must_use]
    pub fn eviction(&self) -> Ended {
        Ended::new(Reason::Evicted, self.at).by(Arc::clone(&self.client.device))
    }
}
