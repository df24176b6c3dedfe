//! Reader thread: loads and lists records that are not in memory.
//!
//! It never writes. It has a connection of its own, so a long list does not delay a login. The
//! registry sends its requests.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc::Receiver},
};

use rusqlite::{Connection, Params, named_params};

use super::{
    command::Responder,
    file::{
        queries,
        rows::{COLUMNS, is_unreadable, read_row},
    },
    shared::Shared,
};
use crate::{
    registry::{StoredSession, UserExport, query::Query},
    session::{
        key::{PublicId, RecordKey},
        record::SessionRecord,
    },
};

/// Request for the reader. Keys are hashed.
pub(super) enum ReadRequest {
    List(Query, Responder<Vec<SessionRecord>>),
    Load { key: RecordKey, count_open: bool, responder: Responder<Option<StoredSession>> },
    Export(Arc<str>, Responder<UserExport>),
}

/// Serves requests until the registry is dropped.
pub(super) fn run(db: &Connection, shared: &Shared, requests: Receiver<ReadRequest>) {
    for request in requests {
        // `send` fails if the receiver was dropped with its request.
        match request {
            ReadRequest::List(query, responder) => {
                let records = list(db, shared, &query);
                let _ = responder.send(records.map_err(|error| shared.error(error)));
            }
            ReadRequest::Load { key, count_open, responder } => {
                let loaded = load(db, shared, key, count_open);
                let _ = responder.send(loaded.map_err(|error| shared.error(error)));
            }
            ReadRequest::Export(user, responder) => {
                let export = export(db, shared, &user);
                let _ = responder.send(export.map_err(|error| shared.error(error)));
            }
        }
    }
}

fn list(db: &Connection, shared: &Shared, query: &Query) -> rusqlite::Result<Vec<SessionRecord>> {
    let (snapshot, open) = shared.snapshot(db, |index| match &query.user {
        Some(user) => index.list(&Query::open(Arc::clone(user))),
        None => vec![],
    })?;
    let after = query.after.as_ref();
    let parameters = named_params! {
        ":user": query.user.as_deref(),
        ":at": after.map(|(at, _)| at.as_millis()),
        ":id": after.map(|(_, id)| id.as_str()),
        ":limit": query.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX)),
    };
    let stored = select_readable(&snapshot, &list_sql(query), parameters)?;
    Ok(match query.user {
        Some(_) => with_open(stored, open),
        None => with_activity(stored, shared),
    })
}

/// Returns the SQL of a list. It names the same parameters for every query, and its conditions use
/// an index.
fn list_sql(query: &Query) -> String {
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
        "SELECT {COLUMNS} FROM sessions WHERE in_history = 1 AND {user} AND {after} AND {ended}
         ORDER BY logged_in_at DESC, id DESC LIMIT :limit"
    )
}

/// Selects the readable rows, and logs the others.
fn select_readable(
    db: &Connection,
    sql: &str,
    parameters: impl Params,
) -> rusqlite::Result<Vec<(RecordKey, SessionRecord)>> {
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query(parameters)?;
    let mut records = vec![];
    while let Some(row) = rows.next()? {
        match read_row(row) {
            Ok(stored) => records.push((stored.key, stored.record)),
            Err(error) if is_unreadable(&error) => log_unreadable(&error),
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

fn log_unreadable(error: &rusqlite::Error) {
    let event = "sys_unreadable_record";
    tracing::error!(event, %error, "unreadable session record in the SQLite file; skipped");
}

/// Replaces the records in `open` with their state in memory, whose activity may be newer than that
/// of the file.
fn with_open(
    stored: Vec<(RecordKey, SessionRecord)>,
    open: Vec<SessionRecord>,
) -> Vec<SessionRecord> {
    let mut open: HashMap<PublicId, _> = open.into_iter().map(|open| (open.id, open)).collect();
    let records = stored.into_iter().map(|(_, record)| record);
    records.map(|record| open.remove(&record.id).unwrap_or(record)).collect()
}

/// Replaces the activity of open records with that in memory, which may be newer than that of the
/// file. A list of all users is not atomic, so the activity may also be newer than the list.
fn with_activity(stored: Vec<(RecordKey, SessionRecord)>, shared: &Shared) -> Vec<SessionRecord> {
    let records = stored.into_iter().map(|(key, record)| match shared.record(&key) {
        Some(SessionRecord { last_seen, last_client, .. }) => {
            SessionRecord { last_seen, last_client, ..record }
        }
        None => record,
    });
    records.collect()
}

/// Loads the ended record of a key that is not in memory.
///
/// Open records are always in memory. An open record that is only in the file belongs to a login
/// that has not completed, and no client has its key. An unreadable row counts as unknown.
fn load(
    db: &Connection,
    shared: &Shared,
    key: RecordKey,
    count_open: bool,
) -> rusqlite::Result<Option<StoredSession>> {
    let stored = match queries::load(db, &key) {
        Err(error) if is_unreadable(&error) => {
            log_unreadable(&error);
            None
        }
        stored => stored?,
    };
    let ended = stored.filter(|record| record.ended.is_some());
    Ok(ended.map(|record| {
        let open =
            count_open.then(|| shared.index.shard(key.partition_key()).counted_open(&record.user));
        StoredSession { record: Arc::new(record), data: Arc::default(), open }
    }))
}

fn export(db: &Connection, shared: &Shared, user: &str) -> rusqlite::Result<UserExport> {
    let (snapshot, memory) = shared.snapshot(db, |index| index.shard_of_user(user).export(user))?;
    let columns = |in_history| {
        format!("SELECT {COLUMNS} FROM sessions WHERE user = ?1 AND in_history = {in_history}")
    };
    let sql = format!("{} UNION ALL {}", columns(1), columns(0));
    let stored = select_readable(&snapshot, &sql, [user])?;
    let open = memory.records.into_iter().filter(|record| record.ended.is_none()).collect();
    let records = Query::default().paginate(with_open(stored, open));
    Ok(UserExport { records, data: memory.data })
}
