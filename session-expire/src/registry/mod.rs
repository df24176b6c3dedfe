//! Session registry: the trait [`Registry`], its implementations, and the types of its operations.
//!
//! The registry decides whether a session is active; a cookie only carries the key of a record. The
//! middleware uses one registry per application. Implementations of the trait use the types here.

pub(crate) mod cancellation;
pub(crate) mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
pub(crate) mod current;
pub(crate) mod end;
pub(crate) mod future;
mod index;
pub(crate) mod memory;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(all(test, shuttle))]
mod model_check;
pub(crate) mod query;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod rotation;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::sync::Arc;

/// The crate `redis`, for the [`Client`](redis_rs::Client) that
/// [`RedisRegistry::from_client`](crate::RedisRegistry::from_client) takes.
#[cfg(feature = "redis")]
pub use ::redis as redis_rs;
#[doc(no_inline)]
pub use ipnet::IpNet;

#[cfg(feature = "conformance")]
#[doc(inline)]
pub use self::conformance::conformance_tests;
#[cfg(feature = "redis")]
pub use self::redis::RedisConnectError;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteError;
pub use self::{
    change::{Change, ChangeListener, Subscription},
    end::{EndSessions, EndTarget},
    future::RegistryFuture,
    query::Query,
    rotation::{KeyRotation, RotationOutcome},
};
pub use crate::session::{
    client::Client,
    data::{DataChanges, DataTooLarge, SessionData, StoredMessage},
    ended::Ended,
    key::{RecordKey, partition_key},
    limit::{OpenSession, SessionLimit},
    login::stamp::Stamp,
    login::ticket::{LoginTicket, Takeover},
    login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
    record::{SessionRecord, SessionRef},
    signing_key::SigningKey,
    update::{SessionUpdate, UpdateOutcome},
};
use crate::time::Timestamp;

/// Loaded record with its session data. Both are shared and not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSession {
    /// Session record.
    pub record: Arc<SessionRecord>,
    /// Session data; empty for an ended record.
    pub data: Arc<SessionData>,
    /// Number of open counted records of this user, including expired ones; `None` if they were not
    /// counted.
    pub open: Option<u32>,
}

impl StoredSession {
    /// Returns a record with its data, and the number of open records if they were counted.
    #[must_use]
    pub fn new(record: Arc<SessionRecord>, data: Arc<SessionData>, open: Option<u32>) -> Self {
        Self { record, data, open }
    }
}

/// All stored records and data of one user, for a request under GDPR Art. 15 and 20.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserExport {
    /// Open and ended records, newest login first.
    pub records: Vec<SessionRecord>,
    /// Session data of the open records.
    pub data: Vec<(SessionRef, SessionData)>,
}

