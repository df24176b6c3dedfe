//! Queries for single sessions.
//!
//! They change nothing. The writer and the readers use them.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    head::{Generations, number},
    rows::{COLUMN_COUNT, SessionRow, columns, read_row},
};
use crate::{
    registry::StoredSession,
    session::{
        data::SessionData,
        key::RecordKey,
        record::{SessionRecord, SessionRef},
    },
};

/// Loaded session, with the last commit before the load.
pub(crate) struct Loaded {
    pub(crate) session: StoredSession,
    pub(crate) commit: u64,
    pub(crate) writer: i64,
}

/// Returns the SQL that loads a session and the last commit.
macro_rules! load_sql {
    ($count:expr) => {
        concat!(
            "SELECT ",
            columns!(),
            ", commits, writer, current_generation, ",
            $count,
            " FROM registry CROSS JOIN sessions AS loaded WHERE key_hash = ?1"
        )
    };
}

/// Loads the session of a key.
pub(crate) fn load(
    db: &Connection,
    key: &RecordKey,
    count_open: bool,
) -> rusqlite::Result<Option<Loaded>> {
    // An index covers the open, counted records of a user.
    let sql = match count_open {
        true => load_sql!(
            "(SELECT count(*) FROM sessions AS other INDEXED BY open_of_user
              WHERE other.user = loaded.user AND other.ended_at IS NULL AND other.uncounted = 0
                  AND other.generation >= current_generation)"
        ),
        false => load_sql!("NULL"),
    };
    let mut select = db.prepare_cached(sql)?;
    select.query_row([key.expose()], |row| read_loaded(db, row)).optional()
}

fn read_loaded(db: &Connection, row: &Row<'_>) -> rusqlite::Result<Loaded> {
    let mut stored = read_row(row)?;
    let current = number(row.get(COLUMN_COUNT + 2)?);
    if stored.record.ended.is_none() && stored.record.generation < current {
        end_by_generation(&mut stored.record, &Generations::read(db, current)?);
        stored.data = SessionData::default();
    }
    let SessionRow { record, data, .. } = stored;
    Ok(Loaded {
        session: StoredSession {
            record: Arc::new(record),
            data: Arc::new(data),
            open: row.get(COLUMN_COUNT + 3)?,
        },
        commit: number(row.get(COLUMN_COUNT)?),
        writer: row.get(COLUMN_COUNT + 1)?,
    })
}

/// Ends the record if all sessions of its generation have ended.
pub(crate) fn end_by_generation(record: &mut SessionRecord, generations: &Generations) {
    if record.ended.is_none() {
        record.ended = generations.end_of(record.generation).cloned();
    }
}

/// Returns the row of an open session.
pub(crate) fn find_open(
    db: &Connection,
    generations: &Generations,
    session: &SessionRef,
) -> rusqlite::Result<Option<SessionRow>> {
    let mut select = db.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM sessions INDEXED BY open_of_user
          WHERE user = ?1 AND id = ?2 AND ended_at IS NULL AND generation >= ?3"
    ))?;
    let current = i64::try_from(generations.current).unwrap_or(i64::MAX);
    select.query_row((&*session.user, session.id.as_str(), current), read_row).optional()
}

/// Returns the row of the session with this number.
pub(crate) fn find(db: &Connection, seq: i64) -> rusqlite::Result<Option<SessionRow>> {
    let sql = concat!("SELECT ", columns!(), " FROM sessions WHERE seq = ?1");
    db.prepare_cached(sql)?.query_row([seq], read_row).optional()
}

/// Returns the row of the session with this key.
pub(crate) fn find_key(db: &Connection, key: &RecordKey) -> rusqlite::Result<Option<SessionRow>> {
    let sql = concat!("SELECT ", columns!(), " FROM sessions WHERE key_hash = ?1");
    db.prepare_cached(sql)?.query_row([key.expose()], read_row).optional()
}
