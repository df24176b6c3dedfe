//! Session registry in one SQLite file: durable, for one process.
//!
//! Memory has a copy of all open records, and operations are decided on it. Memory changes after
//! the file. One thread writes the file, a second one reads the history.

mod command;
mod end_everyone;
mod error;
mod file;
mod housekeeping;
mod operations;
mod pending_write;
mod reader;
mod shared;
mod writer;

use std::{
    fmt,
    fs::File,
    path::Path,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

pub use self::error::SqliteError;
use self::{command::Command, file::Opened, reader::ReadRequest, shared::Shared, writer::Writer};
use crate::policy::limit::Limit;

/// Session registry in one SQLite file. It needs no server, and a restart signs no user out.
///
/// ```no_run
/// use session_expire::{Limit, SqliteRegistry};
/// let registry = SqliteRegistry::open("/var/lib/site/sessions.db")?.history_limit(Limit::At(100));
/// # Ok::<(), session_expire::registry::SqliteError>(())
/// ```
///
/// # Durability
///
/// - Every change is on the disk (`synchronous = FULL`) before its operation completes, except for
///   activity and reservations. A killed process or a power failure loses no completed operation.
/// - Activity (`last_seen` and the client) is written every 5 seconds and when the registry is
///   dropped. After a crash `last_seen` is up to 5 seconds older: a session may end early, never
///   late.
/// - Reservations are only in memory. A process that terminates loses them together with their
///   requests.
/// - If a write fails, for example on a full disk, the operation has no effect. The source of the
///   [`RegistryError`](crate::error::RegistryError) names the problem. If the disk itself fails
///   during a write, the file may contain an operation that returned an error. This can be the end
///   of a session, or a login whose key no client has.
/// - Only one process can open the file; another one gets [`SqliteError::InUse`]. The operating
///   system releases the lock when the process ends. Do not put the file on a network file system:
///   its locks are not reliable.
///
/// # Performance
///
/// Open records, and records that ended within the last day, are loaded from memory.
/// Concurrent operations of different users share one sync of the disk. Operations of one user run
/// one after the other.
///
/// # History
///
/// By default ended sessions stay in the file for 90 days, without a maximum number;
/// [`history_age`](Self::history_age) and [`history_limit`](Self::history_limit) change that. An
/// open session without activity for 90 days ends. The record of a session that is not in the
/// history is kept as a tombstone for a day after its end. The tombstone of a session adopted from
/// another session layer is kept longer. Every login deletes up to 100 rows that are due.
///
/// # Files
///
/// `<file>-wal` (the newest writes), `<file>-shm` and `<file>.lock` are created beside the file. Do
/// not move any of them while a process runs. If the file or its lock was moved, replaced or
/// removed, logins and ends return errors (on Unix). The registry does not detect it for the other
/// two. Back up the file of a running process with `VACUUM INTO 'backup.db'` or with `.backup` of
/// `sqlite3`. A plain copy may be inconsistent.
///
/// # Security
///
/// The file is created with mode 0600. It contains hashes of session keys and no key, but it
/// contains session data and signing keys: protect backups accordingly. Deleted data is overwritten
/// (`secure_delete`); `<file>-wal` may contain it until SQLite reuses that part of the file.
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
/// | `login_policy` | policy patch chosen at the login, as JSON, or `NULL` |
/// | `user_policy` | policy patch of the user, as JSON, or `NULL` |
/// | `uncounted` | 1 if the session takes no slot of the session limit |
/// | `actor` | user who impersonates `user`, or `NULL` |
/// | `generation` | number of calls of `end_everyone` before the login |
/// | `tombstone_until` | time until which the tombstone is kept; `NULL` for a day after the end |
/// | `ended_at` | end; `NULL` while the session is open, even if it has expired |
/// | `ended_reason` | `idle`, `absolute`, `evicted`, `revoked`, `logged_out` or `unknown` |
/// | `ended_cause` | the application's own word, such as `password_changed` |
/// | `ended_by` | device whose login evicted the session |
/// | `in_history` | 0 if the record is only a tombstone |
/// | `data` | session data as JSON: entries `e`, flash messages `m`; `NULL` without any |
///
/// The table `renewed_keys` contains the tombstones of rotated keys: `key_hash`, `session` (a
/// `seq`), `renewed_at`, `tombstone_until`. The table `closed_adoptions` contains the users whose
/// sessions cannot be adopted from another session layer: `user`, `until`. A row of `NULL`s closes
/// adoption for all users.
///
/// `PRAGMA user_version` is the version of the schema. Opening a file migrates an older schema, and
/// returns [`SqliteError::Newer`] for a newer one.
pub struct SqliteRegistry {
    shared: Arc<Shared>,
    commands: Option<Sender<Command>>,
    requests: Option<Sender<ReadRequest>>,
    writer: Option<JoinHandle<()>>,
    reader: Option<JoinHandle<()>>,
    /// Locked until the threads have ended.
    _lock: File,
}

impl SqliteRegistry {
    /// Opens or creates the file, and loads all open sessions into memory.
    ///
    /// It blocks the thread, for several seconds with a million sessions.
    ///
    /// # Errors
    ///
    /// - Returns [`SqliteError::Open`] if the file or its lock cannot be opened or created.
    /// - Returns [`SqliteError::ReadOnly`] if the file cannot be written.
    /// - Returns [`SqliteError::InUse`] if another registry has the file open.
    /// - Returns [`SqliteError::Foreign`] if the file is a database of another program.
    /// - Returns [`SqliteError::Newer`] if a newer version of this crate wrote the file.
    /// - Returns [`SqliteError::Damaged`] if the file is not a database, or if the row of an open
    ///   session cannot be read.
    /// - Returns [`SqliteError::Sqlite`] for another SQLite error, such as a full disk.
    ///
    /// ```no_run
    /// use session_expire::SqliteRegistry;
    /// let registry = SqliteRegistry::open("/var/lib/site/sessions.db")?;
    /// # Ok::<(), session_expire::registry::SqliteError>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteError> {
        let Opened { path, writer, reader, lock, identities } = file::open(path.as_ref())?;
        let loaded = Shared::load(path.clone(), identities, &reader);
        let shared = Arc::new(loaded.map_err(|source| SqliteError::opening(path.clone(), source))?);
        let (commands, to_write) = channel();
        let (requests, to_read) = channel();
        let writer = Writer::new(writer, Arc::clone(&shared), to_write);
        let reader_shared = Arc::clone(&shared);
        let writer = Some(spawn("session-writer", &path, move || writer.run())?);
        let read = move || reader::run(&reader, &reader_shared, to_read);
        let reader = Some(spawn("session-reader", &path, read)?);
        let (commands, requests) = (Some(commands), Some(requests));
        Ok(Self { shared, commands, requests, writer, reader, _lock: lock })
    }

    /// Sets how long the history keeps ended sessions. Default: 90 days.
    ///
    /// `Limit::Off` keeps them forever.
    ///
    /// ```no_run
    /// use session_expire::{Limit, SqliteRegistry, hours};
    /// let registry = SqliteRegistry::open("sessions.db")?.history_age(Limit::At(hours(24 * 365)));
    /// # Ok::<(), session_expire::registry::SqliteError>(())
    /// ```
    #[must_use]
    pub fn history_age(self, age: Limit<Duration>) -> Self {
        self.shared.set_history_age(age);
        self
    }

    /// Sets how many ended sessions of each user the history keeps. Default: `Limit::Off`, all.
    ///
    /// `Limit::At(0)` keeps none. A lower limit than before takes up to an hour to apply to users
    /// who do not sign in.
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
}

fn spawn(
    name: &str,
    path: &Path,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, SqliteError> {
    let failed =
        |source: std::io::Error| SqliteError::Open { file: path.to_owned(), source: source.into() };
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(failed)
}

impl Drop for SqliteRegistry {
    /// Waits until everything is on the disk. The last connection that is closed moves the
    /// write-ahead log into the file; if two are closed at the same moment, neither does.
    fn drop(&mut self) {
        self.requests = None;
        join(self.reader.take());
        self.commands = None;
        join(self.writer.take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    // An error means that the thread panicked, which the panic hook has reported.
    let _ = thread.map(JoinHandle::join);
}

impl fmt::Debug for SqliteRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRegistry").field("file", &self.shared.file).finish()
    }
}

#[cfg(test)]
mod tests;
