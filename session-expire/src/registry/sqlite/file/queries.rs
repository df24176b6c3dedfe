//! Queries for single records and for closed adoptions.
//!
//! They change nothing. The writer and the reader use them.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::rows::{COLUMNS, read_row};
use crate::{
    registry::index::write_set::AdoptionClosing,
    session::{ended::Ended, key::RecordKey, reason::Reason, record::SessionRecord},
    time::Timestamp,
};

/// Loads the record of a key that is not in memory. A rotated key loads its record as ended for
/// [`Reason::Renewed`].
pub(crate) fn load(db: &Connection, key: &RecordKey) -> rusqlite::Result<Option<SessionRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM sessions WHERE key_hash = ?1");
    let mut select = db.prepare_cached(&sql)?;
    match select.query_row([key.expose()], read_row).optional()? {
        Some(stored) => Ok(Some(stored.record)),
        None => load_renewed(db, key),
    }
}

fn load_renewed(db: &Connection, key: &RecordKey) -> rusqlite::Result<Option<SessionRecord>> {
    let sql = "SELECT session, renewed_at FROM renewed_keys WHERE key_hash = ?1";
    let mut select = db.prepare_cached(sql)?;
    let renewed = select.query_row([key.expose()], |row| Ok((row.get(0)?, row.get(1)?)));
    let Some((seq, renewed_at)): Option<(i64, i64)> = renewed.optional()? else { return Ok(None) };
    let sql = format!("SELECT {COLUMNS} FROM sessions WHERE seq = ?1");
    let stored = db.prepare_cached(&sql)?.query_row([seq], read_row).optional()?;
    let ended = Ended::new(Reason::Renewed, Timestamp::from_millis(renewed_at));
    Ok(stored.map(|stored| SessionRecord { ended: Some(ended), ..stored.record }))
}

/// Returns the number of records of `user`, and the latest `tombstone_until` among them.
pub(crate) fn summary(db: &Connection, user: &str) -> rusqlite::Result<(u64, Option<Timestamp>)> {
    let sql = "SELECT count(*), max(tombstone_until) FROM (
             SELECT tombstone_until FROM sessions WHERE user = ?1 AND in_history = 1
             UNION ALL SELECT tombstone_until FROM sessions WHERE user = ?1 AND in_history = 0)";
    db.query_row(sql, [user], |row| {
        let (count, until): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
        Ok((u64::try_from(count).unwrap_or(0), until.map(Timestamp::from_millis)))
    })
}

pub(crate) fn closed_adoptions(db: &Connection) -> rusqlite::Result<Vec<AdoptionClosing>> {
    let mut select = db.prepare("SELECT user, until FROM closed_adoptions")?;
    let rows = select.query_map([], |row| {
        let user: Option<Arc<str>> = row.get(0)?;
        Ok(match user {
            Some(user) => AdoptionClosing::User(user, Timestamp::from_millis(row.get(1)?)),
            None => AdoptionClosing::AllUsers,
        })
    })?;
    rows.collect()
}
