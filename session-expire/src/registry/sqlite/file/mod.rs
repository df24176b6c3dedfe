//! File opening: path, connections and schema.
//!
//! Several registries, in this process or in others of this machine, may have the file open. It is
//! readable only for the user of the process. [`SqliteRegistry::open`](super::SqliteRegistry::open)
//! calls [`open`].

pub(super) mod changes;
pub(super) mod head;
pub(super) mod identity;
pub(super) mod lists;
pub(super) mod loads;
pub(super) mod rows;
pub(super) mod schema;
pub(super) mod statements;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use rusqlite::{Connection, MAIN_DB, OpenFlags, config::DbConfig};

use self::{
    identity::FileIdentity,
    schema::{EXCLUSIVE_VERSION, MIGRATIONS, SchemaStatus, migrate},
};
use super::{checkpointer::MAX_PAGES, error::SqliteError, unpoisoned};

/// Time to wait for a lock of another program at startup, when no request waits.
const LONG_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for which a read waits for a lock. Reads need one only while a process recovers the
/// write-ahead log after a crash.
const READ_BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Locked while this process opens a file. Closing a handle of a file releases all locks that the
/// process has on it. A file must therefore not be created while another thread opens it.
static OPENING: Mutex<()> = Mutex::new(());

/// Open file with the current schema.
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) identity: FileIdentity,
    pub(crate) writer: Connection,
}

pub(crate) fn open(path: &Path) -> Result<Opened, SqliteError> {
    let _opening = unpoisoned(&OPENING);
    let path = real_path(path).map_err(|source| unwritable(path, source))?;
    let failed = |source| unwritable(&path, source);
    create(&path).map_err(failed)?;
    let metadata = fs::metadata(&path).map_err(failed)?;
    if identity::has_other_names(&metadata) {
        return Err(SqliteError::HardLinked { file: path });
    }
    let identity = FileIdentity::new(path.clone(), &metadata);
    let writer = prepare(&path)?;
    Ok(Opened { path, identity, writer })
}

/// Returns the canonical path: SQLite names the write-ahead log after it. The last part may not
/// exist yet, or be a symbolic link to a file that does not exist yet.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    const MAX_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            canonical => return canonical,
        }
        let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize()?;
        match fs::read_link(&path) {
            Ok(target) => path = folder.join(target),
            Err(_) => return Ok(folder.join(name)),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Creates the file with mode 0600 if it does not exist: it contains secrets, which other users of
/// the machine must not read. SQLite gives the same mode to the write-ahead log.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

fn unwritable(path: &Path, source: io::Error) -> SqliteError {
    let file = path.to_owned();
    match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            SqliteError::ReadOnly { file }
        }
        _ => SqliteError::Open { file, source: source.into() },
    }
}

/// Returns the connection of the writer, after it has migrated the schema.
pub(super) fn prepare(path: &Path) -> Result<Connection, SqliteError> {
    let classify = |source| SqliteError::opening(path.to_owned(), source);
    let mut db = connect(path).map_err(classify)?;
    if db.is_readonly(MAIN_DB).map_err(classify)? {
        return Err(SqliteError::ReadOnly { file: path.to_owned() });
    }
    let lock = lock_of_older_version(&db, path)?;
    // The migration comes before all settings: a file of another program must not change.
    match migrate(&mut db, MIGRATIONS).map_err(classify)? {
        SchemaStatus::Current | SchemaStatus::Lacks(_) => {}
        SchemaStatus::Foreign => return Err(SqliteError::Foreign { file: path.to_owned() }),
        SchemaStatus::Newer(found) => {
            let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
            return Err(SqliteError::Newer { file: path.to_owned(), found, known });
        }
    }
    if lock.is_some() {
        // They are no longer needed: an older version refuses the migrated file.
        let _ = fs::remove_file(beside(path, OLD_LOCK));
        let _ = fs::remove_file(beside(path, MIGRATION_LOCK));
    }
    set_durability(&db).map_err(classify)?;
    Ok(db)
}

/// Locked by a process of an older version for as long as it has the file open.
const OLD_LOCK: &str = ".lock";

/// Locked by a process of this version while it has the lock of the older one.
const MIGRATION_LOCK: &str = ".migration";

/// Locks that keep a file of an older version from being used during the migration.
struct MigrationLocks {
    /// Released first.
    _old: File,
    _migration: File,
}

/// Acquires the lock of an older version, which does not share the file, for the duration of the
/// migration. Waits while another process migrates the file. Returns `None` if the file needs no
/// such lock.
fn lock_of_older_version(
    db: &Connection,
    path: &Path,
) -> Result<Option<MigrationLocks>, SqliteError> {
    let failed = |source| unwritable(path, source);
    if !needs_lock(db, path)? {
        return Ok(None);
    }
    let migration = open_lock(path, MIGRATION_LOCK, true).map_err(failed)?;
    migration.lock().map_err(failed)?;
    if !needs_lock(db, path)? {
        // Another process may have removed it before it was opened.
        let _ = fs::remove_file(beside(path, MIGRATION_LOCK));
        return Ok(None);
    }
    let old = match open_lock(path, OLD_LOCK, false) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        old => old.map_err(failed)?,
    };
    match old.try_lock() {
        Ok(()) => Ok(Some(MigrationLocks { _old: old, _migration: migration })),
        Err(TryLockError::WouldBlock) => Err(SqliteError::InUse { file: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Returns `true` if an older version may have the file open.
fn needs_lock(db: &Connection, path: &Path) -> Result<bool, SqliteError> {
    let version =
        schema::version(db).map_err(|source| SqliteError::opening(path.to_owned(), source))?;
    Ok(version == EXCLUSIVE_VERSION && beside(path, OLD_LOCK).exists())
}

fn open_lock(path: &Path, suffix: &str, creates: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(creates).open(beside(path, suffix))
}

/// Returns the path of a file beside the registry.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(LONG_BUSY_TIMEOUT)?;
    // Larger than the number of statements in this crate, so each is compiled only once.
    db.set_prepared_statement_cache_capacity(64);
    // Data of ended sessions and of erased users must not remain in free pages, even after a
    // migration.
    db.pragma_update(None, "secure_delete", true)?;
    // Otherwise SQLite compiles a statement again when the values of its parameters change.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(db)
}

/// Returns another connection that writes.
pub(crate) fn connect_writer(path: &Path) -> rusqlite::Result<Connection> {
    let db = connect(path)?;
    set_durability(&db)?;
    Ok(db)
}

fn set_durability(db: &Connection) -> rusqlite::Result<()> {
    let _mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a plain sync leaves the data in the disk's cache. Elsewhere both have no effect.
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    db.pragma_update(None, "wal_autocheckpoint", MAX_PAGES)?;
    // The writer has its own loop that waits for locks.
    db.busy_timeout(Duration::ZERO)
}

/// Returns a connection that only reads.
pub(crate) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let db = connect(path)?;
    db.busy_timeout(READ_BUSY_TIMEOUT)?;
    db.pragma_update(None, "query_only", true)?;
    // The first read opens the write-ahead log, which may be moved later.
    head::last_commit(&db)?;
    Ok(db)
}

/// Returns a connection that only reads and never waits for a lock.
pub(crate) fn connect_checker(path: &Path) -> rusqlite::Result<Connection> {
    let db = connect_reader(path)?;
    db.busy_timeout(Duration::ZERO)?;
    Ok(db)
}
