//! Housekeeping of the writer: activity is saved, and a new history limit is applied.

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

/// How far activity in the file may lag behind.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// Most rows in one transaction, so that no login waits long for it.
const CHUNK: usize = 1_000;

pub(super) struct Housekeeping {
    next_run: Instant,
    /// Keys of records whose activity is being saved.
    unsaved: Vec<RecordKey>,
    history_limit: Option<u32>,
    /// The last user whose history was pruned; `None` once all were.
    pruned: Option<Arc<str>>,
}

impl Housekeeping {
    pub(super) fn new() -> Self {
        let next_run = Instant::now() + SAVE_INTERVAL;
        Self { next_run, unsaved: vec![], history_limit: None, pruned: None }
    }

    /// Returns how long the writer may wait for commands.
    pub(super) fn due_in(&self) -> Duration {
        match self.unsaved.is_empty() {
            true => self.next_run.saturating_duration_since(Instant::now()),
            false => Duration::ZERO,
        }
    }

    /// Does the next step, if one is due.
    pub(super) fn run(&mut self, db: &mut Connection, shared: &Shared) {
        if Instant::now() >= self.next_run {
            self.next_run = Instant::now() + SAVE_INTERVAL;
            self.unsaved.extend(shared.take_unsaved());
            if let Err(error) = self.prune_some(db, shared) {
                tracing::warn!(%error, "session history not pruned; retrying later");
            }
        }
        if !self.unsaved.is_empty() {
            self.save_some(db, shared);
        }
    }

    /// Saves what is left. It is the last attempt: after an error, sessions may end early.
    pub(super) fn finish(mut self, db: &mut Connection, shared: &Shared) {
        self.unsaved.extend(shared.take_unsaved());
        let _ = db.busy_timeout(LONG_BUSY_TIMEOUT);
        while !self.unsaved.is_empty() && self.save_some(db, shared) {}
    }

    /// Takes the keys of all records whose activity is not in the file yet.
    pub(super) fn take_unsaved(&mut self, shared: &Shared) -> Vec<RecordKey> {
        let mut unsaved = shared.take_unsaved();
        unsaved.append(&mut self.unsaved);
        unsaved
    }

    /// Applies the history limit to all users once more.
    pub(super) fn prune_all(&mut self) {
        self.pruned = self.history_limit.map(|_| Arc::from(""));
    }

    /// Saves activity. What fails is saved later: until then a crash can only end sessions early.
    fn save_some(&mut self, db: &mut Connection, shared: &Shared) -> bool {
        let keys = self.unsaved.split_off(self.unsaved.len().saturating_sub(CHUNK));
        let saved = transact(db, shared, |db| {
            save_activity(db, shared, &keys).map_err(|error| shared.error(error))
        });
        if let Err(error) = &saved {
            tracing::warn!(%error, "session activity not saved; retrying later");
            shared.put_back(keys);
            shared.put_back(std::mem::take(&mut self.unsaved));
        }
        saved.is_ok()
    }

    /// Applies a new history limit to users who do not sign in.
    fn prune_some(&mut self, db: &mut Connection, shared: &Shared) -> Result<(), FileError> {
        let limit = shared.history_limit();
        if self.history_limit != limit {
            self.history_limit = limit;
            self.prune_all();
        }
        let (Some(limit), Some(after)) = (limit, self.pruned.clone()) else { return Ok(()) };
        self.pruned = transact(db, shared, |db| {
            prune_users(db, limit, after).map_err(|error| shared.error(error))
        })?;
        Ok(())
    }
}

/// Writes the activity of records as memory has it now: it may have moved since, also back.
pub(crate) fn save_activity(
    db: &Connection,
    shared: &Shared,
    keys: &[RecordKey],
) -> rusqlite::Result<()> {
    let known = keys.iter().filter_map(|key| Some((key, shared.record(key)?)));
    known.into_iter().try_for_each(|(key, record)| statements::update_activity(db, key, &record))
}

/// Prunes the history of the users after `after`, and returns the last of them; `None` if all were
/// pruned.
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
    fn lower_history_limit_is_applied_in_steps() {
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
        assert_eq!(left, "1/3000", "the oldest of three is pruned");
    }
}
