//! Operations that change the file, within transactions of the writer.
//!
//! They decide on the rows that they read in the same transaction, so several processes can share
//! the file. The rules are those of [`SessionLimit`](crate::session::limit::SessionLimit),
//! [`SessionRecord`](crate::session::record::SessionRecord) and
//! [`SessionData`](crate::session::data::SessionData).

pub(crate) mod changes;
pub(crate) mod logins;
pub(crate) mod retention;
mod slots;

use std::{sync::Arc, time::Duration};

use rusqlite::Connection;

use super::{
    cache::Changes,
    file::{head::Head, loads, rows::SessionRow, statements},
};
use crate::{
    session::{ended::Ended, record::SessionRecord},
    time::Timestamp,
};

/// Open transaction.
pub(super) struct Tx<'a> {
    pub(super) db: &'a Connection,
    pub(super) head: Head,
    pub(super) history: History,
    pub(super) changes: Changes,
    /// `true` if the transaction must be committed.
    pub(super) has_changed: bool,
    /// Time of the latest operation of this transaction.
    pub(super) now: Option<Timestamp>,
}

/// Limits of the history.
#[derive(Debug, Clone, Copy)]
pub(super) struct History {
    /// Maximum number of ended sessions per user; `None` for no limit.
    pub(super) limit: Option<u32>,
    /// Maximum age; `None` for no limit.
    pub(super) age: Option<Duration>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(db: &'a Connection, head: Head, history: History) -> Self {
        let changes = Changes::default();
        Self { db, head, history, changes, has_changed: false, now: None }
    }

    /// Records that the sessions of `user` change.
    fn change(&mut self, user: &str) {
        self.has_changed = true;
        self.changes.add(user);
    }

    pub(super) fn at(&mut self, now: Timestamp) {
        self.now = self.now.max(Some(now));
    }

    fn current_generation(&self) -> i64 {
        i64::try_from(self.head.generations.current).unwrap_or(i64::MAX)
    }

    /// Ends an open session and returns its record; `None` if it has ended before.
    fn end_session(
        &mut self,
        mut stored: SessionRow,
        ended: &Ended,
    ) -> rusqlite::Result<Option<SessionRecord>> {
        if !stored.record.end(ended.clone()) {
            return Ok(None);
        }
        statements::end(self.db, stored.seq, ended)?;
        self.change(&stored.record.user);
        Ok(Some(stored.record))
    }

    /// Ends open sessions and returns their records.
    fn end_sessions(
        &mut self,
        sessions: Vec<i64>,
        ended: &Ended,
    ) -> rusqlite::Result<Vec<SessionRecord>> {
        let mut records = vec![];
        for seq in sessions {
            let Some(stored) = loads::find(self.db, seq)? else { continue };
            records.extend(self.end_session(stored, ended)?);
        }
        self.prune(&records)?;
        Ok(records)
    }

    /// Applies the history limit to the users of ended sessions.
    fn prune(&mut self, ended: &[SessionRecord]) -> rusqlite::Result<()> {
        let mut users: Vec<_> = ended.iter().map(|record| &record.user).collect();
        users.sort_unstable();
        users.dedup();
        users.into_iter().map(Arc::clone).try_for_each(|user| self.prune_user(&user))
    }

    fn prune_user(&mut self, user: &str) -> rusqlite::Result<()> {
        let Some(limit) = self.history.limit else { return Ok(()) };
        if statements::prune(self.db, user, limit)? > 0 {
            self.has_changed = true;
            statements::delete_surplus_tombstones(self.db, user)?;
        }
        Ok(())
    }
}
