//! Retention: ends that are due, the history, tombstones, and times after the clock was set back.
//!
//! Each login transaction does a small step. The writer does more steps while it is idle.

use rusqlite::{Connection, Params};

use super::Tx;
use crate::{
    registry::sqlite::file::{
        lists::log_unreadable,
        loads,
        rows::{SessionRow, is_unreadable},
        statements::{self, RowUpdate},
    },
    session::{ended::Ended, reason::Reason, record::SessionRecord, update::SessionUpdate},
    time::Timestamp,
};

/// Maximum number of rows of each kind in one step. Logins wait while it runs.
const STEP: i64 = 100;

/// Number of rows whose times one step checks after the clock was set back.
const CHECKED_ROWS: i64 = 2_000;

/// Progress of work that takes several steps.
#[derive(Debug, Clone, Default)]
pub(in crate::registry::sqlite) struct Progress {
    /// Last user whose history complies with a new limit.
    pruned_to: String,
    /// Time to which later times are set back.
    correct_to: Option<Timestamp>,
    /// Last row whose times were set back.
    corrected_row: i64,
}

/// Ends an open record that is due at `now`.
pub(crate) fn end_if_due(record: &mut SessionRecord, now: Timestamp) {
    if record.ended.is_none() && record.leaves_at() <= now {
        record.ended = Some(record.final_end());
    }
}

impl Tx<'_> {
    /// Does a step, and returns `true` if there is more to do.
    pub(in crate::registry::sqlite) fn step(
        &mut self,
        progress: &mut Progress,
        now: Timestamp,
    ) -> rusqlite::Result<bool> {
        let mut is_unfinished = self.correct_times(progress)?;
        is_unfinished |= self.apply_history_limit(progress)?;
        if self.has_due_rows(now)? {
            is_unfinished |= self.end_earlier_generations()?;
            is_unfinished |= self.end_due(now)?;
            is_unfinished |= self.purge(now)?;
        }
        Ok(is_unfinished)
    }

    fn has_due_rows(&self, now: Timestamp) -> rusqlite::Result<bool> {
        let parameters = (now.as_millis(), self.history_start(now), self.current_generation());
        self.db.prepare_cached(HAS_DUE_ROWS)?.query_row(parameters, |row| row.get(0))
    }

    /// Returns the time in milliseconds up to which ended sessions leave the history.
    fn history_start(&self, now: Timestamp) -> Option<i64> {
        let age = i64::try_from(self.history.age?.as_millis()).ok()?;
        Some(now.as_millis().saturating_sub(age))
    }

    /// Writes the ends of sessions that a call of `end_everyone` has ended.
    fn end_earlier_generations(&mut self) -> rusqlite::Result<bool> {
        let generation = self.current_generation();
        if generation == 0 {
            return Ok(false);
        }
        let rows = select(self.db, EARLIER, (generation, STEP))?;
        for seq in &rows {
            let Some(stored) = self.find_readable(*seq)? else { continue };
            let Some(ended) = self.head.generations.end_of(stored.record.generation).cloned()
            else {
                continue;
            };
            let ended = self.end_session(stored, &ended)?;
            self.prune(ended.as_slice())?;
        }
        Ok(is_full(rows.len()))
    }

    /// Ends sessions that no policy accepts any more.
    fn end_due(&mut self, now: Timestamp) -> rusqlite::Result<bool> {
        let rows = select(self.db, DUE, (now.as_millis(), STEP, self.current_generation()))?;
        for seq in &rows {
            let Some(stored) = self.find_readable(*seq)? else { continue };
            let leaves_at = stored.record.leaves_at();
            if leaves_at <= now {
                let ended = stored.record.final_end();
                let ended = self.end_session(stored, &ended)?;
                self.prune(ended.as_slice())?;
            } else {
                statements::check_again(self.db, stored.seq, leaves_at)?;
                self.has_changed = true;
            }
        }
        Ok(is_full(rows.len()))
    }

    /// Returns an open row. A row that cannot be read ends, because it cannot be loaded.
    fn find_readable(&mut self, seq: i64) -> rusqlite::Result<Option<SessionRow>> {
        match loads::find(self.db, seq) {
            Err(error) if is_unreadable(&error) => {
                log_unreadable(&error);
                let now = self.now.unwrap_or(self.head.last_at);
                statements::end(self.db, seq, &Ended::new(Reason::Unknown, now))?;
                self.has_changed = true;
                Ok(None)
            }
            found => found,
        }
    }

    /// Removes the rows whose retention has ended.
    fn purge(&mut self, now: Timestamp) -> rusqlite::Result<bool> {
        let mut is_unfinished = false;
        let leave = self.history_start(now).map(|start| (LEAVE_HISTORY, start));
        for (sql, until) in leave.into_iter().chain(DELETIONS.map(|sql| (sql, now.as_millis()))) {
            let count = self.db.prepare_cached(sql)?.execute((until, STEP))?;
            self.has_changed |= count > 0;
            is_unfinished |= is_full(count);
        }
        Ok(is_unfinished)
    }

    /// Applies a lower history limit than before to all users.
    fn apply_history_limit(&mut self, progress: &mut Progress) -> rusqlite::Result<bool> {
        let (limit, applied) = (self.history.limit, self.head.history_limit);
        let Some(limit) = limit.filter(|limit| applied.is_none_or(|applied| *limit < applied))
        else {
            // Sessions that end later comply only with the limit of this registry, which is higher.
            self.has_changed |= limit != applied;
            self.head.history_limit = limit;
            return Ok(false);
        };
        let sql = "SELECT min(user) FROM sessions INDEXED BY history_of_user
                   WHERE in_history = 1 AND ended_at IS NOT NULL AND user > ?1";
        for _ in 0..STEP {
            let mut next = self.db.prepare_cached(sql)?;
            let user: Option<String> = next.query_row([&progress.pruned_to], |row| row.get(0))?;
            let Some(user) = user else {
                self.head.history_limit = Some(limit);
                self.has_changed = true;
                progress.pruned_to = String::new();
                return Ok(false);
            };
            self.prune_user(&user)?;
            progress.pruned_to = user;
        }
        Ok(true)
    }

    /// Corrects times that are in the future after the clock was set back. Otherwise unused
    /// sessions would stay active until the clock reaches those times.
    fn correct_times(&mut self, progress: &mut Progress) -> rusqlite::Result<bool> {
        if progress.correct_to != self.head.correct_to {
            (progress.correct_to, progress.corrected_row) = (self.head.correct_to, 0);
        }
        let Some(now) = self.head.correct_to else { return Ok(false) };
        let parameters = (now.as_millis(), CHECKED_ROWS, progress.corrected_row);
        for seq in select(self.db, AHEAD, parameters)? {
            let Some(stored) = self.find_readable(seq)? else { continue };
            let mut record = stored.record.clone();
            record.update(&SessionUpdate::new(now));
            let update =
                RowUpdate { seq: stored.seq, before: &stored.record, record: &record, data: None };
            statements::update(self.db, &update)?;
            self.change(&record.user);
        }
        progress.corrected_row += CHECKED_ROWS;
        let sql = "SELECT max(seq) FROM sessions";
        let last: Option<i64> = self.db.query_row(sql, [], |row| row.get(0))?;
        if last.is_some_and(|last| last > progress.corrected_row) {
            return Ok(true);
        }
        (self.head.correct_to, progress.correct_to) = (None, None);
        self.has_changed = true;
        Ok(false)
    }
}

