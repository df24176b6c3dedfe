//! What the threads of one registry share.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use rusqlite::Connection;

use super::{error::Failure, rows};
use crate::{
    limit::Limit,
    registry::{key::RecordKey, record::Change, shard::Shards},
    time::Timestamp,
};

/// The records that requests are judged by. Only the writer opens and ends any, and only after the
/// file has them; `last_seen` moves here first.
pub(super) struct State {
    pub(super) file: Arc<PathBuf>,
    /// Open logins, and for a day the ended ones; under [hashed](rows::hashed) keys.
    pub(super) shards: Shards,
    /// Whose `last_seen` the file doesn't have yet.
    unsaved: Mutex<HashSet<RecordKey>>,
    /// Negative for no limit.
    log_limit: AtomicI64,
}

impl State {
    /// The open logins of the file.
    pub(super) fn load(file: PathBuf, db: &Connection) -> rusqlite::Result<Self> {
        let shards = Shards::new();
        let sql =
            format!("SELECT {} FROM logins WHERE ended_at IS NULL ORDER BY seq", rows::COLUMNS);
        let mut open = db.prepare(&sql)?;
        for row in open.query_map([], rows::read)? {
            let (key, mut record) = row?;
            let mut shard = shards.of_tag(key.tag());
            record.client.device = shard.intern(&record.client.device);
            shard.open(key, record);
        }
        let (file, unsaved, log_limit) = (Arc::new(file), Mutex::default(), AtomicI64::new(-1));
        Ok(Self { file, shards, unsaved, log_limit })
    }

    pub(super) fn log_limit(&self) -> Option<u32> {
        u32::try_from(self.log_limit.load(Ordering::Acquire)).ok()
    }

    pub(super) fn set_log_limit(&self, limit: Limit<u32>) {
        self.log_limit.store(limit.at().map_or(-1, i64::from), Ordering::Release);
    }

    pub(super) fn failure(&self, error: rusqlite::Error) -> Failure {
        Failure::Sqlite { file: Arc::clone(&self.file), source: Arc::new(error) }
    }

    /// Notes activity, to be written later. `false`, with nothing done, for what must not wait:
    /// everything that after a crash could let a session last longer than it should.
    pub(super) fn touch(&self, key: &RecordKey, change: &Change) -> bool {
        let mut shard = self.shards.of_tag(key.tag());
        let Some(record) = shard.record_mut(key).filter(|record| record.ended.is_none()) else {
            return true;
        };
        let new_patch = change.patch.as_ref().is_some_and(|patch| *patch != record.patch);
        if new_patch || record.last_seen.max(record.logged_in_at) > change.now {
            return false;
        }
        let before = record.last_seen;
        record.touch(change);
        if record.last_seen != before {
            self.unsaved().insert(*key);
        }
        true
    }

    /// Takes the keys of those whose `last_seen` the file doesn't have yet.
    pub(super) fn take_unsaved(&self) -> Vec<RecordKey> {
        std::mem::take(&mut *self.unsaved()).into_iter().collect()
    }

    /// Gives back what could not be written.
    pub(super) fn put_back(&self, keys: Vec<RecordKey>) {
        self.unsaved().extend(keys);
    }

    pub(super) fn last_seen(&self, key: &RecordKey) -> Option<Timestamp> {
        self.shards.of_tag(key.tag()).record(key).map(|record| record.last_seen)
    }

    fn unsaved(&self) -> MutexGuard<'_, HashSet<RecordKey>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
