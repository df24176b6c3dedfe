//! The one thread that writes the file.
//!
//! Jobs that wait at the same time share one transaction, and thus one sync of the disk. A batch has
//! at most one job of each shard: so every job is decided on what is committed, and memory changes
//! only when the disk has. A batch that fails for one of its jobs is tried again job by job, so that nobody
//! pays for another's login that cannot be stored. Where every job would fail, as while another program
//! holds a lock, all fail at once, so that nobody waits for each of the others.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    error::Failure,
    file::PATIENCE,
    rows,
    state::{State, unpoisoned},
    work::{Job, Work},
};
use crate::registry::key::RecordKey;

/// How far `last_seen` in the file may lag behind.
pub(super) const SAVE_EVERY: Duration = Duration::from_secs(5);

/// The most rows of housekeeping in one transaction, so that no login waits long for it.
const CHUNK: usize = 1_000;

pub(super) struct Writer {
    db: Connection,
    state: Arc<State>,
    jobs: Receiver<Job>,
    waiting: VecDeque<Job>,
    seen: Vec<RecordKey>,
    next_save: Instant,
    /// The log limit that every user up to this one was trimmed to; `None` after the last.
    trimming: (Option<u32>, Option<Arc<str>>),
}

impl Writer {
    pub(super) fn new(db: Connection, state: Arc<State>, jobs: Receiver<Job>) -> Self {
        let (waiting, seen, trimming) = (VecDeque::new(), vec![], (None, None));
        let next_save = Instant::now() + SAVE_EVERY;
        Self { db, state, jobs, waiting, seen, next_save, trimming }
    }

    /// Works until the registry is dropped, then saves what is left.
    pub(super) fn run(mut self) {
        while self.wait() {
            let batch = self.next_batch();
            self.commit(batch);
            self.keep_house();
        }
        self.seen.extend(self.state.take_unsaved());
        // The last chance. An error only leaves the shorter time.
        let _ = self.db.busy_timeout(PATIENCE);
        while !self.seen.is_empty() && self.save_some() {}
    }

