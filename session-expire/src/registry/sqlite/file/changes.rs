//! Table of the latest changes of sessions, for the listeners of all registries.
//!
//! Triggers write the rows, see `version_3.sql`. The reporter reads them.

use rusqlite::{Connection, Row};

use crate::{registry::change::Change, session::key::PublicId};

/// Returns the changes from number `first` on, in their order.
pub(crate) fn read_from(db: &Connection, first: i64) -> rusqlite::Result<Vec<(i64, Change)>> {
    let mut select = db.prepare_cached(SELECT)?;
    let rows = select.query_map([first], |row| Ok((row.get(0)?, read_change(row)?)))?;
    rows.collect()
}

pub(crate) const SELECT: &str =
    "SELECT number, partition_key, id FROM changes WHERE number >= ?1 ORDER BY number";

fn read_change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let Some(partition) = row.get(1)? else { return Ok(Change::Any) };
    let id: Option<String> = row.get(2)?;
    Ok(match id.and_then(|id| PublicId::parse(&id)) {
        Some(id) => Change::Session { partition, id },
        None => Change::User { partition },
    })
}

/// Returns the number of the last change.
pub(crate) fn last_number(db: &Connection) -> rusqlite::Result<i64> {
    let mut select = db.prepare_cached("SELECT coalesce(max(number), 0) FROM changes")?;
    select.query_row([], |row| row.get(0))
}
