//! Registry of session records: the one truth about who is signed in.

pub(crate) mod cancellation;
#[cfg(feature = "conformance")]
pub mod conformance;
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

#[cfg(feature = "redis")]
pub use self::redis::RedisConnectError;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteError;
pub use self::{
    end::{EndSessions, EndTarget},
    future::RegistryFuture,
    query::Query,
    rotation::{KeyRotation, RotationOutcome},
};
#[cfg(feature = "conformance")]
#[doc(inline)]
pub use self::conformance::conformance_tests;
pub use crate::session::{
    client::Client,
    data::{DataChanges, DataTooLarge, SessionData, StoredMessage},
    key::{RecordKey, SigningKey, partition_key},
    limit::{OpenSession, SessionLimit},
    login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
    record::{Ended, SessionRecord, SessionRef},
    update::{SessionUpdate, UpdateOutcome},
};
use crate::time::Timestamp;

/// A record as it was loaded, with its data. Both are shared: nothing is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSession {
    /// The record.
    pub record: Arc<SessionRecord>,
    /// The session data; empty for an ended record.
    pub data: Arc<SessionData>,
    /// How many counted records of this user are open, this one included; `None` if the count was
    /// not asked for. Some of them may have expired.
    pub open: Option<u32>,
}

impl StoredSession {
    /// Returns a record with its data, and the count of open records if it was asked for.
    #[must_use]
    pub fn new(record: Arc<SessionRecord>, data: Arc<SessionData>, open: Option<u32>) -> Self {
        Self { record, data, open }
    }
}

/// Everything the registry has on one user, for a request under GDPR Art. 15 and 20.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserExport {
    /// Open and ended records, newest login first.
    pub records: Vec<SessionRecord>,
    /// The data of the open ones.
    pub data: Vec<(SessionRef, SessionData)>,
}

/// Stores session records.
///
/// The cookie carries only a record's key; whether that session still counts is known here and
/// nowhere else. An error means that the registry could not be asked: the user is then treated as
/// anonymous, and stays signed in.
///
/// Every operation is one step that others see whole or not at all. Of any number of simultaneous
/// logins no more than the [`SessionLimit`] remain.
pub trait Registry: Send + Sync + 'static {
    /// Loads the record of `key`, ended or not, with its data; `None` if it is unknown.
    ///
    /// A key that was rotated yields its record as ended for
    /// [`Reason::Renewed`](crate::Reason::Renewed). Open records are counted only if `count_open`
    /// is `true`.
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>>;

    /// Holds a slot for a login, and ends no session.
    ///
    /// An active reservation counts like an active session. The same key replaces its reservation.
    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome>;

    /// Creates the record of a login with its data, ends the session it
    /// [replaces](NewLogin::replaces) and those that the limit evicts, and releases its
    /// reservation.
    ///
    /// A login with a reservation that is still active is not refused. A login whose key has a
    /// record already was committed before: that record is returned, and nothing changes.
    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome>;

    /// Cancels a login: releases its reservation, and ends the record if it was committed.
    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()>;

    /// Updates a record and merges its data, by the rules of [`SessionRecord::update`] and
    /// [`SessionData::apply`].
    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome>;

    /// Renames the key of a session and applies an update, in one step.
    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome>;

    /// Ends sessions, by the rule of [`SessionRecord::end`], and returns those that this call has
    /// ended. Their data is deleted.
    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>>;

    /// Ends the other counted sessions of the user until at most `limit` remain, and returns the
    /// ended records. Does nothing if `session` is not open. A session that has expired ends for
    /// that reason.
    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>>;

    /// Lists records, newest login first. Only a list of one user is one step.
    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>>;

    /// Ends all sessions of all users, voids reservations, closes adoption, and returns how many
    /// sessions ended.
    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64>;

    /// Deletes all records of `user`, open ones included, and returns how many there were.
    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64>;

    /// Returns everything the registry has on `user`.
    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport>;

    /// Returns `false` if the registry does not enforce `max_sessions`. A policy with a session
    /// limit is then a configuration error.
    fn enforces_limits(&self) -> bool;

    /// Called when a middleware starts to use the registry, at `now`.
    ///
    /// A registry whose records outlast the process, and which is not [shared](Self::is_shared),
    /// corrects the records that are [ahead](SessionRecord::is_ahead_of) of `now`: a clock that was
    /// wrong would keep sessions alive that are not used.
    fn on_start(&self, now: Timestamp);

    /// Returns `true` if several processes use the records at once.
    ///
    /// Where the clock is set back, a process alone with its records continues from the latest
    /// moment it has seen. Among others it must not: it would end their sessions as overdue.
    fn is_shared(&self) -> bool;
}
