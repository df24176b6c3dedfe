//! State that the threads of one registry share: the open records and the options.
//!
//! A change that must be durable is in the file before it is in memory. The registry reads this
//! state; only the writer opens and ends records in it.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, Transaction};

use super::{
    error::FileError,
    file::{
        identity::FileIdentity,
        queries,
        rows::{COLUMNS, SessionRow, read_row},
    },
};
use crate::{
    policy::limit::Limit,
    registry::index::{
        Index,
        decide_login::ReserveDecision,
        shard::{Entry, Shard},
        write_set::{AdoptionClosing, EntryUpdate, NewEntry, WriteSet},
    },
    session::{
        key::RecordKey,
        login::{Reservation, ReserveOutcome},
        record::{SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
    time::{Timestamp, hours},
};

/// Default of [`SqliteRegistry::history_age`](super::SqliteRegistry::history_age).
const DEFAULT_HISTORY_AGE: Duration = hours(24 * 90);

/// Copy of the open records in memory, with the options of the registry.
///
/// Activity and reservations change here first; everything else changes in the file first.
pub(super) struct Shared {
    pub(super) file: Arc<PathBuf>,
    /// Identities of the file and of its lock.
    identities: [FileIdentity; 2],
    /// Open records, and ended ones for a day, under [hashed](super::file::rows::hashed) keys.
    pub(super) index: Index,
    /// Keys of records with activity that is not in the file yet.
    unsaved: Mutex<HashSet<RecordKey>>,
    /// Locked from the commit of a transaction until its changes are in memory, too.
    pub(super) commit_lock: Mutex<()>,
    /// Maximum number of ended sessions per user in the history; negative for no limit.
    history_limit: AtomicI64,
    /// Maximum age of the history in milliseconds; negative for no limit.
    history_age: AtomicI64,
}

impl Shared {
    /// Loads the open records and the closed adoptions.
    pub(super) fn load(
        file: PathBuf,
        identities: [FileIdentity; 2],
        db: &Connection,
    ) -> rusqlite::Result<Self> {
        let shared = Self {
            file: Arc::new(file),
            identities,
            index: Index::new(),
            unsaved: Mutex::default(),
            commit_lock: Mutex::default(),
            history_limit: AtomicI64::new(-1),
            history_age: AtomicI64::new(to_millis(DEFAULT_HISTORY_AGE)),
        };
        shared.load_open(db)?;
        shared.load_closed_adoptions(db)?;
        Ok(shared)
    }

    fn load_open(&self, db: &Connection) -> rusqlite::Result<()> {
        let sql = format!("SELECT {COLUMNS} FROM sessions WHERE ended_at IS NULL ORDER BY seq");
        let mut open = db.prepare(&sql)?;
        for row in open.query_map([], read_row)? {
            let SessionRow { key, mut record, data } = row?;
            let mut shard = self.index.shard(key.partition_key());
            record.client.device = shard.intern(&record.client.device);
            if let Some(client) = &mut record.last_client {
                client.device = shard.intern(&client.device);
            }
            shard.open(NewEntry { key, record, data });
        }
        Ok(())
    }

    fn load_closed_adoptions(&self, db: &Connection) -> rusqlite::Result<()> {
        for closing in queries::closed_adoptions(db)? {
            let writes = || WriteSet { closes_adoption: Some(closing.clone()), ..<_>::default() };
            match &closing {
                AdoptionClosing::User(user, _) => {
                    self.index.shard_of_user(user).apply(writes());
                }
                AdoptionClosing::AllUsers => {
                    self.index.shards().for_each(|mut shard| drop(shard.apply(writes())));
                }
            }
        }
        Ok(())
    }

    pub(super) fn history_limit(&self) -> Option<u32> {
        u32::try_from(self.history_limit.load(Ordering::Acquire)).ok()
    }

    pub(super) fn set_history_limit(&self, limit: Limit<u32>) {
        self.history_limit.store(limit.at().map_or(-1, i64::from), Ordering::Release);
    }

    /// Returns the time up to which ended records leave the history at `now`; `None` if the history
    /// has no maximum age.
    pub(super) fn history_start(&self, now: Timestamp) -> Option<Timestamp> {
        let millis = u64::try_from(self.history_age.load(Ordering::Acquire)).ok()?;
        Some(now.minus(Duration::from_millis(millis)))
    }

    pub(super) fn set_history_age(&self, age: Limit<Duration>) {
        self.history_age.store(age.at().map_or(-1, to_millis), Ordering::Release);
    }

    pub(super) fn error(&self, error: rusqlite::Error) -> FileError {
        FileError::new(&self.file, error)
    }

    /// Returns [`FileError::Moved`] if the file or its lock was moved, replaced or removed.
    pub(super) fn check_files(&self) -> Result<(), FileError> {
        self.identities.iter().try_for_each(FileIdentity::check)
    }

    /// Reserves a slot in memory. Returns `None`, changing nothing, if the reservation must go
    /// through the writer, because its shard has a pending write.
    pub(super) fn try_reserve(&self, reservation: &Reservation) -> Option<ReserveOutcome> {
        let mut shard = self.index.shard(reservation.key.partition_key());
        (!shard.has_pending_write()).then(|| reserve(&mut shard, reservation))
    }

    /// Applies an update of activity in memory; the file follows later. Returns `None`, changing
    /// nothing, if the update must go through the writer: it must be durable, or its shard has a
    /// pending write.
    pub(super) fn try_update(
        &self,
        session: &SessionRef,
        update: &SessionUpdate,
    ) -> Option<UpdateOutcome> {
        let mut shard = self.index.shard_of_user(&session.user);
        if shard.has_pending_write() {
            return None;
        }
        let (outcome, writes) = shard.decide_update(session, update);
        if let Some(updated) = &writes.updates {
            if !is_activity_only(shard.entry(&updated.key)?, updated) {
                return None;
            }
            self.unsaved().insert(updated.key);
            shard.apply(writes);
        }
        Some(outcome)
    }

    /// Returns a transaction that reads the file, and the result of `read` on memory, at a moment
    /// at which both agree. A list must not show an end that a later request does not see.
    pub(super) fn snapshot<'a, T>(
        &self,
        db: &'a Connection,
        read: impl FnOnce(&Index) -> T,
    ) -> rusqlite::Result<(Transaction<'a>, T)> {
        let _lock = unpoisoned(&self.commit_lock);
        let snapshot = db.unchecked_transaction()?;
        // The first read of a transaction sets its snapshot of the file.
        snapshot.prepare_cached("SELECT seq FROM sessions LIMIT 1")?.exists([])?;
        Ok((snapshot, read(&self.index)))
    }

    /// Takes the keys of all records with unsaved activity.
    pub(super) fn take_unsaved(&self) -> Vec<RecordKey> {
        std::mem::take(&mut *self.unsaved()).into_iter().collect()
    }

    /// Adds keys of records whose activity could not be saved.
    pub(super) fn add_unsaved(&self, keys: Vec<RecordKey>) {
        self.unsaved().extend(keys);
    }

    /// Returns the record of `key` if it is in memory.
    pub(super) fn record(&self, key: &RecordKey) -> Option<SessionRecord> {
        self.index.shard(key.partition_key()).record(key).cloned()
    }

    fn unsaved(&self) -> MutexGuard<'_, HashSet<RecordKey>> {
        unpoisoned(&self.unsaved)
    }
}

fn to_millis(age: Duration) -> i64 {
    i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}

/// Reserves a slot in `shard`, unless the session limit refuses it.
pub(super) fn reserve(shard: &mut Shard, reservation: &Reservation) -> ReserveOutcome {
    match shard.decide_reserve(reservation) {
        ReserveDecision::Reserve(writes) => {
            shard.apply(writes);
            ReserveOutcome::Reserved
        }
        ReserveDecision::Refuse { active } => ReserveOutcome::Refused { active },
    }
}

/// Returns `true` if `updated` only moves the activity forward. A crash that loses such an update
/// can only end the session early.
fn is_activity_only(entry: &Entry, updated: &EntryUpdate) -> bool {
    let (before, after) = (&*entry.record, &updated.record);
    let without_activity = SessionRecord {
        last_seen: before.last_seen,
        last_client: before.last_client.clone(),
        ..after.clone()
    };
    updated.data.is_none() && after.last_seen >= before.last_seen && without_activity == *before
}

/// Locks a mutex, even after a panic: its data is consistent after every statement.
pub(super) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