    /// Waits for jobs, or for the time to save; `false` when no more can come.
    fn wait(&mut self) -> bool {
        if self.waiting.is_empty() {
            let busy = !self.seen.is_empty();
            let patience = self.next_save.saturating_duration_since(Instant::now());
            match self.jobs.recv_timeout(if busy { Duration::ZERO } else { patience }) {
                Ok(job) => self.waiting.push_back(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        self.waiting.extend(self.jobs.try_iter());
        true
    }

    /// The first waiting job of each shard; later ones keep their order.
    fn next_batch(&mut self) -> Vec<Job> {
        let mut places = HashSet::new();
        let (batch, waiting) =
            self.waiting.drain(..).partition::<Vec<_>, _>(|job| places.insert(job.place()));
        self.waiting = waiting.into();
        batch
    }

    fn commit(&mut self, batch: Vec<Job>) {
        let decided = batch.into_iter().filter_map(|job| job.decide(&self.state));
        let works: Vec<_> = decided.collect();
        if works.is_empty() {
            return;
        }
        match self.write(works) {
            Ok(()) => {}
            Err((failure, works)) if failure.is_everyones() => self.give_up(works, &failure),
            Err((_, works)) => self.one_by_one(works),
        }
    }

    fn one_by_one(&mut self, works: Vec<Work>) {
        let mut works = works.into_iter();
        while let Some(work) = works.next() {
            let Err((failure, failed)) = self.write(vec![work]) else { continue };
            if failure.is_everyones() {
                return self.give_up(failed.into_iter().chain(works), &failure);
            }
            failed.into_iter().for_each(|work| work.fail(failure.clone(), &self.state));
        }
    }

    /// Fails these and what has waited as long behind them: it would only wait for the same once more.
    fn give_up(&mut self, works: impl IntoIterator<Item = Work>, failure: &Failure) {
        let state = &self.state;
        works.into_iter().for_each(|work| work.fail(failure.clone(), state));
        // What needs no writing is done all the same.
        let waiting = self.waiting.drain(..).filter_map(|job| job.decide(state));
        waiting.for_each(|work| work.fail(failure.clone(), state));
    }

    /// Does all of `works`, first in the file and then in memory, or gives them back.
    fn write(&mut self, works: Vec<Work>) -> Result<(), (Failure, Vec<Work>)> {
        let state = &*self.state;
        let written = transact(&mut self.db, state, |db| {
            works.iter().try_for_each(|work| work.write(db, state))?;
            // Not before: until here it may have waited for another program, and lists need not.
            Ok(unpoisoned(&state.changing))
        });
        match written {
            Ok(_changing) => works.into_iter().for_each(|work| work.finish(state)),
            Err(failure) => return Err((failure, works)),
        }
        Ok(())
    }

    fn keep_house(&mut self) {
        if Instant::now() >= self.next_save {
            self.next_save = Instant::now() + SAVE_EVERY;
            self.seen.extend(self.state.take_unsaved());
            if let Err(failure) = self.trim_some() {
                tracing::warn!(error = %failure, "the login log could not be trimmed; trying again later");
            }
        }
        if !self.seen.is_empty() {
            self.save_some();
        }
    }

    /// Saves when people were last seen. What fails is tried again later: until then a crash could
    /// only end their sessions early.
    fn save_some(&mut self) -> bool {
        let some = self.seen.split_off(self.seen.len().saturating_sub(CHUNK));
        let state = &self.state;
        let saved = transact(&mut self.db, state, |db| {
            // As it is now: it may have moved since, also back.
            let known = some.iter().filter_map(|key| Some((key, state.last_seen(key)?)));
            let mut all = known.map(|(key, at)| rows::see(db, key, at));
            all.try_for_each(|row| row.map_err(|error| state.failure(error)))
        });
        if let Err(failure) = &saved {
            tracing::warn!(error = %failure, "last_seen could not be saved; trying again later");
            self.state.put_back(some);
            self.state.put_back(std::mem::take(&mut self.seen));
        }
        saved.is_ok()
    }

    /// Goes on applying a log limit that is new to people who haven't come by since.
    fn trim_some(&mut self) -> Result<(), Failure> {
        let limit = self.state.log_limit();
        if self.trimming.0 != limit {
            self.trimming = (limit, limit.map(|_| Arc::from("")));
        }
        let (Some(limit), Some(from)) = self.trimming.clone() else { return Ok(()) };
        let state = &self.state;
        let reached = transact(&mut self.db, state, |db| {
            trim_owners(db, limit, from).map_err(|error| state.failure(error))
        })?;
        self.trimming.1 = reached;
        Ok(())
    }
}

/// Trims the log of the users that come after `from`, and says how far it came.
fn trim_owners(db: &Connection, limit: u32, from: Arc<str>) -> rusqlite::Result<Option<Arc<str>>> {
    let mut next =
        db.prepare_cached("SELECT min(user) FROM logins WHERE in_log = 1 AND user > ?1")?;
    let mut at = from;
    for _ in 0..CHUNK {
        let Some(user) = next.query_row([&*at], |row| row.get::<_, Option<Arc<str>>>(0))? else {
            return Ok(None);
        };
        rows::trim(db, &user, limit)?;
        at = user;
    }
    Ok(Some(at))
}

/// All of `act` or nothing, and on the disk when it returns. After an error of the disk itself some
/// of it may yet come back at the next start: a login that nobody has the key of, or an end.
fn transact<T>(
    db: &mut Connection,
    state: &State,
    act: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let failure = |error| state.failure(error);
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failure)?;
    let done = act(&change)?;
    state.check_files()?;
    change.commit().map_err(failure)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::sqlite::schema::{MIGRATIONS, migrate};

    #[test]
    fn a_lower_log_limit_reaches_everyone_in_steps() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, MIGRATIONS).unwrap();
        db.execute_batch(
            "WITH RECURSIVE n (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM n WHERE n < 4499)
             INSERT INTO logins (key_hash, id, seal, user, logged_in_at, last_seen, device, ended_at, ended_reason)
             SELECT n, n, '', printf('%04d', n / 3), n, n, '', n, 'idle' FROM n",
        )
        .unwrap();
        let reached = trim_owners(&db, 2, Arc::from("")).unwrap();
        assert_eq!(reached.as_deref(), Some("0999"));
        assert_eq!(trim_owners(&db, 2, Arc::from("0999")).unwrap(), None);
        let left: String = db
            .query_row(
                "SELECT min(logged_in_at % 3) || '/' || count(*) FROM logins WHERE in_log = 1",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(left, "1/3000", "the oldest of three went");
    }
}
