//! Registry in one SQLite file: durable, for one process.
//!
//! Memory mirrors the open records of the file, and requests are decided there. One thread writes
//! the file; memory changes after the file has changed. A second thread reads the history.

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

/// Registry in one SQLite file: it needs no server, and a restart signs no user out.
///
/// ```no_run
/// use session_expire::{Limit, SqliteRegistry};
/// let registry = SqliteRegistry::open("/var/lib/site/sessions.db")?.history_limit(Limit::At(100));
/// # Ok::<(), session_expire::registry::SqliteError>(())
/// ```
///
/// # Durability
///
/// - A login, an end, a key rotation, and a change of session data, of the user policy or of the
///   signing key are on the disk (`synchronous = FULL`) before the operation completes. A killed
///   process, or a machine that loses power, loses none that completed.
/// - Records are loaded from memory; a key of the last day reads no file. Activity alone
///   (`last_seen` and the client) is written every 5 seconds and when the registry is dropped.
///   After a crash `last_seen` is that much older: a session may end early, never late.
/// - Reservations of logins stay in memory. A process that dies loses them, and with them the
///   requests that held them.
/// - Memory changes after the file has changed. When a write fails, on a full disk or a file that
///   has become read-only, the operation has no effect, and the
///   [`RegistryError`](crate::RegistryError) has the reason as its source. If the disk fails in the
///   middle of a write, an operation that returned an error may have reached the file; a restart
///   then finds an end, or a login whose key no client has.
/// - One process has the file. Another is refused with [`SqliteError::InUse`], by a lock that the
///   system releases however the process dies. Locks of network file systems are not reliable: do
///   not put the file there.
///
/// Operations of different users that wait at the same moment share one sync of the disk: the more
/// there are, the cheaper each gets. Operations of one user run one after the other.
///
/// # History
///
/// Ended sessions stay in the file for 90 days after their end, or as long as
/// [`history_age`](Self::history_age) says; of each user all of them, or as many as
/// [`history_limit`](Self::history_limit) says. They do not stay in memory. An open session that
/// was not used for 90 days ends. What is not in the history is a tombstone, which gives the reason
/// of the end for a day after it, or longer if the session was adopted from another session layer.
/// Every login deletes up to 100 rows that are due.
///
/// # Files
///
/// Beside the file lie `<file>-wal`, which has the newest writes, `<file>-shm` and `<file>.lock`.
/// All must stay in their places while a process runs. Once the file or its lock was moved,
/// replaced or removed, logins and ends fail (on Unix, where that can happen); of the other two the
/// registry does not notice it. Back up the file of a running process with `VACUUM INTO
/// 'backup.db'` or the `.backup` of `sqlite3`, never by a plain copy, which may be torn.
///
/// # Security
///
/// The file is created readable for its user only (mode 0600). It contains no session key. It does
/// contain session data and signing keys: protect backups accordingly. What is deleted is
/// overwritten (`secure_delete`); `<file>-wal` may hold it until it is reused.
///
/// # Tables
///
/// Any SQLite client may read them, also while the registry runs. Write only while it does not.
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
/// | `seq` | counts up with the logins |
/// | `key_hash` | derived from the secret key by SHA-256 |
/// | `id` | public id |
/// | `signing_key` | secret that signs the page tokens of this session |
/// | `user` | user, as actix-identity knows them |
/// | `logged_in_at`, `authenticated_at`, `last_seen` | login, last authentication, last activity |
/// | `ip`, `device` | client of the login; `ip` is `NULL` and `device` empty if not known |
/// | `last_ip`, `last_device` | client of the last activity; `NULL` if it is that of the login |
/// | `idle_ms`, `absolute_ms` | limits under which the session counts as active; `NULL` for never |
/// | `login_policy` | policy patch chosen at the login, as JSON, or `NULL` |
/// | `user_policy` | policy patch of the user, likewise |
/// | `uncounted` | 1 if the session takes no slot of the session limit |
/// | `actor` | user who impersonates `user`, or `NULL` |
/// | `generation` | how often all sessions of all users had been ended before |
/// | `tombstone_until` | until when the ended record must be kept; `NULL` for a day after its end |
/// | `ended_at` | end; `NULL` while the session is open, also after it has expired unnoticed |
/// | `ended_reason` | `idle`, `absolute`, `evicted`, `revoked`, `logged_out` or `unknown` |
/// | `ended_cause` | word of the application, such as `password_changed` |
/// | `ended_by` | device whose login evicted the session |
/// | `in_history` | 0 once only the tombstone is kept |
/// | `data` | session data as JSON: entries `e`, flash messages `m`; `NULL` without any |
///
/// The table `renewed_keys` has the tombstones of keys that were rotated (`key_hash`, `session`,
/// which is a `seq`, `renewed_at`, `tombstone_until`). The table `closed_adoptions` has the users
/// whose sessions cannot be adopted from another session layer (`user`, `until`); a row of `NULL`s
/// closes adoption for all users.
///
/// `PRAGMA user_version` is the version of the schema. An older file is migrated when it is opened;
/// a newer one is refused.
pub struct SqliteRegistry {
    shared: Arc<Shared>,
    commands: Option<Sender<Command>>,
    requests: Option<Sender<ReadRequest>>,
    writer: Option<JoinHandle<()>>,
    reader: Option<JoinHandle<()>>,
    /// Held until the threads have ended.
    _lock: File,
}

impl SqliteRegistry {
    /// Opens or creates the file, and reads all open sessions into memory. It blocks meanwhile:
    /// some seconds for a million of them.
    ///
    /// # Errors
    ///
    /// Returns a [`SqliteError`] that names the file and the fix if the file cannot be opened, is
    /// in use, or is no registry. The row of an open session that cannot be read is an error, too:
    /// the registry does not start with fewer sessions than it had.
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
        let of_reader = Arc::clone(&shared);
        let writer = Some(spawn("session-writer", &path, move || writer.run())?);
        let read = move || reader::run(&reader, &of_reader, to_read);
        let reader = Some(spawn("session-reader", &path, read)?);
        let (commands, requests) = (Some(commands), Some(requests));
        Ok(Self { shared, commands, requests, writer, reader, _lock: lock })
    }

    /// Sets how long ended sessions are kept in the history. Default: 90 days. `Limit::Off` keeps
    /// them without limit.
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

    /// Sets how many ended sessions of each user are kept in the history. Default: `Limit::Off`,
    /// all.
    ///
    /// `Limit::At(0)` keeps none. A lower limit than before reaches users who do not sign in within
    /// some minutes to an hour.
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
    /// write-ahead log into the file; of two that are closed at the same moment neither does.
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
