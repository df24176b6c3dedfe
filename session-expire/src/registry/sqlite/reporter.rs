//! Thread that reports changes of sessions to the listeners.
//!
//! Each change of a session adds a row to the table `changes` in its transaction. While there is a
//! listener, this thread checks ten times a second whether the file has changed, and reads the new
//! rows. The writer wakes the thread after each durable commit. The thread reports the
//! changes by all processes, including its own, in the order of the commits.

use std::sync::Arc;

use rusqlite::Connection;

use super::{
    error::FileError,
    file::changes::{last_number, read_from},
    report_queue::Round,
    shared::{Shared, data_version},
};
use crate::registry::change::Change;

/// Reporter of one registry.
pub(super) struct Reporter {
    pub(super) db: Connection,
    shared: Arc<Shared>,
    /// `data_version` before the last read.
    version: Option<i64>,
    /// Number of the last change that was reported; `None` before the first read.
    last: Option<i64>,
    has_failed: bool,
}

impl Reporter {
    pub(super) fn new(db: Connection, shared: Arc<Shared>) -> Self {
        Self { db, shared, version: None, last: None, has_failed: false }
    }

    /// Reports changes until the registry is dropped.
    pub(super) fn run(mut self) {
        while let Some(round) = self.shared.report_queue.next_round() {
            self.execute(round);
        }
    }

    pub(super) fn execute(&mut self, round: Round) {
        if round.is_first {
            self.last = None;
        }
        let mut outcome = self.report_new().map_err(|error| self.shared.error(error));
        // After an error, each round checks the file. Otherwise a round without checks would reset
        // `has_failed`, and the next check would log the error again.
        if self.has_failed || !round.checks.is_empty() {
            outcome = outcome.and_then(|()| self.shared.check_file());
        }
        self.log(&outcome);
        round.checks.into_iter().for_each(|check| check.send(outcome.clone().map(|()| true)));
    }

    /// Logs the first of successive errors.
    fn log(&mut self, outcome: &Result<(), FileError>) {
        if let Err(error) = outcome
            && !self.has_failed
        {
            let event = "sys_changes_not_read";
            tracing::warn!(event, %error, "session changes not read; retrying");
        }
        self.has_failed = outcome.is_err();
    }

    /// Reports the changes since the last read.
    fn report_new(&mut self) -> rusqlite::Result<()> {
        // Read before the changes, so the next round detects a change in the meantime.
        let version = data_version(&self.db)?;
        match self.last {
            Some(_) if self.version == Some(version) => {}
            Some(last) => self.report_after(last)?,
            None => self.report_any()?,
        }
        self.version = Some(version);
        Ok(())
    }

    fn report_after(&mut self, last: i64) -> rusqlite::Result<()> {
        let changes = read_from(&self.db, last)?;
        if !is_complete(&changes, last) {
            return self.report_any();
        }
        for (number, change) in changes.into_iter().skip(1) {
            self.shared.report_queue.report(change);
            self.last = Some(number);
        }
        Ok(())
    }

    /// Reports that any session may have changed.
    fn report_any(&mut self) -> rusqlite::Result<()> {
        self.last = Some(last_number(&self.db)?);
        self.shared.report_queue.report(Change::Any);
        Ok(())
    }
}

impl Drop for Reporter {
    /// Ends the reports, also after a panic of a listener. Later checks fail.
    fn drop(&mut self) {
        self.shared.report_queue.close();
    }
}

/// Returns `true` if no change from `last` on was deleted.
fn is_complete(changes: &[(i64, Change)], last: i64) -> bool {
    !changes.is_empty() && changes.iter().zip(last..).all(|((number, _), at)| *number == at)
}
