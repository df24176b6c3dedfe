//! Errors of the SQLite registry.
//!
//! Opening a file returns [`SqliteError`]. While the registry runs, [`FileError`] is the source of
//! a [`RegistryError`](crate::error::RegistryError). Every message names the file and, if known,
//! the fix.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use rusqlite::ErrorCode;

use super::{file::rows::is_unreadable, queue};
use crate::error::{Source, write_with_sources};

/// Error when opening a file as a registry. Every message names the file and the fix.
///
/// ```
/// use session_expire::{SqliteRegistry, registry::SqliteError};
/// let error = SqliteRegistry::open("/no/such/folder/sessions.db").err();
/// assert!(matches!(error, Some(SqliteError::Open { .. })));
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// A process with an older version of this crate has the file open, and does not share it.
    #[error(
        "{}: in use by a process with an older version of session-expire, which does not share \
         the file; stop that process first",
        file.display()
    )]
    #[non_exhaustive]
    InUse {
        /// Path of the file.
        file: PathBuf,
    },
    /// The file has several names (hard links). SQLite names the write-ahead log after the file, so
    /// processes that use different names would overwrite each other's changes.
    #[error(
        "{}: has several names (hard links); remove all but one, or use a symbolic link",
        file.display()
    )]
    #[non_exhaustive]
    HardLinked {
        /// Path of the file.
        file: PathBuf,
    },
    /// The file is read-only.
    #[error(
        "{}: read-only; make the file and its folder writable for the user of this process",
        file.display()
    )]
    #[non_exhaustive]
    ReadOnly {
        /// Path of the file.
        file: PathBuf,
    },
    /// The file was written by a newer version of this crate.
    #[error(
        "{}: schema version {found}, but this program supports versions up to {known}; update the \
         program, or start with a new file, which signs all users out",
        file.display()
    )]
    #[non_exhaustive]
    Newer {
        /// Path of the file.
        file: PathBuf,
        /// Schema version of the file.
        found: i64,
        /// Newest schema version that this program supports.
        known: i64,
    },
    /// The file is a database of another program.
    #[error(
        "{}: a database of another program; give the registry a file of its own",
        file.display()
    )]
    #[non_exhaustive]
    Foreign {
        /// Path of the file.
        file: PathBuf,
    },
    /// The file is not a database.
    #[error(
        "{}: cannot be read as a registry; restore it from a backup, or move it aside, which signs \
         all users out",
        file.display()
    )]
    #[non_exhaustive]
    Damaged {
        /// Path of the file.
        file: PathBuf,
        /// Error from SQLite.
        source: Source,
    },
    /// The file cannot be opened or created.
    #[error("{}: cannot be opened; check that its folder exists and is writable", file.display())]
    #[non_exhaustive]
    Open {
        /// Path of the file.
        file: PathBuf,
        /// Error from the operating system.
        source: Source,
    },
    /// Another SQLite error, such as a full disk.
    #[error("{}: {problem}", file.display())]
    #[non_exhaustive]
    Sqlite {
        /// Path of the file.
        file: PathBuf,
        /// Problem and its fix, such as `the disk is full; free some space`.
        problem: &'static str,
        /// Error from SQLite.
        source: Source,
    },
}

impl fmt::Debug for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_sources(self, f)
    }
}

impl SqliteError {
    /// Classifies an error that occurred when opening `file`.
    pub(super) fn opening(file: PathBuf, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { file },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { file, source: source.into() }
            }
            _ if is_unreadable(&source) => Self::Damaged { file, source: source.into() },
            _ => Self::Sqlite { file, problem: problem_and_fix(&source), source: source.into() },
        }
    }
}

