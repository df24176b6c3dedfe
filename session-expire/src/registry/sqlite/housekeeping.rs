//! Housekeeping of the writer.
//!
//! It saves activity, and applies a new history limit to users who do not sign in. It works in
//! steps of at most 1,000 rows, between which the writer commits logins.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    error::FileError,
    file::{LONG_BUSY_TIMEOUT, statements},
    shared::Shared,
    writer::transact,
};
use crate::session::key::RecordKey;

/// Interval at which activity is saved.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// Maximum number of rows per transaction. Logins wait while it runs.
const CHUNK: usize = 1_000;

pub(super) struct Housekeeping {
    next_run: Instant,
    /// Keys of records whose activity must be saved.
    unsaved: Vec<RecordKey>,
    history_limit: Option<u32>,
    /// Last user whose history was pruned; `None` if pruning is complete.
    pruned_up_to: Option<Arc<str>>,
}

impl Housekeeping {
    pub(super) fn new() -> Self {
        let next_run = Instant::now() + SAVE_INTERVAL;
        Self { next_run, unsaved: vec![], history_limit: None, pruned_up_to: None }
    }

    /// Returns how long the writer may wait for commands.
    pub(super) fn due_in(&self) -> Duration {
        match self.unsaved.is_empty() {
            true => self.next_run.saturating_duration_since(Instant::now()),
            false => Duration::ZERO,
        }
    }

    /// Runs the next step if it is due.
    pub(super) fn run(&mut self, db: &mut Connection, shared: &Shared) {
        if Instant::now() >= self.next_run {
            self.next_run = Instant::now() + SAVE_INTERVAL;
            self.unsaved.extend(shared.take_unsaved());
            if let Err(error) = self.prune_some(db, shared) {
                let event = "sys_history_not_pruned";
                tracing::warn!(event, %error, "session history not pruned; retrying later");
            }
        }
        if !self.unsaved.is_empty() {
            self.save_some(db, shared);
        }
    }

    /// Saves all activity, without a second attempt. After an error, sessions may end early.
    pub(super) fn finish(mut self, db: &mut Connection, shared: &Shared) {
        self.unsaved.extend(shared.take_unsaved());
        let _ = db.busy_timeout(LONG_BUSY_TIMEOUT);
        while !self.unsaved.is_empty() && self.save_some(db, shared) {}
    }

    /// Takes the keys of all records with unsaved activity.
    pub(super) fn take_unsaved(&mut self, shared: &Shared) -> Vec<RecordKey> {
        let mut unsaved = shared.take_unsaved();
        unsaved.append(&mut self.unsaved);
        unsaved
    }

    /// Restarts the pruning of all users, if there is a history limit.
    pub(super) fn restart_pruning(&mut self) {
        self.pruned_up_to = self.history_limit.map(|_| Arc::from(""));
    }

    /// Saves the activity of some records. After an error a later step tries again. A crash before
    /// that can only end sessions early.
    fn save_some(&mut self, db: &mut Connection, shared: &Shared) -> bool {
        let keys = self.unsaved.split_off(self.unsaved.len().saturating_sub(CHUNK));
        let saved = transact(db, shared, |db| {
            save_activity(db, shared, &keys).map_err(|error| shared.error(error))
        });
        if let Err(error) = &saved {
            let event = "sys_activity_not_saved";
            tracing::warn!(event, %error, "session activity not saved; retrying later");
            shared.add_unsaved(keys);
            shared.add_unsaved(std::mem::take(&mut self.unsaved));
        }
        saved.is_ok()
    }

    /// Applies a new history limit to the next users.
    fn prune_some(&mut self, db: &mut Connection, shared: &Shared) -> Result<(), FileError> {
        let limit = shared.history_limit();
        if self.history_limit != limit {
            self.history_limit = limit;
            self.restart_pruning();
        }
        let (Some(limit), Some(after)) = (limit, self.pruned_up_to.clone()) else { return Ok(()) };
        self.pruned_up_to = transact(db, shared, |db| {
            prune_users(db, limit, after).map_err(|error| shared.error(error))
        })?;
        Ok(())
    }
}

/// Writes the activity of records as it is in memory now. It may have changed since a record became
/// unsaved.
pub(crate) fn save_activity(
    db: &Connection,
    shared: &Shared,
    keys: &[RecordKey],
) -> rusqlite::Result<()> {
    let mut records = keys.iter().filter_map(|key| Some((key, shared.record(key)?)));
    records.try_for_each(|(key, record)| statements::update_activity(db, key, &record))
}

/// Prunes the history of the next users after `after`, and returns the last of them; `None` if no
/// user is left.
fn prune_users(db: &Connection, limit: u32, after: Arc<str>) -> rusqlite::Result<Option<Arc<str>>> {
    let mut next =
        db.prepare_cached("SELECT min(user) FROM sessions WHERE in_history = 1 AND user > ?1")?;
    let mut last = after;
    for _ in 0..CHUNK {
        let Some(user) = next.query_row([&*last], |row| row.get::<_, Option<Arc<str>>>(0))? else {
            return Ok(None);
        };
        statements::prune(db, &user, limit)?;
        last = user;
    }
    Ok(Some(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::sqlite::file::schema::{MIGRATIONS, migrate};

    #[test]
    fn lower_history_limit_prunes_the_oldest_in_steps() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, MIGRATIONS).unwrap();
        db.execute_batch(
            "WITH RECURSIVE n (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM n WHERE n < 4499)
             INSERT INTO sessions (key_hash, id, signing_key, user, logged_in_at, authenticated_at,
                 last_seen, device, ended_at, ended_reason)
             SELECT n, n, '', printf('%04d', n / 3), n, n, n, '', n, 'idle' FROM n",
        )
        .unwrap();
        let last = prune_users(&db, 2, Arc::from("")).unwrap();
        assert_eq!(last.as_deref(), Some("0999"));
        assert_eq!(prune_users(&db, 2, Arc::from("0999")).unwrap(), None);
        let left: String = db
            .query_row(
                "SELECT min(logged_in_at % 3) || '/' || count(*) FROM sessions WHERE in_history = 1",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(left, "1/3000", "lowest remaining number, number of records");
    }
}
