//! What the threads of one registry share.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use rusqlite::{Connection, Transaction};

use super::{error::Failure, rows, watch::Watched};
use crate::{
    limit::Limit,
    registry::{
        Query,
        key::RecordKey,
        record::{ActivityUpdate, SessionRecord},
        shard::Shards,
    },
    time::Timestamp,
};

/// The records that requests are judged by. Only the writer opens and ends any, and only after the
/// file has them; `last_seen` moves here first.
pub(super) struct State {
    pub(super) file: Arc<PathBuf>,
    /// The file and its lock.
    watched: [Watched; 2],
    /// Open logins, and for a day the ended ones; under [hashed](rows::hashed) keys.
    pub(super) shards: Shards,
    /// Whose `last_seen` the file doesn't have yet.
    unsaved: Mutex<HashSet<RecordKey>>,
    /// Held from the commit of a change to the file until memory has it, too.
    pub(super) changing: Mutex<()>,
    /// Negative for no limit.
    log_limit: AtomicI64,
}

impl State {
    /// The open logins of the file.
    pub(super) fn load(
        file: PathBuf,
        watched: [Watched; 2],
        db: &Connection,
    ) -> rusqlite::Result<Self> {
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
        let (unsaved, changing, log_limit) = <_>::default();
        let file = Arc::new(file);
        let state = Self { file, watched, shards, unsaved, changing, log_limit };
        state.set_log_limit(Limit::Off);
        Ok(state)
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

    /// Fails when what is written now would be lost to whoever opens the file next.
    pub(super) fn check_files(&self) -> Result<(), Failure> {
        self.watched.iter().try_for_each(Watched::check)
    }

    /// Notes activity, to be written later. `false`, with nothing done, for what is the writer's: what
    /// after a crash could let a session last longer than it should, and what comes while it is being
    /// written who has run out and must go.
    pub(super) fn touch(&self, key: &RecordKey, change: &ActivityUpdate) -> bool {
        let mut shard = self.shards.of_tag(key.tag());
        let is_held = shard.is_held();
        let Some(record) = shard.record_mut(key).filter(|record| record.ended.is_none()) else {
            return true;
        };
        let new_patch = change.patch.as_ref().is_some_and(|patch| *patch != record.patch);
        if is_held || new_patch || record.is_ahead_of(change.now) {
            return false;
        }
        let before = record.last_seen;
        record.touch(change);
        if record.last_seen != before {
            self.unsaved().insert(*key);
        }
        true
    }

    /// The file as it is when memory agrees with it: a list must not tell of an end that a request that
    /// comes after the list doesn't know yet.
    ///
    /// With it the open records of `user`, whose `last_seen` may be ahead of the file.
    pub(super) fn snapshot<'a>(
        &self,
        db: &'a Connection,
        user: Option<&str>,
    ) -> rusqlite::Result<(Transaction<'a>, Vec<SessionRecord>)> {
        let _quiet = unpoisoned(&self.changing);
        let snapshot = db.unchecked_transaction()?;
        // Only the first read makes it one.
        snapshot.prepare_cached("SELECT seq FROM logins LIMIT 1")?.exists([])?;
        let open = user.map(|user| self.shards.find(&Query::open(user))).unwrap_or_default();
        Ok((snapshot, open))
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
        unpoisoned(&self.unsaved)
    }
}

/// A panic elsewhere leaves nothing half done here.
pub(super) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
