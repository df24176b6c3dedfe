//! Write of an operation that is decided: first into the file, then applied to memory.

use std::sync::Arc;

use rusqlite::Connection;

use super::{command::Respond, error::FileError, file::statements, shared::Shared};
use crate::{
    policy::limit::Limit,
    registry::index::{shard::Shard, write_set::WriteSet},
    session::{
        key::RecordKey,
        reason::Reason,
        record::{Ended, SessionRecord},
    },
    time::Timestamp,
};

/// A write that is decided. Its shard is marked until it is finished or has failed.
pub(super) struct PendingWrite {
    partition_key: String,
    writes: WriteSet,
    /// Open records of any user that no request has used for so long that memory drops them.
    unused: Vec<(RecordKey, Ended)>,
    /// The time of a login, at which tombstones are purged.
    purge_at: Option<Timestamp>,
    respond: Respond,
}

impl PendingWrite {
    pub(super) fn new(partition_key: String, writes: WriteSet, respond: Respond) -> Self {
        Self { partition_key, writes, unused: vec![], purge_at: None, respond }
    }

    /// Adds what a login at `now` has to purge. Open records that memory drops end first: the file
    /// would have them open for ever.
    pub(super) fn with_purge(self, now: Timestamp, shard: &mut Shard) -> Self {
        let is_due = shard.needs_purge(now);
        let unused = is_due.then(|| shard.unused(now)).into_iter().flatten();
        let unused = unused.map(|(key, record)| (key, end_of_unused(record, now))).collect();
        Self { unused, purge_at: Some(now), ..self }
    }

    /// Returns the write, with its shard marked, if the file must change. Otherwise the operation
    /// completes at once.
    pub(super) fn marked(self, shard: &mut Shard) -> Option<Self> {
        if changes_file(&self.writes) {
            shard.set_pending_write(true);
            return Some(self);
        }
        let ended = shard.apply(self.writes);
        (self.respond)(Ok(ended));
        None
    }

    /// Writes into the file, within the transaction that is open.
    pub(super) fn write(&self, db: &Connection, shared: &Shared) -> Result<(), FileError> {
        self.write_rows(db, shared).map_err(|error| shared.error(error))
    }

    fn write_rows(&self, db: &Connection, shared: &Shared) -> rusqlite::Result<()> {
        let mut users = self.write_ends(db, shared)?;
        if let Some(update) = &self.writes.updates {
            statements::update(db, update)?;
        }
        if let Some(closing) = &self.writes.closes_adoption {
            statements::close_adoption(db, closing)?;
        }
        if let Some(user) = &self.writes.erases {
            statements::erase(db, user)?;
        }
        if let Some(entry) = &self.writes.opens {
            statements::insert(db, entry)?;
            users.push(Arc::clone(&entry.record.user));
        }
        prune(db, users, shared.history_limit())?;
        self.purge_at.map_or(Ok(()), |now| purge(db, shared, now))
    }

    /// Returns the users whose sessions end.
    fn write_ends(&self, db: &Connection, shared: &Shared) -> rusqlite::Result<Vec<Arc<str>>> {
        let mut users = vec![];
        for (key, ended) in self.writes.ends.iter().chain(&self.unused) {
            let Some(record) = shared.record(key) else { continue };
            statements::update_activity(db, key, &record)?;
            statements::end(db, key, ended)?;
            users.push(record.user);
        }
        Ok(users)
    }

    /// Applies to memory what the file has, and completes the operation.
    pub(super) fn finish(self, shared: &Shared) {
        let mut shard = shared.index.shard(&self.partition_key);
        shard.set_pending_write(false);
        let ended = shard.apply(self.writes);
        let unused = shard.apply(WriteSet { ends: self.unused, ..WriteSet::default() });
        // Memory lists open records only: the history is in the file.
        ended.iter().chain(&unused).for_each(|record| shard.prune(&record.user, Limit::At(0)));
        if let Some(now) = self.purge_at.filter(|now| shard.needs_purge(*now)) {
            shard.purge(now);
        }
        drop(shard);
        (self.respond)(Ok(ended));
    }

    pub(super) fn fail(self, error: FileError, shared: &Shared) {
        shared.index.shard(&self.partition_key).set_pending_write(false);
        (self.respond)(Err(error));
    }
}

fn end_of_unused(record: &SessionRecord, now: Timestamp) -> Ended {
    Ended::new(record.expiry_reason(now).unwrap_or(Reason::Idle), now)
}

/// Returns `true` unless all of `writes` is reservations, which are not durable: a process that
/// dies loses the requests that hold them, too.
fn changes_file(writes: &WriteSet) -> bool {
    let WriteSet { opens, ends, updates, reserves: _, releases: _, closes_adoption, erases } =
        writes;
    opens.is_some()
        || !ends.is_empty()
        || updates.is_some()
        || closes_adoption.is_some()
        || erases.is_some()
}

fn purge(db: &Connection, shared: &Shared, now: Timestamp) -> rusqlite::Result<()> {
    if let Some(start) = shared.history_start(now) {
        statements::prune_before(db, start)?;
    }
    statements::purge(db, now)
}

fn prune(db: &Connection, mut users: Vec<Arc<str>>, limit: Option<u32>) -> rusqlite::Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    users.sort();
    users.dedup();
    users.iter().try_for_each(|user| statements::prune(db, user, limit))
}
