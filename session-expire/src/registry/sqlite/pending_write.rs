//! Pending write: a decided operation on its way to the file and to memory.
//!
//! Its shard is marked until memory has changed or the write has failed. During that time the state
//! on which the decision is based does not change. Only the writer uses it.

use std::sync::Arc;

use rusqlite::Connection;

use super::{command::Respond, error::FileError, file::statements, shared::Shared};
use crate::{
    policy::limit::Limit,
    registry::index::{shard::Shard, write_set::WriteSet},
    session::{ended::Ended, key::RecordKey, reason::Reason, record::SessionRecord},
    time::Timestamp,
};

/// Decided operation that must be written to the file.
pub(super) struct PendingWrite {
    partition_key: String,
    writes: WriteSet,
    /// Open records without activity that the purge of the shard ends.
    unused: Vec<(RecordKey, Ended)>,
    /// Time of the login that purges the file; `None` for other operations.
    purge_at: Option<Timestamp>,
    respond: Respond,
}

impl PendingWrite {
    pub(super) fn new(partition_key: String, writes: WriteSet, respond: Respond) -> Self {
        Self { partition_key, writes, unused: vec![], purge_at: None, respond }
    }

    /// Adds the purge that a login at `now` triggers. Unused open records end before memory deletes
    /// them; otherwise they would stay open in the file forever.
    pub(super) fn with_purge(self, now: Timestamp, shard: &mut Shard) -> Self {
        let is_due = shard.needs_purge(now);
        let unused = is_due.then(|| shard.unused(now)).into_iter().flatten();
        let unused = unused.map(|(key, record)| (key, end_of_unused(record, now))).collect();
        Self { unused, purge_at: Some(now), ..self }
    }

    /// Marks the shard and returns the write if the file must change. Otherwise completes the
    /// operation and returns `None`.
    pub(super) fn start(self, shard: &mut Shard) -> Option<Self> {
        if changes_file(&self.writes) {
            shard.set_pending_write(true);
            return Some(self);
        }
        let ended = shard.apply(self.writes);
        (self.respond)(Ok(ended));
        None
    }

    /// Writes to the file, within the open transaction.
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

    /// Writes the ends and returns the users of the ended sessions.
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

    /// Applies the write to memory after the commit of the file, and completes the operation.
    pub(super) fn finish(self, shared: &Shared) {
        let mut shard = shared.index.shard(&self.partition_key);
        shard.set_pending_write(false);
        let ended = shard.apply(self.writes);
        let unused = shard.apply(WriteSet { ends: self.unused, ..WriteSet::default() });
        // The history is read from the file; memory contains only open records and tombstones.
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

/// Returns `true` if `writes` changes more than reservations. Reservations are not stored, because
/// a process that terminates loses their requests, too.
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