/// Error of an operation while the registry runs. It is `Clone`, because one failed transaction
/// fails several operations.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum FileError {
    #[error("{}: {}", file.display(), problem_and_fix(source))]
    Sqlite { file: Arc<PathBuf>, source: Arc<rusqlite::Error> },
    #[error("the session cannot be stored: {0}")]
    Unwritable(Arc<rusqlite::Error>),
    #[error(
        "{}: moved, replaced or removed while in use; put the file back, or restart the process to \
         use the current file",
        file.display()
    )]
    Moved { file: Arc<PathBuf> },
    #[error("{}: no response within {timeout:?} (`SqliteRegistry::timeout`); check the disk", file.display())]
    TimedOut { file: Arc<PathBuf>, timeout: Duration },
    #[error("{}: {} operations are already waiting; check the disk", file.display(), queue::CAPACITY)]
    Overloaded { file: Arc<PathBuf> },
    #[error(
        "{}: the user is erased, but another program reads the file, so its write-ahead log still \
         contains the data; erase the user again later",
        file.display()
    )]
    NotTruncated { file: Arc<PathBuf> },
    #[error("the thread of the registry has stopped; restart the process")]
    Stopped,
}

impl FileError {
    pub(super) fn new(file: &Arc<PathBuf>, error: rusqlite::Error) -> Self {
        let source = Arc::new(error);
        match *source {
            rusqlite::Error::ToSqlConversionFailure(_) => Self::Unwritable(source),
            _ => Self::Sqlite { file: Arc::clone(file), source },
        }
    }

    /// Returns `true` if every other write would fail, too. On a full disk a smaller write may
    /// succeed, and users must be able to sign out.
    pub(super) fn affects_all_writes(&self) -> bool {
        use ErrorCode as E;
        match self {
            Self::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(E::DatabaseBusy | E::DatabaseLocked | E::ReadOnly | E::CannotOpen)
            ),
            Self::Moved { .. } | Self::Stopped => true,
            _ => false,
        }
    }
}

/// Returns the problem and the fix for the message of an SQLite error.
fn problem_and_fix(error: &rusqlite::Error) -> &'static str {
    const DAMAGED: &str = "the file is damaged; restore it from a backup, or move it aside, which \
                           signs all users out";
    if is_unreadable(error) {
        return DAMAGED;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; free some space",
        Some(ErrorCode::ReadOnly) => "the file is read-only; make it and its folder writable",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds a lock on it; end its transaction"
        }
        Some(ErrorCode::SystemIoFailure) => "I/O error; check the disk",
        Some(ErrorCode::CannotOpen) => {
            "cannot be opened; check that its folder exists and is writable"
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => DAMAGED,
        _ => "SQLite error",
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi::{self, Error};

    use super::*;

    fn error(code: i32) -> FileError {
        let source = rusqlite::Error::SqliteFailure(Error::new(code), None);
        FileError::new(&Arc::new("/db".into()), source)
    }

    #[test]
    fn message_names_the_file_and_the_fix() {
        for (code, words) in [
            (ffi::SQLITE_FULL, "/db: the disk is full; free some space"),
            (ffi::SQLITE_READONLY, "/db: the file is read-only; make it"),
            (ffi::SQLITE_BUSY, "/db: another program holds a lock"),
            (ffi::SQLITE_IOERR_FSYNC, "/db: I/O error; check the disk"),
            (ffi::SQLITE_CORRUPT, "/db: the file is damaged; restore it"),
        ] {
            let message = error(code).to_string();
            assert!(message.starts_with(words), "{message}");
        }
    }

    #[test]
    fn error_of_one_login_does_not_affect_other_writes() {
        for (code, affects_all) in [
            (ffi::SQLITE_CONSTRAINT_TRIGGER, false),
            (ffi::SQLITE_TOOBIG, false),
            (ffi::SQLITE_BUSY, true),
            (ffi::SQLITE_FULL, false),
            (ffi::SQLITE_IOERR_WRITE, false),
            (ffi::SQLITE_READONLY_DBMOVED, true),
            (ffi::SQLITE_CANTOPEN, true),
        ] {
            assert_eq!(error(code).affects_all_writes(), affects_all, "{code}");
        }
        let unwritable = rusqlite::Error::ToSqlConversionFailure("no".into());
        assert!(!FileError::new(&Arc::default(), unwritable).affects_all_writes());
    }
}
