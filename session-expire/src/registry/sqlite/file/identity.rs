//! Identity of a file in use: whether it is still the one at its path.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
};

use crate::registry::sqlite::error::FileError;

/// Identity of a file in use. Writes are lost if another file lies at its path.
pub(crate) struct FileIdentity {
    path: Arc<PathBuf>,
    number: Option<FileNumber>,
}

/// Device and inode, which are unique while the file is open.
type FileNumber = (u64, u64);

impl FileIdentity {
    pub(crate) fn new(path: PathBuf, file: &File) -> io::Result<Self> {
        Ok(Self { path: Arc::new(path), number: number(&file.metadata()?) })
    }

    /// Returns [`FileError::Moved`] if no file or another file lies at the path.
    pub(crate) fn check(&self) -> Result<(), FileError> {
        let is_same = match fs::metadata(&*self.path) {
            _ if self.number.is_none() => true,
            Ok(found) => number(&found) == self.number,
            // A process may write on without the right to look there again.
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
        if is_same { Ok(()) } else { Err(FileError::Moved { file: Arc::clone(&self.path) }) }
    }
}

#[cfg(unix)]
fn number(file: &Metadata) -> Option<FileNumber> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

/// Nothing to compare: Windows refuses to move a database that is open.
#[cfg(not(unix))]
fn number(_: &Metadata) -> Option<FileNumber> {
    None
}
