//! What can go wrong with the file, said with the cure.

use std::{fmt, io, path::PathBuf, sync::Arc};

use rusqlite::ErrorCode;

use crate::error::tell_all;

/// Why a file cannot serve as a registry. Every text names the file and the cure.
///
/// ```
/// use session_expire::{SqliteError, SqliteRegistry};
/// let error = SqliteRegistry::open("/no/such/folder/sessions.db").err();
/// assert!(matches!(error, Some(SqliteError::Open { .. })));
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// Another registry, in this process or in another, has the file open.
    #[error(
        "{}: already in use by {holder}; records are served from memory, so one file serves one process: \
         stop the other process or give each a file of its own (several processes share a Redis)",
        file.display()
    )]
    InUse {
        /// The file.
        file: PathBuf,
        /// Who has it, as far as that is known.
        holder: String,
    },
    /// The file can be read and not written.
    #[error("{}: read-only; make the file and its folder writable for the user of this process", file.display())]
    ReadOnly {
        /// The file.
        file: PathBuf,
    },
    /// The file was written by a newer version of this crate.
    #[error(
        "{}: its schema has version {found} and this program knows versions up to {known}; update the \
         program, or start with a new file, which signs everyone out",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// The version of the file.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The file is a database of something else.
    #[error("{}: a database of another program; give the registry a file of its own", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The file is not a database, or a row of it cannot be read.
    #[error(
        "{}: cannot be read as a registry; restore it from a backup, or move it away, which signs \
         everyone out",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file or its lock cannot be opened or made.
    #[error("{}: cannot be opened; check that its folder exists and is writable", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SQLite met another obstacle, such as a full disk.
    #[error("{}: {}", file.display(), cure(source))]
    Sqlite {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl fmt::Debug for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell_all(self, f)
    }
}

impl SqliteError {
    /// Sorts an error met while opening `file`.
    pub(super) fn opening(file: PathBuf, source: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match (source.sqlite_error_code(), &source) {
            (Some(ErrorCode::ReadOnly), _) => Self::ReadOnly { file },
            (Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt), _)
            | (_, E::FromSqlConversionFailure(..) | E::InvalidColumnType(..)) => {
                Self::Damaged { file, source }
            }
            _ => Self::Sqlite { file, source },
        }
    }
}

/// Why an operation failed while the registry runs. One failed commit has many askers, hence the `Arc`.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Failure {
    #[error("{}: {}", file.display(), cure(source))]
    Sqlite { file: Arc<PathBuf>, source: Arc<rusqlite::Error> },
    #[error("the policy of this login cannot be stored: {0}")]
    Policy(Arc<serde_json::Error>),
    #[error(
        "{}: moved, replaced or removed while it was in use; put it back, or restart the process to go on \
         with what lies there now",
        file.display()
    )]
    Moved { file: Arc<PathBuf> },
    #[error("the thread that writes the file has stopped; restart the process")]
    Stopped,
}

impl Failure {
    /// Whether whatever else is written now would fail, too, or wait for as long. On a full disk it might
    /// not: what is smaller still fits, and people must be able to sign out.
    pub(super) fn is_everyones(&self) -> bool {
        use ErrorCode as E;
        match self {
            Self::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(E::DatabaseBusy | E::DatabaseLocked | E::ReadOnly | E::CannotOpen)
            ),
            Self::Policy(_) => false,
            Self::Moved { .. } | Self::Stopped => true,
        }
    }
}

/// What a text in `Failure` or `SqliteError` says of an error of SQLite.
fn cure(error: &rusqlite::Error) -> &'static str {
    const DAMAGED: &str =
        "the file is damaged; restore it from a backup, or move it away, which signs everyone out";
    if matches!(error, rusqlite::Error::FromSqlConversionFailure(..)) {
        return DAMAGED;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; free some space",
        Some(ErrorCode::ReadOnly) => "the file is read-only; make it and its folder writable",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds a lock on it; let it finish, and only read while the registry runs"
        }
        Some(ErrorCode::SystemIoFailure) => "the disk failed to read or write; see to it",
        Some(ErrorCode::CannotOpen) => {
            "cannot be opened; check that its folder is there and writable"
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => DAMAGED,
        _ => "SQLite cannot do it",
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi::{self, Error};

    use super::*;

    #[test]
    fn a_failure_names_the_file_and_the_cure() {
        for (code, words) in [
            (ffi::SQLITE_FULL, "/db: the disk is full; free some space"),
            (ffi::SQLITE_READONLY, "/db: the file is read-only; make it"),
            (ffi::SQLITE_BUSY, "/db: another program holds a lock"),
            (ffi::SQLITE_IOERR_FSYNC, "/db: the disk failed"),
            (ffi::SQLITE_CORRUPT, "/db: the file is damaged; restore it"),
        ] {
            let source = Arc::new(rusqlite::Error::SqliteFailure(Error::new(code), None));
            let failure = Failure::Sqlite { file: Arc::new("/db".into()), source };
            assert!(failure.to_string().starts_with(words), "{failure}");
        }
    }

    #[test]
    fn what_one_login_cannot_have_stored_is_no_failure_of_the_others() {
        for (code, everyones) in [
            (ffi::SQLITE_CONSTRAINT_TRIGGER, false),
            (ffi::SQLITE_TOOBIG, false),
            (ffi::SQLITE_BUSY, true),
            (ffi::SQLITE_FULL, false),
            (ffi::SQLITE_IOERR_WRITE, false),
            (ffi::SQLITE_READONLY_DBMOVED, true),
            (ffi::SQLITE_CANTOPEN, true),
        ] {
            let source = Arc::new(rusqlite::Error::SqliteFailure(Error::new(code), None));
            let failure = Failure::Sqlite { file: Arc::default(), source };
            assert_eq!(failure.is_everyones(), everyones, "{code}");
        }
    }
}
