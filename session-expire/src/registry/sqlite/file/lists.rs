//! Lists and exports.
//!
//! An index has the order of a list, so a page costs by its rows. Conditions without an index are
//! checked row by row, in batches: a long scan does not keep the write-ahead log from being reused.

use rusqlite::{Connection, Row, Transaction, named_params};

use super::{
    head::Head,
    loads::end_by_generation,
    rows::{columns, is_unreadable, read_record, read_row, record_columns},
    statements::PARTS,
};
use crate::{
    registry::{UserExport, query::Query, sqlite::write::retention::end_if_due},
    session::{reason::Reason, record::SessionRecord},
    time::Timestamp,
};

/// Maximum number of rows that one transaction reads for a list of all users.
const BATCH: usize = 1_000;

/// Part of the records: each has an index of its own.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Rows without an end. Some of their sessions may have ended nevertheless.
    Open,
    History,
}

/// Lists records, newest login first. `is_cancelled` is called between two batches.
pub(crate) fn list(
    db: &Connection,
    query: &Query,
    is_cancelled: impl Fn() -> bool,
) -> rusqlite::Result<Vec<SessionRecord>> {
    if query.user.is_some() {
        // All records of one user are from the same moment.
        let transaction = db.unchecked_transaction()?;
        return scan_parts(&transaction, query, usize::MAX, is_cancelled);
    }
    scan_parts(db, query, BATCH, is_cancelled)
}

fn scan_parts(
    db: &Connection,
    query: &Query,
    batch: usize,
    is_cancelled: impl Fn() -> bool,
) -> rusqlite::Result<Vec<SessionRecord>> {
    let mut records = vec![];
    if query.ended != Some(true) || has_unwritten_ends(db)? {
        records.extend(scan(db, query, Part::Open, batch, &is_cancelled)?);
    }
    if query.ended != Some(false) {
        records.extend(scan(db, query, Part::History, batch, &is_cancelled)?);
    }
    Ok(query.paginate(records))
}

/// Returns `true` if there may be sessions that have ended without an end in their row.
fn has_unwritten_ends(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sessions
                   WHERE ended_at IS NULL AND generation < current_generation)
                   OR EXISTS (SELECT 1 FROM sessions WHERE ended_at IS NULL
                       AND generation = current_generation AND check_at <= last_at)
               FROM registry";
    db.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

/// Returns the first matching records of a part.
fn scan(
    db: &Connection,
    query: &Query,
    part: Part,
    batch: usize,
    is_cancelled: impl Fn() -> bool,
) -> rusqlite::Result<Vec<SessionRecord>> {
    let (mut found, mut cursor) = (vec![], start(query));
    let limit = query.limit.unwrap_or(usize::MAX);
    while found.len() < limit && !is_cancelled() {
        let mut rows = 0;
        let from = cursor.clone();
        scan_batch(db, query, part, batch, &from, |head, row| {
            rows += 1;
            cursor = (row.get(4)?, row.get(1)?);
            let record = readable(read_record(row))?.map(|record| settled(record, head));
            found.extend(record.filter(|record| query.matches(record)));
            Ok(found.len() < limit)
        })?;
        if rows < batch {
            break;
        }
    }
    Ok(found)
}

/// Returns the record as it is after ends that are not in its row yet.
fn settled(mut record: SessionRecord, head: &Head) -> SessionRecord {
    end_by_generation(&mut record, &head.generations);
    end_if_due(&mut record, head.last_at);
    record
}

/// Position in a list: the time of a login and the public id.
type Cursor = (i64, String);

/// Returns the position before the first row that can match.
fn start(query: &Query) -> Cursor {
    let after = query.after.as_ref().map(|(at, id)| (at.as_millis(), id.as_str().to_owned()));
    let before = query.before.map(|before| (before.as_millis(), String::new()));
    after.into_iter().chain(before).min().unwrap_or((i64::MAX, String::new()))
}

/// Calls `each` with the next rows after `cursor` until it returns `false`.
fn scan_batch(
    db: &Connection,
    query: &Query,
    part: Part,
    batch: usize,
    cursor: &Cursor,
    mut each: impl FnMut(&Head, &Row<'_>) -> rusqlite::Result<bool>,
) -> rusqlite::Result<()> {
    let transaction = db.is_autocommit().then(|| db.unchecked_transaction()).transpose()?;
    let head = Head::read(db)?;
    let mut select = db.prepare_cached(&list_sql(part, query.user.is_some()))?;
    let mut rows = select.query(named_params! {
        ":user": query.user.as_deref(),
        ":at": cursor.0,
        ":id": cursor.1,
        ":from": query.from.map_or(i64::MIN, Timestamp::as_millis),
        ":limit": i64::try_from(batch).unwrap_or(i64::MAX),
    })?;
    while let Some(row) = rows.next()? {
        if !each(&head, row)? {
            break;
        }
    }
    drop(rows);
    drop(select);
    transaction.map_or(Ok(()), Transaction::finish)
}

/// Returns the SQL of a list. It names the same parameters for every query.
fn list_sql(part: Part, of_user: bool) -> String {
    let user = if of_user { "user = :user" } else { ":user IS NULL" };
    let (part, index) = match (part, of_user) {
        (Part::Open, true) => ("ended_at IS NULL", "open_of_user"),
        (Part::Open, false) => ("ended_at IS NULL", "open_by_time"),
        (Part::History, true) => ("in_history = 1 AND ended_at IS NOT NULL", "history_of_user"),
        (Part::History, false) => ("in_history = 1 AND ended_at IS NOT NULL", "history_by_time"),
    };
    format!(
        "SELECT {} FROM sessions INDEXED BY {index}
         WHERE {part} AND {user} AND (logged_in_at, id) < (:at, :id) AND logged_in_at >= :from
         ORDER BY logged_in_at DESC, id DESC LIMIT :limit",
        record_columns!()
    )
}

/// Returns the SQL of all lists.
#[cfg(test)]
pub(crate) fn statements() -> impl Iterator<Item = String> {
    [Part::Open, Part::History]
        .into_iter()
        .flat_map(|part| [true, false].map(|of_user| list_sql(part, of_user)))
}

/// Logs a row that cannot be read. It does not fail the list.
fn readable<T>(row: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match row {
        Ok(row) => Ok(Some(row)),
        Err(error) if is_unreadable(&error) => {
            log_unreadable(&error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn log_unreadable(error: &rusqlite::Error) {
    let event = "sys_unreadable_record";
    tracing::error!(event, %error, "unreadable session record in the SQLite file; skipped");
}

/// Returns all records of a user, tombstones included, and the data of the open ones.
pub(crate) fn export(db: &Connection, user: &str) -> rusqlite::Result<UserExport> {
    let transaction = db.unchecked_transaction()?;
    let head = Head::read(&transaction)?;
    let select = |condition: &str| {
        format!("SELECT {} FROM sessions WHERE user = ?1 AND {condition}", columns!())
    };
    let (mut records, mut data) = (vec![], vec![]);
    for condition in PARTS {
        let mut select = transaction.prepare_cached(&select(condition))?;
        let mut rows = select.query([user])?;
        while let Some(row) = rows.next()? {
            let Some(stored) = readable(read_row(row))? else { continue };
            let record = settled(stored.record, &head);
            if record.ended.as_ref().is_some_and(|ended| ended.reason == Reason::Renewed) {
                continue; // The tombstone of a rotated key is a copy.
            }
            if record.ended.is_none() {
                data.push((record.session_ref(), stored.data));
            }
            records.push(record);
        }
    }
    Ok(UserExport { records: Query::default().paginate(records), data })
}
