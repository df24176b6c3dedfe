//! Lists and exports.
//!
//! Each list has an index in its order, so the cost of a page depends on its rows. Conditions
//! without an index are checked row by row. A list is one transaction, so all its records are of
//! the same moment.

use rusqlite::{Connection, named_params};

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

/// Number of rows after which a list checks whether it was cancelled.
const BATCH: usize = 1_000;

/// Part of the records that has its own index.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Rows without an end, although some of their sessions may have ended.
    Open,
    History,
}

/// Lists records, newest login first. A list whose outcome is no longer awaited is cancelled.
pub(crate) fn list(
    db: &Connection,
    query: &Query,
    is_cancelled: impl Fn() -> bool,
) -> rusqlite::Result<Vec<SessionRecord>> {
    let transaction = db.unchecked_transaction()?;
    let head = Head::read(&transaction)?;
    let mut records = vec![];
    if query.ended != Some(true) || has_unwritten_ends(&transaction)? {
        records.extend(scan(&transaction, query, Part::Open, &head, &is_cancelled)?);
    }
    if query.ended != Some(false) {
        records.extend(scan(&transaction, query, Part::History, &head, &is_cancelled)?);
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
    head: &Head,
    is_cancelled: impl Fn() -> bool,
) -> rusqlite::Result<Vec<SessionRecord>> {
    let (at, id) = start(query);
    let mut select = db.prepare_cached(&list_sql(part, query.user.is_some()))?;
    let mut rows = select.query(named_params! {
        ":user": query.user.as_deref(),
        ":at": at,
        ":id": id,
        ":from": query.from.map_or(i64::MIN, Timestamp::as_millis),
    })?;
    let (mut found, mut read) = (vec![], 0);
    while found.len() < query.limit.unwrap_or(usize::MAX) {
        read += 1;
        if read % BATCH == 0 && is_cancelled() {
            break;
        }
        let Some(row) = rows.next()? else { break };
        let record = readable(read_record(row))?.map(|record| settled(record, head));
        found.extend(record.filter(|record| query.matches(record)));
    }
    Ok(found)
}

/// Returns the record with an end that is not in its row yet.
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
         ORDER BY logged_in_at DESC, id DESC",
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

/// Logs and skips a row that cannot be read.
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
