//! Session registry in one SQLite file: durable, for all processes of one machine.
//!
//! The file is the state that all processes share. One thread per registry writes it, and other
//! threads read it. A cache contains the most recently loaded sessions. The reporter reports the
//! changes by all processes to the listeners.

mod cache;
mod checkpointer;
mod deadlines;
mod error;
mod file;
mod operations;
mod queue;
mod reader;
mod report_queue;
mod reporter;
mod shared;
mod task;
mod threads;
mod transaction;
mod write;
mod writer;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{JoinHandle, available_parallelism},
    time::Duration,
};

pub use self::error::SqliteError;
use self::{
    checkpointer::CheckpointTask,
    file::{Opened, connect_checker, connect_reader, connect_writer, head::last_commit},
    queue::Queue,
    reader::ReadTask,
    shared::Shared,
    task::BoxedTask,
};
use crate::policy::limit::Limit;

/// Session registry in one SQLite file. It needs no server, and a restart signs no user out.
///
/// ```no_run
/// use session_expire::{Limit, SqliteRegistry};
/// let registry = SqliteRegistry::open("/var/lib/site/sessions.db")?.history_limit(Limit::At(100));
/// # Ok::<(), session_expire::registry::SqliteError>(())
/// ```
///
/// # Processes
///
/// All processes of one machine can use one file at the same time. This allows restarts without
/// downtime, in which the old and the new process overlap. Session limits apply across processes,
/// and a session that one process ends has ended for all. A killed process does not block the
/// others. Do not put the file on a network file system: its locks are not reliable.
///
/// While streams are open, a thread checks every 100 ms whether another process has changed the
/// file. After a change, it reads only which sessions have changed.
///
/// # Durability
///
/// - Every change is on the disk (`synchronous = FULL`) before its operation completes, except for
///   activity and reservations. A killed process or a power failure loses no completed operation.
/// - Activity (`last_seen` and the client) and reservations are in the file before their operations
///   complete. Other processes see them, and a killed process loses none. A power failure can lose
///   the most recent ones. A session may then end early, but never late.
/// - If a write fails, for example on a full disk, the operation has no effect. The source of the
///   [`RegistryError`](crate::error::RegistryError) names the problem. If the disk itself fails
///   during a write, the file may contain an operation that returned an error. This can be the end
///   of a session, or a login whose key no client has.
///
/// # Performance
///
/// Memory does not depend on the number of sessions. The sessions that were loaded last are in a
/// cache of at most 32 MB. A load from it runs on the thread of the request and only checks that no
/// other process has changed the file, which takes some microseconds and does not wait. All other
/// reads, and all writes, run on threads of the registry. Loads do not wait for lists. Concurrent
/// operations share one sync of the disk.
///
/// If the disk does not respond, or another program holds a lock on the file, operations return an
/// error after the [`timeout`](Self::timeout). Loads from the cache still succeed. If 10,000
/// operations are waiting, another one fails at once.
///
/// # History
///
/// By default the history keeps the last 20 ended sessions of each user for up to 90 days;
/// [`history_limit`](Self::history_limit) and [`history_age`](Self::history_age) change that. An
/// unused session moves to the history at
/// [`SessionRecord::leaves_at`](crate::registry::SessionRecord::leaves_at). An ended session that
/// is not in the history is kept as a tombstone for a day after its end. Each user has at most
/// 1,000 tombstones. The tombstone of a session adopted from another session layer is kept longer.
/// Logins delete rows that are due, up to 100 of each kind at a time.
///
/// # Clock
///
/// After the clock was set back, times in the file that are now in the future are set to the
/// current time. Otherwise unused sessions would stay active until the clock reaches those times.
///
/// # Files
///
/// `<file>-wal` (the newest writes) and `<file>-shm` are created beside the file, and
/// `<file>.migration` (empty) while a file of an older version is migrated. Do not move any of them
/// while a process runs. If the file was moved, replaced or removed, logins and ends return
/// errors (on Unix). The registry does not detect this for the other files. A path may be a
/// symbolic link; a file with several hard links is refused. Back up the file of a running process
/// with `VACUUM INTO 'backup.db'` or with `.backup` of `sqlite3`. A plain copy may be inconsistent.
///
/// # Security
///
/// The file is created with mode 0600. It contains hashes of session keys and no key, but it
/// contains session data and signing keys: protect backups accordingly. Deleted data is overwritten
/// (`secure_delete`); `<file>-wal` may contain it until SQLite reuses that part of the file.
/// [`erase`](crate::registry::Registry::erase) empties the log.
///
/// # Tables
///
#[doc = include_str!("tables.md")]
pub struct SqliteRegistry {
    shared: Arc<Shared>,
    writes: Arc<Queue<BoxedTask>>,
    loads: Arc<Queue<ReadTask>>,
    lists: Arc<Queue<ReadTask>>,
    checkpoints: Arc<Queue<CheckpointTask>>,
    /// The readers, the reporter and the checkpointer, then the writer, whose connection is closed
    /// last.
    threads: Vec<JoinHandle<()>>,
    timer: Option<JoinHandle<()>>,
}

