//! What is not in memory: past logins, read by a thread with a connection of its own, so that a long
//! list keeps no login waiting.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc::Receiver},
};

use rusqlite::{Connection, OptionalExtension, named_params};
use tokio::sync::oneshot;

use super::{error::Failure, rows, state::State};
use crate::registry::{Loaded, Query, key::RecordKey, record::SessionRecord};

/// What is asked of the history; keys are hashed.
pub(super) enum Question {
    Find(Query, oneshot::Sender<Result<Vec<SessionRecord>, Failure>>),
    Load(RecordKey, oneshot::Sender<Result<Option<Loaded>, Failure>>),
}

/// Answers until the registry is dropped.
pub(super) fn run(db: &Connection, state: &Arc<State>, questions: Receiver<Question>) {
    for question in questions {
        // An error of `send` means that nobody waits any more.
        match question {
            Question::Find(query, reply) => {
                let _ = reply.send(find(db, state, &query).map_err(|error| state.failure(error)));
            }
            Question::Load(key, reply) => {
                let _ = reply.send(load(db, state, key).map_err(|error| state.failure(error)));
            }
        }
    }
}

fn find(db: &Connection, state: &State, query: &Query) -> rusqlite::Result<Vec<SessionRecord>> {
    let (snapshot, open) = state.snapshot(db, query.user.as_deref())?;
    let mut select = snapshot.prepare_cached(&sql(query))?;
    let after = query.after.as_ref();
    let parameters = named_params! {
        ":user": query.user.as_deref(),
        ":at": after.map(|(at, _)| at.as_millis()),
        ":id": after.map(|(_, id)| id.as_str()),
        ":limit": query.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX)),
    };
    let rows = select.query_map(parameters, rows::read)?;
    let open: HashMap<_, _> = open.into_iter().map(|record| (record.id, record)).collect();
    let known = |record: &SessionRecord| open.get(&record.id).cloned();
    rows.map(|row| {
        row.map(|(key, record)| match query.user {
            Some(_) => known(&record).unwrap_or(record),
            None => with_activity(state, &key, record),
        })
    })
    .collect()
}

/// The same parameters whatever the query, and only conditions that an index can serve.
fn sql(query: &Query) -> String {
    let user = if query.user.is_some() { "user = :user" } else { ":user IS NULL" };
    let after = match query.after {
        Some(_) => "(logged_in_at, id) < (:at, :id)",
        None => ":at IS NULL AND :id IS NULL",
    };
    let ended = match query.ended {
        Some(true) => "ended_at IS NOT NULL",
        Some(false) => "ended_at IS NULL",
        None => "1",
    };
    format!(
        "SELECT {} FROM logins WHERE in_log = 1 AND {user} AND {after} AND {ended}
         ORDER BY logged_in_at DESC, id DESC LIMIT :limit",
        rows::COLUMNS
    )
}

/// The record with the `last_seen` that the file doesn't have yet. In a list of all users one may be
/// younger than the rest of the list: such a list is no single step.
fn with_activity(state: &State, key: &RecordKey, mut record: SessionRecord) -> SessionRecord {
    if let Some(last_seen) = state.last_seen(key) {
        record.last_seen = last_seen;
    }
    record
}

/// The record of a login that memory has forgotten. An open one is never forgotten: one that is only
/// in the file has not been answered yet, and nobody can have its key.
fn load(db: &Connection, state: &State, key: RecordKey) -> rusqlite::Result<Option<Loaded>> {
    let sql = format!("SELECT {} FROM logins WHERE key_hash = ?1", rows::COLUMNS);
    let mut select = db.prepare_cached(&sql)?;
    let found = select.query_row([key.expose()], rows::read).optional()?;
    let ended = found.map(|(_, record)| record).filter(|record| record.ended.is_some());
    Ok(ended.map(|record| {
        let open = state.shards.of_tag(key.tag()).open_of(&record.user);
        Loaded { record: Arc::new(record), open }
    }))
}
