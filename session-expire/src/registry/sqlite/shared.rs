//! State that the threads of one registry share: its options, the cache, and the connections that
//! check the cache.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::Connection;

use super::{
    cache::{Cache, Commit},
    deadlines::Deadlines,
    error::FileError,
    file::{head, identity::FileIdentity},
    unpoisoned,
    write::History,
};
use crate::{policy::limit::Limit, registry::StoredSession, session::key::RecordKey, time::hours};

/// Default of [`SqliteRegistry::history_age`](super::SqliteRegistry::history_age).
const DEFAULT_HISTORY_AGE: Duration = hours(24 * 90);

/// Default of [`SqliteRegistry::history_limit`](super::SqliteRegistry::history_limit).
const DEFAULT_HISTORY_LIMIT: i64 = 20;

/// Default of [`SqliteRegistry::timeout`](super::SqliteRegistry::timeout).
const DEFAULT_TIMEOUT_MILLIS: u64 = 5_000;

pub(super) struct Shared {
    pub(super) file: Arc<PathBuf>,
    identity: FileIdentity,
    /// Random number by which this registry recognises its own commits.
    pub(super) writer: i64,
    pub(super) cache: Cache,
    pub(super) deadlines: Deadlines,
    checkers: Vec<Mutex<Option<Checker>>>,
    /// Maximum number of ended sessions per user in the history; negative for no limit.
    history_limit: AtomicI64,
    /// Maximum age of the history in milliseconds; negative for no limit.
    history_age: AtomicI64,
    timeout_millis: AtomicU64,
}

/// Connection that checks whether the file has changed.
struct Checker {
    db: Connection,
    /// `data_version` at the last check, and the last commit then.
    seen: Option<(i64, Commit)>,
}

impl Shared {
    pub(super) fn new(
        file: PathBuf,
        identity: FileIdentity,
        checkers: impl IntoIterator<Item = Connection>,
    ) -> Self {
        let checkers = checkers.into_iter().map(|db| Mutex::new(Some(Checker { db, seen: None })));
        Self {
            file: Arc::new(file),
            identity,
            writer: rand::random(),
            cache: Cache::new(),
            deadlines: Deadlines::default(),
            checkers: checkers.collect(),
            history_limit: AtomicI64::new(DEFAULT_HISTORY_LIMIT),
            history_age: AtomicI64::new(to_millis(DEFAULT_HISTORY_AGE)),
            timeout_millis: AtomicU64::new(DEFAULT_TIMEOUT_MILLIS),
        }
    }

    pub(super) fn history(&self) -> History {
        History {
            limit: u32::try_from(self.history_limit.load(Ordering::Acquire)).ok(),
            age: u64::try_from(self.history_age.load(Ordering::Acquire)).ok(),
        }
    }

    pub(super) fn set_history_limit(&self, limit: Limit<u32>) {
        self.history_limit.store(limit.at().map_or(-1, i64::from), Ordering::Release);
    }

    pub(super) fn set_history_age(&self, age: Limit<Duration>) {
        self.history_age.store(age.at().map_or(-1, to_millis), Ordering::Release);
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_millis.load(Ordering::Acquire))
    }

    pub(super) fn set_timeout(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout_millis.store(millis, Ordering::Release);
    }

    pub(super) fn error(&self, error: rusqlite::Error) -> FileError {
        FileError::new(&self.file, error)
    }

    pub(super) fn timed_out(&self) -> FileError {
        FileError::TimedOut { file: Arc::clone(&self.file), timeout: self.timeout() }
    }

    pub(super) fn overloaded(&self) -> FileError {
        FileError::Overloaded { file: Arc::clone(&self.file) }
    }

    /// Returns [`FileError::Moved`] if the file was moved, replaced or removed.
    pub(super) fn check_file(&self) -> Result<(), FileError> {
        self.identity.check()
    }

    /// Returns a session from the cache if no other process has changed the file since. Sessions
    /// that this registry changes are removed from the cache.
    ///
    /// It runs on the thread of the caller. The check does not wait for locks. It reads pages that
    /// are in memory, because every commit writes them.
    pub(super) fn cached(&self, key: &RecordKey, count_open: bool) -> Option<StoredSession> {
        let (found, number) = self.cache.get(key)?;
        if count_open && found.open.is_none() {
            return None;
        }
        let commit = self.last_commit()?;
        let open = found.open.filter(|_| count_open);
        (number >= commit.number).then_some(StoredSession { open, ..found })
    }

    /// Returns the last commit of the file; `None` if it cannot be read at once.
    fn last_commit(&self) -> Option<Commit> {
        let mut checker = self.checkers.iter().find_map(|checker| checker.try_lock().ok())?;
        let checker = checker.as_mut()?;
        let version = data_version(&checker.db).ok()?;
        let before = match checker.seen {
            Some((seen, commit)) if seen == version => return Some(commit),
            Some((_, commit)) => Some(commit),
            None => None,
        };
        let (version, commit) = self.read_commit(&checker.db).ok()?;
        checker.seen = Some((version, commit));
        if before.is_some_and(|before| before.number == commit.number) {
            // Another program has changed the file.
            self.cache.clear();
            return None;
        }
        Some(commit)
    }

    /// Closes the connections of the cache.
    pub(super) fn close_checkers(&self) {
        self.checkers.iter().for_each(|checker| drop(unpoisoned(checker).take()));
    }

    fn read_commit(&self, db: &Connection) -> rusqlite::Result<(i64, Commit)> {
        let transaction = db.unchecked_transaction()?;
        let (number, writer) = head::last_commit(&transaction)?;
        let version = data_version(&transaction)?;
        Ok((version, self.commit(number, writer)))
    }

    pub(super) fn commit(&self, number: u64, writer: i64) -> Commit {
        Commit { number, is_foreign: writer != self.writer }
    }
}

/// Returns a number that changes when another connection has changed the file.
fn data_version(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

fn to_millis(age: Duration) -> i64 {
    i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}
