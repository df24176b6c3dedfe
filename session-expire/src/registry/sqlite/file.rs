//! The file on the disk: found, locked, opened.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    error::SqliteError,
    schema::{Kind, MIGRATIONS, migrate},
    watch::Watched,
};

/// How long to wait for another program that has locked the file at this moment, where nobody waits for
/// an answer: at the start and at the end.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The same while people sign in and out.
const MOMENT: Duration = Duration::from_millis(500);

/// An open file with the present schema, locked against other registries until it is dropped.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    pub(super) lock: File,
    pub(super) watched: [Watched; 2],
}

pub(super) fn open(path: &Path) -> Result<Opened, SqliteError> {
    let failed = |source| SqliteError::Open { file: path.to_owned(), source };
    let path = real_path(path).map_err(failed)?;
    let (lock, watched) = make(&path)?;
    let sorted = |source| SqliteError::opening(path.clone(), source);
    let mut writer = connect(&path).map_err(sorted)?;
    match prepare(&mut writer).map_err(sorted)? {
        Kind::Ours => {}
        Kind::Foreign => return Err(SqliteError::Foreign { file: path }),
        Kind::Newer(found) => {
            let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
            return Err(SqliteError::Newer { file: path, found, known });
        }
    }
    writer.busy_timeout(MOMENT).map_err(sorted)?;
    let reader = connect(&path).map_err(sorted)?;
    reader.pragma_update(None, "query_only", true).map_err(sorted)?;
    Ok(Opened { path, writer, reader, lock, watched })
}

/// Makes what is not there yet, and takes the lock first of all: closing a second handle on an SQLite
/// file would drop the locks of the first.
fn make(path: &Path) -> Result<(File, [Watched; 2]), SqliteError> {
    let failed = |source| unwritable(path, source);
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let lock = lock(path, &name)?;
    let file = private().create(true).open(path).map_err(failed)?;
    let watched = |path, file: &File| Watched::new(path, file).map_err(failed);
    let watched = [watched(path.to_owned(), &file)?, watched(name, &lock)?];
    Ok((lock, watched))
}

/// One name for one file, whatever way leads to it: the lock goes by the name.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    if let Ok(known) = path.canonicalize() {
        return Ok(known);
    }
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
}

/// The file holds secrets: nobody else on the machine may read it.
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
        _ => SqliteError::Open { file, source },
    }
}

/// Takes the lock that the system gives back when the process dies, however it dies. It is not
/// SQLite's own exclusive mode, which would keep people from querying the history meanwhile.
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
    // Only for the text of the refusal: without it the lock holds just as well.
    let noted = lock.set_len(0).and_then(|()| lock.rewind());
    let _ = noted.and_then(|()| write!(lock, "{}", std::process::id()));
    Ok(lock)
}

fn holder(lock: &mut File) -> String {
    let mut pid = String::new();
    match lock.take(20).read_to_string(&mut pid) {
        Ok(_) if pid.parse() == Ok(std::process::id()) => "this very process".to_owned(),
        Ok(_) if pid.parse::<u32>().is_ok() => format!("process {pid}"),
        _ => "another process".to_owned(),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(PATIENCE)?;
    Ok(db)
}

/// Makes a commit mean that the data is on the disk, and the schema the present one.
fn prepare(db: &mut Connection) -> rusqlite::Result<Kind> {
    // Nothing is changed in a file that turns out to be somebody else's.
    match migrate(db, MIGRATIONS)? {
        Kind::Ours => {}
        other => return Ok(other),
    }
    let _mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a plain sync leaves the data in the disk's own cache; elsewhere these do nothing.
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    Ok(Kind::Ours)
}
