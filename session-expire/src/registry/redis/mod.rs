//! Registry on a Redis server, for several processes.
//!
//! All users whose keys begin with the same four letters share four Redis keys, a partition, which
//! carry those letters as their cluster hash partition_key:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `sx1:{aB3d}` | hash | the fields below |
//! | `sx1:{aB3d}:open` | sorted set | open sessions and reservations, in order of login |
//! | `sx1:{aB3d}:past` | sorted set | ended sessions, in order of login, and tombstones |
//! | `sx1:{aB3d}:due` | sorted set | when each field of the hash may be deleted |
//!
//! | field of the hash | holds |
//! |---|---|
//! | `name` | a record as JSON; the name is the hash of its secret key |
//! | `d:name` | its data, see [`data`] |
//! | `i:id` | the name of the open record with this public id |
//! | `r:name` | a reservation |
//! | `a:user` | until when sessions of the user cannot be adopted |
//! | `counter` | a counter, which gives logins and tombstones their order |
//!
//! A member of `open` is `user:order:name` for a counted session, `user;order:name` for an
//! uncounted one, and `user<name` for a reservation. A member of `past` is `user:time:name` for an
//! ended session in the history, with the time of its login, and `user=order:name` for another tombstone. So each kind is
//! counted and read as one range. The `1` in `sx1` is the version of the layout.
//!
//! A script knows all keys that it touches before it runs, and needs only the key of a record or
//! its user for that; what it does is one step. Users appear in names as the SHA-256 of their text,
//! whatever its characters, and secret keys appear nowhere.

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
        key::RecordKey,
        limit::SessionLimit,
        login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
        record::{Ended, SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
    time::Timestamp,
};

/// Names the operation in its error.
fn named<'a, T: 'a>(
    operation: &'static str,
    work: impl Future<Output = Result<T, OperationError>> + Send + 'a,
) -> RegistryFuture<'a, T> {
    // No async block, which would hold `work` twice.
    RegistryFuture::boxed(work.map_err(move |cause| RegistryError::new(operation, cause)))
}

impl Registry for RedisRegistry {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>> {
        match self.0.cached(&key, count_open) {
            Some(loaded) => RegistryFuture::ready(Ok(Some(loaded))),
            None => named("load a record", self.0.load(key, count_open)),
        }
    }

    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        named("reserve a login", self.0.reserve(reservation))
    }

    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        named("commit a login", self.0.commit(login))
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        named("cancel a login", self.0.cancel(key, ended))
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        named("update a record", self.0.update(session, update))
    }

    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        named("rotate a key", self.0.rotate(rotation))
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        named("end sessions", self.0.end(end))
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        named("enforce a session limit", self.0.enforce_limit(session, limit, ended))
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        named("list records", self.0.list(query))
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        named("end all sessions", self.0.end_everyone(ended))
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        named("erase a user", self.0.erase(user))
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        named("export a user", self.0.export(user))
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

/// Reads a record as it comes from the server; one that can be read can be written and read again.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_and_write(bytes: &[u8]) {
    if let Ok(record) = record::RecordDto::read(bytes) {
        assert!(record::RecordDto::new(&record, std::time::Duration::ZERO).is_ok());
    }
    if let Ok(data) = data::from_bytes(bytes) {
        assert!(data::from_bytes(data::to_text(&data).as_bytes()).is_ok_and(|read| read == data));
    }
}
