//! State of the whole registry: commits, generations and the latest time.
//!
//! Every transaction reads it first; a transaction that changes the file writes it.

use rusqlite::Connection;

use super::rows::read_ended;
use crate::{session::ended::Ended, time::Timestamp};

/// Maximum number of calls of `end_everyone` whose end is remembered.
const MAX_GENERATIONS: i64 = 100;

/// The row of the table `registry`.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Number of transactions that changed the file.
    pub(crate) commits: u64,
    /// Number of the registry that wrote last.
    pub(crate) writer: i64,
    /// Time of the last operation.
    pub(crate) last_at: Timestamp,
    /// Latest time of an operation since the clock was set back.
    pub(crate) latest_at: Timestamp,
    /// After the clock was set back, the time to which later times must be set back.
    pub(crate) correct_to: Option<Timestamp>,
    /// History limit that was applied to all users; `None` if there is none.
    pub(crate) history_limit: Option<u32>,
    pub(crate) generations: Generations,
}

/// Calls of `end_everyone`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Generations {
    /// Number of calls. A record of a lower generation has ended.
    pub(crate) current: u64,
    /// Last generation that each call ended, with the end, in ascending order.
    ends: Vec<(u64, Ended)>,
}

impl Head {
    pub(crate) fn read(db: &Connection) -> rusqlite::Result<Self> {
        let mut select = db.prepare_cached(
            "SELECT commits, writer, current_generation, last_at, latest_at, correct_to,
                 history_limit
             FROM registry",
        )?;
        let mut head = select.query_row([], |row| {
            Ok(Self {
                commits: number(row.get(0)?),
                writer: row.get(1)?,
                generations: Generations { current: number(row.get(2)?), ends: vec![] },
                last_at: Timestamp::from_millis(row.get(3)?),
                latest_at: Timestamp::from_millis(row.get(4)?),
                correct_to: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
                history_limit: row.get(6)?,
            })
        })?;
        head.generations = Generations::read(db, head.generations.current)?;
        Ok(head)
    }

    pub(crate) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        let mut update = db.prepare_cached(
            "UPDATE registry SET commits = ?1, writer = ?2, current_generation = ?3,
                 last_at = ?4, latest_at = ?5, correct_to = ?6, history_limit = ?7",
        )?;
        update.execute((
            i64::try_from(self.commits).unwrap_or(i64::MAX),
            self.writer,
            i64::try_from(self.generations.current).unwrap_or(i64::MAX),
            self.last_at.as_millis(),
            self.latest_at.as_millis(),
            self.correct_to.map(Timestamp::as_millis),
            self.history_limit,
        ))?;
        Ok(())
    }
}

impl Generations {
    pub(crate) fn read(db: &Connection, current: u64) -> rusqlite::Result<Self> {
        if current == 0 {
            return Ok(Self::default());
        }
        let sql = "SELECT generation, ended_at, ended_reason, ended_cause, ended_by
                       FROM ends_of_everyone ORDER BY generation";
        let mut select = db.prepare_cached(sql)?;
        let rows = select.query_map([], |row| Ok((number(row.get(0)?), read_ended(row, 1)?)))?;
        Ok(Self { current, ends: rows.collect::<Result<_, _>>()? })
    }

    /// Returns the end of the open records of `generation`; `None` if it is the current one.
    pub(crate) fn end_of(&self, generation: u64) -> Option<&Ended> {
        if generation >= self.current {
            return None;
        }
        let first = self.ends.iter().find(|(last, _)| *last >= generation);
        first.or(self.ends.last()).map(|(_, ended)| ended)
    }

    /// Ends all records of the current generation.
    pub(crate) fn end_current(&mut self, db: &Connection, ended: &Ended) -> rusqlite::Result<()> {
        let current = i64::try_from(self.current).unwrap_or(i64::MAX);
        db.execute(
            "INSERT INTO ends_of_everyone
                 (generation, ended_at, ended_reason, ended_cause, ended_by)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                current,
                ended.at.as_millis(),
                ended.reason.as_str(),
                ended.cause.as_deref(),
                ended.by.as_deref(),
            ),
        )?;
        let before = [current - MAX_GENERATIONS];
        db.execute("DELETE FROM ends_of_everyone WHERE generation <= ?1", before)?;
        self.ends.push((self.current, ended.clone()));
        self.current += 1;
        Ok(())
    }
}

/// Returns the number of the last commit and of the registry that wrote it.
pub(crate) fn last_commit(db: &Connection) -> rusqlite::Result<(u64, i64)> {
    let mut select = db.prepare_cached("SELECT commits, writer FROM registry")?;
    select.query_row([], |row| Ok((number(row.get(0)?), row.get(1)?)))
}

pub(crate) fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}
