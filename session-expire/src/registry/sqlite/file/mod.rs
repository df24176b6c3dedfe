//! File opening: path, lock, connections and schema.
//!
//! At most one registry has the file open. The lock and the file are readable only for the user of
//! the process. [`SqliteRegistry::open`](super::SqliteRegistry::open) calls [`open`].

pub(super) mod identity;
pub(super) mod queries;
pub(super) mod rows;
pub(super) mod schema;
pub(super) mod statements;

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use self::{
    identity::FileIdentity,
    schema::{MIGRATIONS, SchemaStatus, migrate},
};
use super::error::SqliteError;

/// Time to wait for a lock of another program at startup and shutdown, when no request waits.
pub(crate) const LONG_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Time to wait for a lock of another program while requests wait.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// Open file with the current schema, locked against other registries until `lock` is dropped.
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) writer: Connection,
    pub(crate) reader: Connection,
    pub(crate) lock: File,
    /// Identities of the file and of its lock.
    pub(crate) identities: [FileIdentity; 2],
}

pub(crate) fn open(path: &Path) -> Result<Opened, SqliteError> {
    let failed =
        |source: std::io::Error| SqliteError::Open { file: path.to_owned(), source: source.into() };
    let path = real_path(path).map_err(failed)?;
    let (lock, identities) = create(&path)?;
    let classify = |source| SqliteError::opening(path.clone(), source);
    let mut writer = connect(&path).map_err(classify)?;
    match prepare(&mut writer).map_err(classify)? {
        SchemaStatus::Current => {}
        SchemaStatus::Foreign => return Err(SqliteError::Foreign { file: path }),
        SchemaStatus::Newer(found) => {
            let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
            return Err(SqliteError::Newer { file: path, found, known });
        }
    }
    writer.busy_timeout(BUSY_TIMEOUT).map_err(classify)?;
    let reader = connect(&path).map_err(classify)?;
    reader.pragma_update(None, "query_only", true).map_err(classify)?;
    Ok(Opened { path, writer, reader, lock, identities })
}

/// Creates the file and its lock if they do not exist, and acquires the lock.
///
/// The lock comes first: if this process has the file open already, closing a second handle would
/// release the SQLite locks of the first.
fn create(path: &Path) -> Result<(File, [FileIdentity; 2]), SqliteError> {
    let failed = |source| unwritable(path, source);
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let lock = acquire_lock(path, &lock_path)?;
    let file = private_options().create(true).open(path).map_err(failed)?;
    let identity = |path, file: &File| FileIdentity::new(path, file).map_err(failed);
    let identities = [identity(path.to_owned(), &file)?, identity(lock_path, &lock)?];
    Ok((lock, identities))
}

/// Returns the canonical path. Every path of a file must lead to the same lock, which is named
/// after the file.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    if let Ok(canonical) = path.canonicalize() {
        return Ok(canonical);
    }
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
}

/// Returns options that create a file with mode 0600: the file contains secrets, which other users
/// of the machine must not read.
fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn unwritable(path: &Path, source: io::Error) -> SqliteError {
    let file = path.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            SqliteError::ReadOnly { file }
        }
        _ => SqliteError::Open { file, source: source.into() },
    }
}

/// Acquires the lock of the file at `path`. The operating system releases it when the process ends.
///
/// The exclusive locking mode of SQLite is not used, because other programs could not read the
/// history.
fn acquire_lock(path: &Path, lock_path: &Path) -> Result<File, SqliteError> {
    let failed = |source| unwritable(path, source);
    let mut lock = private_options().create(true).open(lock_path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = read_holder(&mut lock);
            return Err(SqliteError::InUse { file: path.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    // Only an error message needs the process id, so a failure to write it is ignored.
    let cleared = lock.set_len(0).and_then(|()| lock.rewind());
    let _ = cleared.and_then(|()| write!(lock, "{}", std::process::id()));
    Ok(lock)
}

fn read_holder(lock: &mut File) -> String {
    let mut pid = String::new();
    match lock.take(20).read_to_string(&mut pid) {
        Ok(_) if pid.parse() == Ok(std::process::id()) => "this process".to_owned(),
        Ok(_) if pid.parse::<u32>().is_ok() => format!("process {pid}"),
        _ => "another process".to_owned(),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(LONG_BUSY_TIMEOUT)?;
    // Larger than the number of statements in this crate, so each is compiled only once.
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Migrates the schema to the current version, and sets the durability of commits.
fn prepare(db: &mut Connection) -> rusqlite::Result<SchemaStatus> {
    // The status comes first: a file of another program must not change.
    match migrate(db, MIGRATIONS)? {
        SchemaStatus::Current => {}
        status => return Ok(status),
    }
    let _mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a plain sync leaves the data in the disk's cache. Elsewhere both have no effect.
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    // Data of ended sessions and of erased users must not stay in free pages.
    db.pragma_update(None, "secure_delete", true)?;
    Ok(SchemaStatus::Current)
}
