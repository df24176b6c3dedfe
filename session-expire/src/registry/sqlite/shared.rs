//! State that the threads of one registry share: its options, the cache, and the connections that
//! check the cache.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use rusqlite::Connection;

use super::{
    cache::{Cache, Commit},
    deadlines::Deadlines,
    error::FileError,
    file::{head, identity::FileIdentity},
    report_queue::ReportQueue,
    unpoisoned,
    write::History,
};
use crate::{
    registry::StoredSession,
    session::key::RecordKey,
    time::{hours, seconds},
};

/// Options that the application may set after the threads have started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) history: History,
    pub(super) timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let history = History { limit: Some(20), age: Some(hours(24 * 90)) };
        Self { history, timeout: seconds(5) }
    }
}

pub(super) struct Shared {
    pub(super) file: Arc<PathBuf>,
    identity: FileIdentity,
    /// Random number by which this registry recognises its own commits.
    pub(super) writer: i64,
    pub(super) cache: Cache,
    pub(super) deadlines: Deadlines,
    pub(super) report_queue: ReportQueue,
    checkers: Vec<Mutex<Option<Checker>>>,
    options: Mutex<Options>,
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
            report_queue: ReportQueue::default(),
            checkers: checkers.collect(),
            options: Mutex::default(),
        }
    }

    pub(super) fn options(&self) -> Options {
        *unpoisoned(&self.options)
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut Options)) {
        change(&mut unpoisoned(&self.options));
    }

    pub(super) fn error(&self, error: rusqlite::Error) -> FileError {
        FileError::new(&self.file, error)
    }

    pub(super) fn timed_out(&self) -> FileError {
        FileError::TimedOut { file: Arc::clone(&self.file), timeout: self.options().timeout }
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
pub(super) fn data_version(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}
