//! Threads that read the file.
//!
//! A read may wait for the disk, so it does not run on the thread of a request. Loads and lists
//! have separate queues: a load never waits for a long list.

use std::sync::Arc;

use rusqlite::Connection;

use super::{
    deadlines::Responder,
    error::FileError,
    file::{
        lists::{self, log_unreadable},
        loads,
        rows::is_unreadable,
    },
    queue::Queue,
    shared::Shared,
};
use crate::{
    registry::{StoredSession, UserExport, query::Query},
    session::{key::RecordKey, record::SessionRecord},
};

/// Request for a reader.
pub(super) enum ReadTask {
    /// Loads a session; the key is hashed.
    Load(RecordKey, bool, Responder<Option<StoredSession>>),
    List(Query, Responder<Vec<SessionRecord>>),
    Export(Arc<str>, Responder<UserExport>),
}

/// Executes tasks until the queue is closed.
pub(super) fn run(db: &Connection, shared: &Shared, tasks: &Queue<ReadTask>) {
    let failed = |error| shared.error(error);
    while let Some(task) = tasks.pop() {
        match task {
            ReadTask::Load(key, count_open, responder) => {
                if !responder.has_expired() {
                    responder.send(load(db, shared, key, count_open).map_err(failed));
                }
            }
            ReadTask::List(query, responder) => {
                let records = lists::list(db, &query, || responder.is_abandoned());
                responder.send(records.map_err(failed));
            }
            ReadTask::Export(user, responder) => {
                responder.send(lists::export(db, &user).map_err(failed));
            }
        }
    }
}

fn load(
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

impl ReadTask {
    pub(super) fn fail(self, error: FileError) {
        match self {
            Self::Load(.., responder) => responder.send(Err(error)),
            Self::List(_, responder) => responder.send(Err(error)),
            Self::Export(_, responder) => responder.send(Err(error)),
        }
    }
}