/// Returns `true` if a step may have left rows.
fn is_full(count: usize) -> bool {
    i64::try_from(count).is_ok_and(|count| count >= STEP)
}

/// Returns 1 if one of the following statements may find rows.
const HAS_DUE_ROWS: &str = "SELECT
    EXISTS (SELECT 1 FROM sessions WHERE ended_at IS NULL AND generation < ?3)
    OR EXISTS (SELECT 1 FROM sessions
        WHERE ended_at IS NULL AND generation = ?3 AND check_at <= ?1)
    OR EXISTS (SELECT 1 FROM sessions WHERE in_history = 1 AND ended_at <= ?2)
    OR EXISTS (SELECT 1 FROM sessions
        WHERE in_history = 0 AND max(ended_at + 86400000, coalesce(tombstone_until, 0)) <= ?1)
    OR EXISTS (SELECT 1 FROM reservations WHERE until <= ?1)
    OR EXISTS (SELECT 1 FROM tickets WHERE until <= ?1)
    OR EXISTS (SELECT 1 FROM closed_adoptions WHERE until <= ?1)";

/// Removes records from the history.
const LEAVE_HISTORY: &str = "UPDATE sessions SET in_history = 0 WHERE seq IN (
    SELECT seq FROM sessions WHERE in_history = 1 AND ended_at <= ?1 LIMIT ?2)";

/// Delete tombstones, reservations, tickets and closed adoptions.
const DELETIONS: [&str; 4] = [
    "DELETE FROM sessions WHERE seq IN (
         SELECT seq FROM sessions WHERE in_history = 0
             AND max(ended_at + 86400000, coalesce(tombstone_until, 0)) <= ?1 LIMIT ?2)",
    "DELETE FROM reservations WHERE key_hash IN (
         SELECT key_hash FROM reservations WHERE until <= ?1 LIMIT ?2)",
    "DELETE FROM tickets WHERE key_hash IN (
         SELECT key_hash FROM tickets WHERE until <= ?1 LIMIT ?2)",
    "DELETE FROM closed_adoptions WHERE user_hash IN (
         SELECT user_hash FROM closed_adoptions WHERE until <= ?1 LIMIT ?2)",
];

/// Open rows of earlier generations.
const EARLIER: &str = "SELECT seq FROM sessions INDEXED BY open_by_check
    WHERE ended_at IS NULL AND generation < ?1 LIMIT ?2";

/// Open rows that may be due.
const DUE: &str = "SELECT seq FROM sessions INDEXED BY open_by_check
    WHERE ended_at IS NULL AND generation = ?3 AND check_at <= ?1 LIMIT ?2";

/// Open rows with a time after `?1`.
const AHEAD: &str = "SELECT seq FROM sessions
    WHERE seq > ?3 AND seq <= ?3 + ?2 AND ended_at IS NULL
        AND max(logged_in_at, authenticated_at, last_seen) > ?1";

/// Statements of a step.
#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 8] = [
    HAS_DUE_ROWS,
    LEAVE_HISTORY,
    DELETIONS[0],
    DELETIONS[1],
    DELETIONS[2],
    DELETIONS[3],
    EARLIER,
    DUE,
];

fn select(db: &Connection, sql: &str, parameters: impl Params) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached(sql)?.query_map(parameters, |row| row.get(0))?.collect()
}
