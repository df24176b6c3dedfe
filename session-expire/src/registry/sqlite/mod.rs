//! Session registry in one SQLite file: durable, for all processes of one machine.
//!
//! The file is the state that all processes share. One thread per registry writes it, and other
//! threads read it. A cache contains the most recently loaded sessions.

mod cache;
mod checkpointer;
mod deadlines;
mod error;
mod file;
mod operations;
mod queue;
mod reader;
mod shared;
mod task;
mod write;
mod writer;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle, available_parallelism},
    time::Duration,
};

use rusqlite::Connection;

pub use self::error::SqliteError;
use self::{
    checkpointer::CheckpointTrigger,
    file::{Opened, connect_checker, connect_reader, connect_writer, head::last_commit},
    queue::Queue,
    reader::ReadTask,
    shared::Shared,
    task::BoxedTask,
    writer::Writer,
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
/// Memory use does not depend on the number of sessions. A cache of at most 32 MB contains the most
/// recently loaded sessions. A load from the cache runs on the thread of the request. It only
/// checks that no other process has changed the file, which takes some microseconds and does not
/// wait. All other reads, and all writes, run on threads of the registry. Loads do not wait for
/// lists. Concurrent operations share one sync of the disk.
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
/// `<file>-wal` (the newest writes) and `<file>-shm` are created beside the file. Do not move any
/// of them while a process runs. If the file was moved, replaced or removed, logins and ends return
/// errors (on Unix). The registry does not detect this for the other two files. A path may be a
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
/// Any SQLite client may read the tables, even while the registry runs. Write to them only while no
/// process has the file open.
///
/// ```sql
/// SELECT * FROM session_history WHERE user = 'alice' ORDER BY logged_in_at DESC LIMIT 20;
/// SELECT user, count(*) FROM sessions WHERE in_history AND ended_reason = 'evicted' GROUP BY user;
/// SELECT datetime(logged_in_at / 1000, 'unixepoch') FROM sessions;  -- UTC
/// ```
///
/// The view `session_history` shows `user`, `id`, `logged_in_at`, `last_seen`, `ended_at`,
/// `ended_reason`, `ended_cause`, `ended_by`, `ip`, `device` and `actor`, with times as
/// `2026-01-01T12:00:00.000Z`. It reads the table `sessions`, one row for each session, with times
/// in milliseconds since 1970:
///
/// | column | meaning |
/// |---|---|
/// | `seq` | increases with every login |
/// | `key_hash` | derived from the secret key by SHA-256 |
/// | `id` | public id |
/// | `signing_key` | secret that signs the page tokens of this session |
/// | `user` | user id, as `Identity::id` returns it |
/// | `logged_in_at`, `authenticated_at`, `last_seen` | login, last authentication, last activity |
/// | `ip`, `device` | client of the login; `ip` is `NULL` and `device` empty if not known |
/// | `last_ip`, `last_device` | client of the last activity; `NULL` if it is that of the login |
/// | `idle_ms`, `absolute_ms` | timeouts by which the session limit counts; `NULL` for never |
/// | `longest_idle_ms`, `longest_absolute_ms` | longest timeouts of all policies; `NULL` for never |
/// | `check_at` | earliest time at which an open session may have to move to the history |
/// | `login_policy` | policy patch chosen at the login, as JSON, or `NULL` |
/// | `user_policy` | policy patch of the user, as JSON, or `NULL` |
/// | `uncounted` | 1 if the session takes no slot of the session limit |
/// | `actor` | user who impersonates `user`, or `NULL` |
/// | `generation` | number of calls of `end_everyone` before the login; see below |
/// | `tombstone_until` | time until which the tombstone is kept; `NULL` for a day after the end |
/// | `ended_at` | end; `NULL` while the session is open, even if it has expired |
/// | `ended_reason` | `idle`, `absolute`, `evicted`, `revoked`, `logged_out` or `unknown`; `renewed` for the tombstone of a rotated key |
/// | `ended_cause` | the application's own word, such as `password_changed` |
/// | `ended_by` | device whose login evicted the session |
/// | `in_history` | 0 if the record is only a tombstone |
/// | `data` | session data as JSON: entries `e`, flash messages `m`; `NULL` without any |
///
/// A session whose `generation` is lower than `current_generation` of the table `registry` has
/// ended, even if its `ended_at` is still `NULL`. The table `ends_of_everyone` contains the ends of
/// these sessions. Their rows are updated in the background.
///
/// The table `reservations` contains the slots of logins in progress, and `closed_adoptions` the
/// users whose sessions cannot be adopted from another session layer. Both contain the SHA-256 of
/// the user id, in hexadecimal digits.
///
/// `PRAGMA user_version` is the version of the schema. Opening a file migrates an older schema, and
/// returns [`SqliteError::Newer`] for a newer one.
pub struct SqliteRegistry {
    shared: Arc<Shared>,
    writes: Arc<Queue<BoxedTask>>,
    loads: Arc<Queue<ReadTask>>,
    lists: Arc<Queue<ReadTask>>,
    checkpoints: Arc<Queue<()>>,
    /// The readers and the checkpointer, then the writer, whose connection is closed last.
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
        let checkpointer = connect_writer(&path).map_err(failed)?;
        let (last_commit, _) = last_commit(&writer).map_err(failed)?;
        let mut registry = Self::new(Shared::new(path.clone(), identity, checkers));
        registry.start_readers(readers)?;
        registry.start_writer(writer, checkpointer, last_commit)?;
        Ok(registry)
    }

    fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            writes: Arc::new(Queue::new()),
            loads: Arc::new(Queue::new()),
            lists: Arc::new(Queue::new()),
            checkpoints: Arc::new(Queue::new()),
            threads: vec![],
            timer: None,
        }
    }

    /// Starts the threads that read. The first one is for lists.
    fn start_readers(&mut self, readers: Vec<Connection>) -> Result<(), SqliteError> {
        for (number, db) in readers.into_iter().enumerate() {
            let tasks = Arc::clone(if number == 0 { &self.lists } else { &self.loads });
            let shared = Arc::clone(&self.shared);
            self.spawn("session-reader", move || reader::run(&db, &shared, &tasks))?;
        }
        Ok(())
    }

    fn start_writer(
        &mut self,
        writer: Connection,
        checkpointer: Connection,
        last_commit: u64,
    ) -> Result<(), SqliteError> {
        let (shared, checkpoints) = (Arc::clone(&self.shared), Arc::clone(&self.checkpoints));
        let run = move || checkpointer::run(&checkpointer, &shared, &checkpoints);
        self.spawn("session-checkpointer", run)?;
        let (shared, tasks) = (Arc::clone(&self.shared), Arc::clone(&self.writes));
        let trigger = CheckpointTrigger::new(Arc::clone(&self.checkpoints));
        let writer = Writer::new(writer, shared, tasks, trigger, last_commit);
        self.spawn("session-writer", move || writer.run())?;
        let shared = Arc::clone(&self.shared);
        let timer = move || shared.deadlines.run(|| shared.timed_out());
        self.spawn("session-timer", timer)?;
        self.timer = self.threads.pop();
        Ok(())
    }

    fn spawn(
        &mut self,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), SqliteError> {
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
        let file = self.shared.file.to_path_buf();
        self.threads
            .push(spawned.map_err(|source| SqliteError::Open { file, source: source.into() })?);
        Ok(())
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
        self.shared.set_history_age(age.into());
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
        self.shared.set_history_limit(limit);
        self
    }

    /// Sets how long an operation may take before it returns an error. Default: 5 seconds.
    ///
    /// The operation may still take effect later, unless it is a login. An operation waits at most
    /// half of this time for the lock of another process.
    ///
    /// ```no_run
    /// use session_expire::{SqliteRegistry, seconds};
    /// let registry = SqliteRegistry::open("sessions.db")?.timeout(seconds(2));
    /// # Ok::<(), session_expire::registry::SqliteError>(())
    /// ```
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.shared.set_timeout(timeout);
        self
    }
}

/// Returns the number of connections that check the cache: one for each thread that may load.
fn checker_count() -> usize {
    available_parallelism().map_or(2, usize::from).clamp(2, 16)
}

impl Drop for SqliteRegistry {
    /// Waits until everything is on the disk. The last connection that is closed moves the
    /// write-ahead log into the file; if two are closed at the same moment, neither moves it.
    fn drop(&mut self) {
        self.lists.close();
        self.loads.close();
        self.checkpoints.close();
        let writer = self.threads.pop();
        self.threads.drain(..).for_each(join);
        self.shared.close_checkers();
        self.writes.close();
        writer.into_iter().for_each(join);
        self.shared.deadlines.close();
        self.timer.take().into_iter().for_each(join);
    }
}

fn join(thread: JoinHandle<()>) {
    // An error means that the thread panicked, which the panic hook has reported.
    let _ = thread.join();
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
