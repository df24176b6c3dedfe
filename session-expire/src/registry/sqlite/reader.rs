//! Threads that read the file.
//!
//! A read may wait for the disk, so it does not run on the thread of a request. Loads and lists
//! have separate queues: a load never waits for a long list.

use rusqlite::Connection;

use super::{
    error::FileError,
    file::{lists::log_unreadable, loads, rows::is_unreadable},
    queue::Queue,
    shared::Shared,
};
use crate::{registry::StoredSession, session::key::RecordKey};

/// Operation that reads, and sends its outcome; or that sends the error.
pub(super) type ReadTask = Box<dyn FnOnce(Result<&Connection, FileError>) + Send>;

/// Executes tasks until the queue is closed.
pub(super) fn run(db: &Connection, tasks: &Queue<ReadTask>) {
    while let Some(task) = tasks.pop() {
        task(Ok(db));
    }
}

/// Loads the session of a hashed key, and adds it to the cache.
pub(super) fn load(
    db: &Connection,
    shared: &Shared,
    key: RecordKey,
    count_open: bool,
) -> rusqlite::Result<Option<StoredSession>> {
    let loaded = match loads::load(db, &key, count_open) {
        Err(error) if is_unreadable(&error) => {
            log_unreadable(&error);
            None
        }
        loaded => loaded?,
    };
    Ok(loaded.map(|loaded| {
        let commit = shared.commit(loaded.commit, loaded.writer);
        shared.cache.insert(key, loaded.session.clone(), commit);
        loaded.session
    }))
}