/// Storage of session records.
///
/// The registry alone decides whether a session is active; the cookie only carries the key of a
/// record. After an error the middleware treats the user of that request as anonymous. The session
/// survives.
///
/// # Atomicity
///
/// Every operation is atomic: other operations see all of its changes or none. After any number of
/// simultaneous logins, a user has at most as many sessions as the [`SessionLimit`] allows. Only
/// [`end_everyone`](Self::end_everyone) and lists of all users may be atomic per user.
///
/// # Cancel safety
///
/// An operation whose future was dropped has taken effect completely or not at all. To end a login
/// whose future was dropped, call [`cancel`](Self::cancel).
///
/// # Errors
///
/// Every future returns [`RegistryError`](crate::error::RegistryError) if the storage fails.
pub trait Registry: Send + Sync + 'static {
    /// Loads the record of `key`, open or ended, with its data; `None` if the key is unknown.
    ///
    /// A rotated key loads its record as ended for [`Reason::Renewed`](crate::Reason::Renewed),
    /// with the public id that the session has after this rotation. Lists do not contain this
    /// record.
    /// `count_open` sets whether the open records of the user are counted, which may cost more.
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>>;

    /// Reserves a slot for a login.
    ///
    /// A reservation ends no session. Until its deadline it takes a slot like an active session. A
    /// second reservation with the same key replaces the first.
    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome>;

    /// Creates the record of a login with its data.
    ///
    /// It also ends the session that the login [replaces](NewLogin::replaces) and the sessions that
    /// the limit evicts, and releases the reservation. A login with an active reservation is not
    /// refused. If the key has a record, the login was committed before: `commit` returns that
    /// record and changes nothing.
    ///
    /// A login with a [`takeover`](NewLogin::takeover) spends its ticket, ends the session of the
    /// takeover and takes its slot. If the login is refused, the ticket is not spent.
    ///
    /// An [uncounted](NewLogin::uncounted) login takes no slot and evicts no session. It is refused
    /// if the user has [`SessionLimit::MAX_UNCOUNTED`] active uncounted sessions besides the
    /// replaced session and the chosen session of the takeover. If that many are open, it ends the
    /// expired ones.
    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome>;

    /// Stores a ticket for a login of its user until it expires or is spent.
    ///
    /// A user has at most [`LoginTicket::MAX_PER_USER`] tickets; the first to expire is deleted. A
    /// commit with a [`takeover`](NewLogin::takeover) spends a ticket. An end of all sessions of
    /// the user, of all except one, or of those of all users deletes the tickets, and so does
    /// [`erase`](Self::erase).
    fn issue_ticket(&self, ticket: LoginTicket) -> RegistryFuture<'_, ()>;

    /// Counts an attempt to re-authenticate as [`SessionRecord::count_confirmation_attempt`] does.
    /// Returns the resulting record; `None` if the session is not open.
    fn count_confirmation_attempt(
        &self,
        session: SessionRef,
        ended: Ended,
    ) -> RegistryFuture<'_, Option<SessionRecord>>;

    /// Cancels a login: releases its reservation, and ends its record if the login was committed.
    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()>;

    /// Updates a record as [`SessionRecord::update`] does, and merges its data as
    /// [`SessionData::apply`] does.
    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome>;

    /// Replaces the key of a session, applies an update, and then changes the record as
    /// [`SessionRecord::rotate_key`] does.
    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome>;

    /// Ends sessions as [`SessionRecord::end`] does, deletes their data, and returns the records
    /// that this call has ended. [`EndTarget`] lists the ends that also delete the user's tickets.
    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>>;

    /// Ends the user's other counted sessions until at most `limit` remain, and returns the ended
    /// records.
    ///
    /// Expired sessions end first, with their expiry reason. If `session` is not open, no session
    /// ends.
    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>>;

    /// Lists records, newest login first.
    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>>;

    /// Ends all sessions of all users, voids all reservations and closes adoption. Returns the
    /// number of sessions that were open.
    ///
    /// It increments the registry's generation number. Every record has the
    /// [generation](SessionRecord::generation) of its login. An open record of an earlier
    /// generation has ended, with the `ended` of the first call after its login. Apart from the
    /// count, the duration of this operation does not depend on the number of records.
    ///
    /// The login of a voided reservation commits nothing: its outcome is [`LoginOutcome::Voided`].
    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64>;

    /// Deletes all records of `user`, including open ones, and returns their number. Afterwards the
    /// registry no longer contains the user id, except as the [`actor`](SessionRecord::actor) of
    /// other users' sessions, where it is part of their history.
    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64>;

    /// Returns all stored records and data of `user`.
    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport>;

    /// Reports changes of sessions to `listener` until the returned subscription is dropped.
    ///
    /// The registry must report these changes, including those by other processes:
    ///
    /// - each login and each end
    /// - each key rotation
    /// - each new user policy or signing key
    /// - the deletion of a user's records
    /// - [`Change::Any`] if reports may have been lost, or if the subscription takes effect only
    ///   after this call
    ///
    /// Activity and session data are not reported. Changes of one user that do not overlap in time
    /// are reported in their order.
    ///
    /// A change is reported after it has taken effect. A load that starts after the report must
    /// return the changed record.
    ///
    /// The middleware subscribes while it has open streams, and for 30 seconds after the last one; see
    /// [`SessionHandle::ended`](crate::SessionHandle::ended). A registry without reports returns a
    /// subscription whose [`check`](Subscription::check) returns `false`. Streams then end late, by
    /// up to the interval of [`live_check`](crate::SessionExpireBuilder::live_check).
    fn subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription>;

    /// Returns `true` if the registry enforces session limits. If not, a policy with `max_sessions`
    /// is a configuration error.
    fn enforces_limits(&self) -> bool;

    /// Called at `now` when a middleware starts to use the registry. If the registry is
    /// [shared](Self::is_shared) and has no [`server_time`](Self::server_time), it is called again
    /// after the clock was set back by more than 10 seconds.
    ///
    /// A registry whose records survive a restart corrects the records that are
    /// [ahead](SessionRecord::is_ahead_of) of `now`, unless its processes may have different
    /// clocks. Otherwise unused sessions would stay active after a wrong clock was corrected.
    fn on_start(&self, now: Timestamp);

    /// Returns `true` if several processes use the records at the same time.
    ///
    /// It decides the effect of a clock that is set back. With a registry of its own, the process
    /// continues from the latest time that it has seen. With a shared registry it uses the new
    /// time: otherwise it would end sessions that are active for the other processes.
    fn is_shared(&self) -> bool;

    /// Returns the current time of the clock that the processes share, such as that of a database
    /// server; `None` without one.
    ///
    /// The middleware uses it instead of the system clock. Otherwise a process with a wrong clock
    /// would end sessions that are active for the other processes. It is called for every request
    /// and must not wait.
    fn server_time(&self) -> Option<Timestamp>;
}
