//! Session registry on a Redis server, for several processes.
//!
//! Every operation on one user is one script and therefore atomic.
//!
//! The first two letters of a partition key are the tag of a user. A script changes the keys of a
//! tag atomically. They have one hash tag, and therefore one hash slot.
//!
//! | key | type | content |
//! |---|---|---|
//! | `sx3:{aB}` | hash | records, and the other fields below |
//! | `sx3:{aB}:open` | sorted set | entries of open sessions by the time of login |
//! | `sx3:{aB}:ended` | sorted set | entries of the history by the time of login |
//! | `sx3:{aB}:former` | sorted set | entries of sessions that `end_everyone` has ended |
//! | `sx3:{aB}:due` | sorted set | entries by the time of their next step of retention |
//! | `sx3:{aB}:ends` | hash | generation, and the ends by the last calls of `end_everyone`; it never expires |
//! | `sx3:{aB}:user` | sorted set | index of one user, by the hash of the user id |
//! | `sx3:{00}:epoch` | string | random text, see [`changes`]; it never expires |
//!
//! | field of the hash | content |
//! |---|---|
//! | `name` | record, see [`record`](stored::record), or reservation; the name is the hash of its secret key |
//! | `d:name` | session data of the record, see [`data`](stored::data) |
//! | `a:user` | time until which sessions of the user cannot be adopted |
//! | `counter` | counter that orders tombstones |
//! | `generation` | copy of the generation, because a load reads only this key |
//!
//! An entry is the first three letters of a public id, followed by the name of the record. The
//! letters give simultaneous logins the order of lists. The set `due` also contains `r:name`
//! (reservation), `a:user` (closed adoption) and `k:user` (tickets). Scripts keep the fields,
//! classes and due entries of a newer version.
//!
//! A user index combines several orders in one set. The first letter of a member is its class, and
//! each class has its own range of scores. A script counts or selects sessions by a range of
//! scores, and reads only the records that it ends.
//!
//! | class | member | score |
//! |---|---|---|
//! | `C` | open session that takes a slot | time of login |
//! | `S` | the same | time of the last activity |
//! | `E` | the same | time at which it expires under its own timeouts |
//! | `U` | open uncounted session | time of login |
//! | `I` | open session | number derived from its public id |
//! | `R` | reservation, with its name | deadline |
//! | `H` | session in the history | time of login |
//! | `T` | tombstone | counter |
//! | `X` | open uncounted session | time at which it expires under its own timeouts |
//! | `K` | ticket, with its name | time at which it expires |
//! | `G` | none | generation of the open sessions |
//!
//! `end_everyone` increments the generation of every tag. Open records of an earlier generation are
//! read as ended; the next operation on their user moves them to the history.
//!
//! A sorted set stays in its compact encoding with at most 128 short members. With 100,000 users,
//! the sets of a tag have about 30 members. The `3` in `sx3` is the version of the layout.
//!
//! Names contain the SHA-256 of a user id, never its text. No secret key is stored.

mod cache;
mod changes;
mod connect;
mod connect_cluster;
mod connect_sentinel;
mod end_everyone;
mod error;
mod list_all;
mod lists;
mod load;
mod logins;
mod operations;
mod redis_registry;
mod script;
mod server;
mod stored;
mod tag_records;
mod urls;

use std::sync::Arc;

use futures_util::TryFutureExt;

use self::error::OperationError;
pub use self::{error::RedisConnectError, redis_registry::RedisRegistry};
use super::{
    Registry, StoredSession, UserExport,
    change::{ChangeListener, Subscription},
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
        login::ticket::LoginTicket,
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

    fn issue_ticket(&self, ticket: LoginTicket) -> RegistryFuture<'_, ()> {
        run_operation("issue a ticket", self.0.issue_ticket(ticket))
    }

    fn count_confirmation_attempt(
        &self,
        session: SessionRef,
        ended: Ended,
    ) -> RegistryFuture<'_, Option<SessionRecord>> {
        let counted = self.0.count_confirmation_attempt(session, ended);
        run_operation("count a confirmation attempt", counted)
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

    fn subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        self.0.subscribe(listener)
    }

    fn enforces_limits(&self) -> bool {
        true
    }

    /// Does nothing: the records are [shared](Registry::is_shared).
    fn on_start(&self, _now: Timestamp) {}

    fn is_shared(&self) -> bool {
        true
    }

    fn server_time(&self) -> Option<Timestamp> {
        self.0.connection.server_time()
    }
}

/// Reads a stored record and session data, and panics if they cannot be written and read again.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_and_write(bytes: &[u8]) {
    if let Ok(record) =
        stored::record::StoredFields::parse(bytes).and_then(|fields| fields.record())
    {
        assert!(stored::record::to_stored(&record, "hash").is_ok());
    }
    if let Ok(data) = stored::data::from_bytes(bytes) {
        assert!(
            stored::data::from_bytes(stored::data::to_text(&data).as_bytes())
                .is_ok_and(|read| read == data)
        );
    }
}