/// Number of threads that load sessions.
const LOADERS: usize = 2;

impl SqliteRegistry {
    /// Opens or creates the file.
    ///
    /// It blocks the thread for some milliseconds. Migrating a file that an older version of this
    /// crate wrote takes some seconds per million sessions.
    ///
    /// # Errors
    ///
    /// - Returns [`SqliteError::Open`] if the file cannot be opened or created.
    /// - Returns [`SqliteError::ReadOnly`] if the file cannot be written.
    /// - Returns [`SqliteError::HardLinked`] if the file has several names.
    /// - Returns [`SqliteError::InUse`] if a process with an older version of this crate, which does
    ///   not share files, has the file open.
    /// - Returns [`SqliteError::Foreign`] if the file is a database of another program.
    /// - Returns [`SqliteError::Newer`] if a newer version of this crate wrote the file.
    /// - Returns [`SqliteError::Damaged`] if the file is not a database.
    /// - Returns [`SqliteError::Sqlite`] for another SQLite error, such as a full disk.
    ///
    /// ```no_run
    /// use session_expire::SqliteRegistry;
    /// let registry = SqliteRegistry::open("/var/lib/site/sessions.db")?;
    /// # Ok::<(), session_expire::registry::SqliteError>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteError> {
        let Opened { path, identity, writer } = file::open(path.as_ref())?;
        let failed = |source| SqliteError::opening(path.clone(), source);
        let checkers: Result<Vec<_>, _> =
            (0..checker_count()).map(|_| connect_checker(&path)).collect();
        let checkers = checkers.map_err(failed)?;
        let readers: Result<Vec<_>, _> = (0..=LOADERS).map(|_| connect_reader(&path)).collect();
        let readers = readers.map_err(failed)?;
        let reporter = connect_reader(&path).map_err(failed)?;
        let checkpointer = connect_writer(&path).map_err(failed)?;
        let (last_commit, _) = last_commit(&writer).map_err(failed)?;
        let mut registry = Self::new(Shared::new(path.clone(), identity, checkers));
        registry.start_readers(readers)?;
        registry.start_reporter(reporter)?;
        registry.start_writer(writer, checkpointer, last_commit)?;
        Ok(registry)
    }

    /// Sets how long the history keeps ended sessions. Default: 90 days.
    ///
    /// `Limit::Off` keeps them forever.
    ///
    /// ```no_run
    /// use session_expire::{SqliteRegistry, hours};
    /// let registry = SqliteRegistry::open("sessions.db")?.history_age(hours(24 * 365));
    /// # Ok::<(), session_expire::registry::SqliteError>(())
    /// ```
    #[must_use]
    pub fn history_age(self, age: impl Into<Limit<Duration>>) -> Self {
        let age = age.into().at();
        self.shared.set(|options| options.history.age = age);
        self
    }

    /// Sets how many ended sessions of each user the history keeps. Default: 20.
    ///
    /// `Limit::At(0)` keeps none; `Limit::Off` keeps all until they reach the
    /// [`history_age`](Self::history_age). A lower limit than before is applied to all users in the
    /// background.
    ///
    /// ```no_run
    /// use session_expire::{Limit, SqliteRegistry};
    /// let registry = SqliteRegistry::open("sessions.db")?.history_limit(Limit::At(100));
    /// # Ok::<(), session_expire::registry::SqliteError>(())
    /// ```
    #[must_use]
    pub fn history_limit(self, limit: Limit<u32>) -> Self {
        self.shared.set(|options| options.history.limit = limit.at());
        self
    }

    /// Sets how long an operation may take before it returns an error. Default: 5 seconds.
    ///
    /// An end of sessions may still take effect later, any other operation only if its transaction
    /// has begun. An operation waits at most half of this time for the lock of another process.
    ///
    /// ```no_run
    /// use session_expire::{SqliteRegistry, seconds};
    /// let registry = SqliteRegistry::open("sessions.db")?.timeout(seconds(2));
    /// # Ok::<(), session_expire::registry::SqliteError>(())
    /// ```
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.shared.set(|options| options.timeout = timeout);
        self
    }
}

/// Returns the number of connections that check the cache: one for each thread that may load.
fn checker_count() -> usize {
    available_parallelism().map_or(2, usize::from).clamp(2, 16)
}

impl fmt::Debug for SqliteRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRegistry").field("file", &self.shared.file).finish()
    }
}

/// Locks a mutex, even after a panic: its data is consistent after every statement.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
