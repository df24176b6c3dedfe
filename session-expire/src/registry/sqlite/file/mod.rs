//! Opening of the file: its path, its lock, its connections.

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
    schema::{MIGRATIONS, Owner, migrate},
};
use super::error::SqliteError;

/// How long to wait for another program that holds a lock, where no request waits: at the start and
/// at the end.
pub(crate) const LONG_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for it while requests wait.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// An open file with the present schema, locked against other registries until it is dropped.
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) writer: Connection,
    pub(crate) reader: Connection,
    pub(crate) lock: File,
    /// Of the file and of its lock.
    pub(crate) identities: [FileIdentity; 2],
}

pub(crate) fn open(path: &Path) -> Result<Opened, SqliteError> {
    let failed =
        |source: std::io::Error| SqliteError::Open { file: path.to_owned(), source: source.into() };
    let path = real_path(path).map_err(failed)?;
    let (lock, identities) = create(&path)?;
    let sorted = |source| SqliteError::opening(path.clone(), source);
    let mut writer = connect(&path).map_err(sorted)?;
    match prepare(&mut writer).map_err(sorted)? {
        Owner::Ours => {}
        Owner::Foreign => return Err(SqliteError::Foreign { file: path }),
        Owner::Newer(found) => {
            let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
            return Err(SqliteError::Newer { file: path, found, known });
        }
    }
    writer.busy_timeout(BUSY_TIMEOUT).map_err(sorted)?;
    let reader = connect(&path).map_err(sorted)?;
    reader.pragma_update(None, "query_only", true).map_err(sorted)?;
    Ok(Opened { path, writer, reader, lock, identities })
}

/// Creates the file and its lock where they are missing. The lock is taken first: closing a second
/// handle on an SQLite file would release the locks of the first.
fn create(path: &Path) -> Result<(File, [FileIdentity; 2]), SqliteError> {
    let failed = |source| unwritable(path, source);
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let lock = lock(path, &name)?;
    let file = private().create(true).open(path).map_err(failed)?;
    let identity = |path, file: &File| FileIdentity::new(path, file).map_err(failed);
    let identities = [identity(path.to_owned(), &file)?, identity(name, &lock)?];
    Ok((lock, identities))
}

/// Returns one name for one file, however it was named: the lock has its name.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    if let Ok(known) = path.canonicalize() {
        return Ok(known);
    }
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
}

/// The file holds secrets: other users of the machine must not read it.
fn private() -> OpenOptions {
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

/// Takes a lock that the system releases however the process dies. SQLite's own exclusive mode
/// would keep other programs from reading the history.
fn lock(path: &Path, name: &Path) -> Result<File, SqliteError> {
    let failed = |source| unwritable(path, source);
    let mut lock = private().create(true).open(name).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(SqliteError::InUse { file: path.to_owned(), holder: holder(&mut lock) });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    // For the message of a refusal only: the lock holds without it.
    let written = lock.set_len(0).and_then(|()| lock.rewind());
    let _ = written.and_then(|()| write!(lock, "{}", std::process::id()));
    Ok(lock)
}

fn holder(lock: &mut File) -> String {
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
    // More than the statements of this crate, so that each is compiled once.
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Brings the schema to the present version, and makes every commit sync the disk.
fn prepare(db: &mut Connection) -> rusqlite::Result<Owner> {
    // A file of another program must not change.
    match migrate(db, MIGRATIONS)? {
        Owner::Ours => {}
        other => return Ok(other),
    }
    let _mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a plain sync leaves the data in the disk's own cache; elsewhere both do nothing.
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    // Data of ended sessions and of erased users must not stay in free pages.
    db.pragma_update(None, "secure_delete", true)?;
    Ok(Owner::Ours)
}
