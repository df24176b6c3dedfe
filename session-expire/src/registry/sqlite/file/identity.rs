//! Identity of a file in use.
//!
//! A write to a file that was moved or replaced would be lost. The writer therefore checks the
//! identity before every commit.

use std::{
    fs::{self, Metadata},
    io::ErrorKind,
    path::PathBuf,
    sync::Arc,
};

use crate::registry::sqlite::error::FileError;

/// Identity of a file in use: its path, and the number of the open file.
pub(crate) struct FileIdentity {
    path: Arc<PathBuf>,
    number: Option<FileNumber>,
}

/// Device and inode, which identify a file while it is open.
type FileNumber = (u64, u64);

impl FileIdentity {
    pub(crate) fn new(path: PathBuf, file: &Metadata) -> Self {
        Self { path: Arc::new(path), number: file_number(file) }
    }

    /// Returns [`FileError::Moved`] if the path names no file or another file.
    pub(crate) fn check(&self) -> Result<(), FileError> {
        let is_same = match fs::metadata(&*self.path) {
            _ if self.number.is_none() => true,
            Ok(metadata) => file_number(&metadata) == self.number,
            // The process may have lost permission to read the folder in the meantime.
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
        if is_same { Ok(()) } else { Err(FileError::Moved { file: Arc::clone(&self.path) }) }
    }
}

#[cfg(unix)]
fn file_number(file: &Metadata) -> Option<FileNumber> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

/// Returns `None`: Windows does not let another process move an open database.
#[cfg(not(unix))]
fn file_number(_: &Metadata) -> Option<FileNumber> {
    None
}

/// Returns `true` if the file has more than one name.
#[cfg(unix)]
pub(crate) fn has_other_names(file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.is_file() && file.nlink() > 1
}

#[cfg(not(unix))]
pub(crate) fn has_other_names(_: &Metadata) -> bool {
    false
}
