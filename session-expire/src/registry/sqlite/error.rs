//! Errors of the file, each with its fix.
//!
//! [`SqliteError`] is returned when a file is opened, [`FileError`] is the source of a
//! [`RegistryError`](crate::RegistryError) while the registry runs.

use std::{fmt, path::PathBuf, sync::Arc};

use rusqlite::ErrorCode;

use super::file::rows::is_unreadable;
use crate::error::{Source, write_with_sources};

/// A file cannot be opened as a registry. Every message names the file and the fix.
///
/// ```
/// use session_expire::{SqliteRegistry, registry::SqliteError};
/// let error = SqliteRegistry::open("/no/such/folder/sessions.db").err();
/// assert!(matches!(error, Some(SqliteError::Open { .. })));
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// Another registry, in this process or in another, has the file open.
    #[error(
        "{}: already in use by {holder}; records are served from memory, so one file serves one \
         process: stop the other process or give each a file of its own (several processes share a \
         Redis server)",
        file.display()
    )]
    #[non_exhaustive]
    InUse {
        /// The file.
        file: PathBuf,
        /// The process that uses it, as far as that is known.
        holder: String,
    },
    /// The file can be read but not written.
    #[error(
        "{}: read-only; make the file and its folder writable for the user of this process",
        file.display()
    )]
    #[non_exhaustive]
    ReadOnly {
        /// The file.
        file: PathBuf,
    },
    /// The file was written by a newer version of this crate.
    #[error(
        "{}: its schema has version {found} and this program knows versions up to {known}; update \
         the program, or start with a new file, which signs all users out",
        file.display()
    )]
    #[non_exhaustive]
    Newer {
        /// The file.
        file: PathBuf,
        /// The version of the file.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The file is a database of another program.
    #[error(
        "{}: a database of another program; give the registry a file of its own",
        file.display()
    )]
    #[non_exhaustive]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The file is not a database, or the row of an open session cannot be read.
    #[error(
        "{}: cannot be read as a registry; restore it from a backup, or move it away, which signs \
         all users out",
        file.display()
    )]
    #[non_exhaustive]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The error of SQLite.
        source: Source,
    },
    /// The file or its lock cannot be opened or created.
    #[error("{}: cannot be opened; check that its folder exists and is writable", file.display())]
    #[non_exhaustive]
    Open {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: Source,
    },
    /// Another error of SQLite, such as a full disk.
    #[error("{}: {fix}", file.display())]
    #[non_exhaustive]
    Sqlite {
        /// The file.
        file: PathBuf,
        /// The state, and what to do.
        fix: &'static str,
        /// The error of SQLite.
        source: Source,
    },
}

impl fmt::Debug for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_sources(self, f)
    }
}

impl SqliteError {
    /// Classifies an error of opening `file`.
    pub(super) fn opening(file: PathBuf, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { file },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { file, source: source.into() }
            }
            _ if is_unreadable(&source) => Self::Damaged { file, source: source.into() },
            _ => Self::Sqlite { file, fix: fix(&source), source: source.into() },
        }
    }
}

/// An operation failed while the registry runs. One failed commit fails several operations, hence
/// the `Arc`.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum FileError {
    #[error("{}: {}", file.display(), fix(source))]
    Sqlite { file: Arc<PathBuf>, source: Arc<rusqlite::Error> },
    #[error("the session cannot be stored: {0}")]
    Unwritable(Arc<rusqlite::Error>),
    #[error(
        "{}: moved, replaced or removed while it was in use; put it back, or restart the process to \
         continue with what lies there now",
        file.display()
    )]
    Moved { file: Arc<PathBuf> },
    #[error("the thread that serves the file has stopped; restart the process")]
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

    /// Returns `true` if any other write would fail now, too, or wait as long. On a full disk it
    /// may not: a smaller write still fits, and users must be able to sign out.
    pub(super) fn affects_all_writes(&self) -> bool {
        use ErrorCode as E;
        match self {
            Self::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(E::DatabaseBusy | E::DatabaseLocked | E::ReadOnly | E::CannotOpen)
            ),
            Self::Unwritable(_) => false,
            Self::Moved { .. } | Self::Stopped => true,
        }
    }
}

/// Returns what a message says of an error of SQLite: the state and the fix.
fn fix(error: &rusqlite::Error) -> &'static str {
    const DAMAGED: &str = "the file is damaged; restore it from a backup, or move it away, which \
                           signs all users out";
    if is_unreadable(error) {
        return DAMAGED;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; free some space",
        Some(ErrorCode::ReadOnly) => "the file is read-only; make it and its folder writable",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds a lock on it; only read it while the registry runs"
        }
        Some(ErrorCode::SystemIoFailure) => "the disk failed to read or write; check the disk",
        Some(ErrorCode::CannotOpen) => {
            "cannot be opened; check that its folder is there and writable"
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => DAMAGED,
        _ => "SQLite refused the operation",
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
            (ffi::SQLITE_IOERR_FSYNC, "/db: the disk failed"),
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
