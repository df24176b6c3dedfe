//! Session registry on a Redis server, for several processes.
//!
//! Every operation on one user is one script and therefore atomic. The keys that it needs follow
//! from the secret key or the user, so it also runs on a cluster.
//!
//! The users with the same partition key share four Redis keys, a partition. The partition key is
//! the hash tag of these keys:
//!
//! | key | type | content |
//! |---|---|---|
//! | `sx2:{aB3d}` | hash | the fields below |
//! | `sx2:{aB3d}:open` | sorted set | open sessions and reservations, in order of login |
//! | `sx2:{aB3d}:ended` | sorted set | ended sessions, in order of login, and tombstones |
//! | `sx2:{aB3d}:due` | sorted set | time at which each field of the hash may be deleted |
//!
//! | field of the hash | content |
//! |---|---|
//! | `name` | record as JSON; the name is the hash of its secret key |
//! | `d:name` | session data of the record, see [`data`] |
//! | `i:id` | name of the open record with this public id |
//! | `r:name` | reservation |
//! | `a:user` | time until which sessions of the user cannot be adopted |
//! | `counter` | counter that orders logins and tombstones |
//!
//! Members of `open` are `user:order:name` (counted session), `user;order:name` (uncounted session)
//! and `user<name` (reservation). Members of `ended` are `user:time:name` (session in the history,
//! with the time of its login) and `user=order:name` (other tombstone). The separator makes the
//! members of each class one range, which a script counts or reads. The `2` in `sx2` is the version
//! of the layout.
//!
//! Names contain the SHA-256 of a user id, never its text. No secret key is stored.

mod as_string;
mod cache;
mod connection;
mod data;
mod error;
mod lists;
mod logins;
mod operations;
mod record;
mod redis_registry;
mod script;
mod script_args;
mod send;

use std::sync::Arc;

use futures_util::TryFutureExt;

use self::error::OperationError;
pub use self::{error::RedisConnectError, redis_registry::RedisRegistry};
use super::{
    Registry, StoredSession, UserExport,
    end::EndSessions,
    future::RegistryFuture,
    query::Query,
    rotation::{KeyRotation, RotationOutcome},
};
use crate::{
    error::RegistryError,
    session::{
        ended::Ended,
        key::RecordKey,
        limit::SessionLimit,
        login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
        record::{SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
    time::Timestamp,
};

/// Returns the future of an operation. An error message names the `operation`.
fn run_operation<'a, T: 'a>(
    operation: &'static str,
    work: impl Future<Output = Result<T, OperationError>> + Send + 'a,
) -> RegistryFuture<'a, T> {
    // An async block would store `work` twice.
    RegistryFuture::boxed(work.map_err(move |cause| RegistryError::new(operation, cause)))
}

impl Registry for RedisRegistry {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>> {
        match self.0.cached(&key, count_open) {
            Some(loaded) => RegistryFuture::ready(Ok(Some(loaded))),
            None => run_operation("load a session", self.0.load(key, count_open)),
        }
    }

    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        run_operation("reserve a login", self.0.reserve(reservation))
    }

    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        run_operation("commit a login", self.0.commit(login))
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        run_operation("cancel a login", self.0.cancel(key, ended))
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        run_operation("update a session", self.0.update(session, update))
    }

    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        run_operation("rotate a key", self.0.rotate(rotation))
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        run_operation("end sessions", self.0.end(end))
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        run_operation("enforce a session limit", self.0.enforce_limit(session, limit, ended))
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        run_operation("list sessions", self.0.list(query))
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        run_operation("end all sessions", self.0.end_everyone(ended))
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        run_operation("erase a user", self.0.erase(user))
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        run_operation("export a user", self.0.export(user))
    }

    fn enforces_limits(&self) -> bool {
        true
    }

    /// Does nothing: the records are [shared](Registry::is_shared).
    fn on_start(&self, _now: Timestamp) {}

    fn is_shared(&self) -> bool {
        true
    }
}

/// Reads a stored record and session data, and panics if they cannot be written and read again.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_and_write(bytes: &[u8]) {
    if let Ok(record) = record::RecordDto::read(bytes) {
        assert!(record::RecordDto::new(&record, std::time::Duration::ZERO).is_ok());
    }
    if let Ok(data) = data::from_bytes(bytes) {
        assert!(data::from_bytes(data::to_text(&data).as_bytes()).is_ok_and(|read| read == data));
    }
}
