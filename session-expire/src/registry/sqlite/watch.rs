//! Whether a file in use is still the one at its path.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
};

use super::error::Failure;

/// A file in use. What is written into it when another lies at its path is lost.
pub(super) struct Watched {
    path: Arc<PathBuf>,
    mark: Option<Mark>,
}

/// The device and the number on it, which tell a file from all others while it is open.
type Mark = (u64, u64);

impl Watched {
    pub(super) fn new(path: PathBuf, file: &File) -> io::Result<Self> {
        Ok(Self { path: Arc::new(path), mark: mark(&file.metadata()?) })
    }

    /// Fails when nothing lies at the path, or something else.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let stays = match fs::metadata(&*self.path) {
            _ if self.mark.is_none() => true,
            Ok(there) => mark(&there) == self.mark,
            // Other errors say nothing: a process may write on without the right to look there again.
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
        if stays { Ok(()) } else { Err(Failure::Moved { file: Arc::clone(&self.path) }) }
    }
}

#[cfg(unix)]
fn mark(file: &Metadata) -> Option<Mark> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

/// Nothing to compare: Windows lets nobody move a database that is open.
#[cfg(not(unix))]
fn mark(_: &Metadata) -> Option<Mark> {
    None
}
