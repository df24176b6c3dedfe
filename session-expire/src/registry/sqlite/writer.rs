//! Writer thread: the only one of a registry that changes the file.
//!
//! Waiting tasks share one transaction, and therefore one disk sync. If the transaction fails, the
//! writer executes its tasks one by one: an error of one task must not fail the others. If an error
//! affects every task, such as a lock of another program, all tasks fail at once.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    checkpointer::CheckpointTrigger, error::FileError, queue::Queue, shared::Shared,
    task::BoxedTask, transaction, write::retention::Progress,
};

/// Maximum number of tasks per transaction.
const BATCH: usize = 1_000;

/// After a transaction with at least this many tasks, the next one waits for [`GATHERING`]. Tasks
/// that arrive in this time share its disk sync.
const MANY: usize = 8;

const GATHERING: Duration = Duration::from_micros(50);

/// Maximum number of saves of activity that a transaction takes from the queue. Logins wait for it.
const ACTIVITY_IN_BATCH: usize = 32;

/// Time for which the file is left unlocked while other processes write or the log is to be emptied.
const PAUSE: Duration = Duration::from_millis(1);

/// How long other processes count as writing after their last commit.
const SHARING: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    db: Connection,
    shared: Arc<Shared>,
    tasks: Arc<Queue<BoxedTask>>,
    checkpoint: CheckpointTrigger,
    /// Number of the last own commit.
    last_commit: u64,
    /// When another process was last seen to write.
    shared_at: Option<Instant>,
    progress: Progress,
    is_unfinished: bool,
    is_synced: bool,
}

impl Writer {
    /// `last_commit` is the number of the last commit of the file.
    pub(super) fn new(
        db: Connection,
        shared: Arc<Shared>,
        tasks: Arc<Queue<BoxedTask>>,
        checkpoint: CheckpointTrigger,
        last_commit: u64,
    ) -> Self {
        Self {
            db,
            shared,
            tasks,
            checkpoint,
            last_commit,
            shared_at: None,
            progress: Progress::default(),
            is_unfinished: true,
            is_synced: true,
        }
    }

    /// Executes tasks until the registry is dropped.
    pub(super) fn run(mut self) {
        loop {
            if self.is_unfinished && self.tasks.is_idle() {
                self.step();
                self.pause(false);
                continue;
            }
            let Some(first) = self.tasks.pop() else { return };
            let mut batch = vec![first];
            let waiting = self.tasks.take(BATCH, ACTIVITY_IN_BATCH);
            batch.extend(waiting);
            let is_large = batch.len() >= MANY;
            self.execute(batch);
            self.pause(is_large);
        }
    }

    /// Leaves the file unlocked for a moment if other processes write or the log is to be emptied.
    /// Otherwise they would wait for as long as this process has tasks.
    fn pause(&self, is_large: bool) {
        let is_shared = self.shared_at.is_some_and(|at| at.elapsed() < SHARING);
        if is_shared || self.checkpoint.is_truncating() {
            thread::sleep(PAUSE);
        } else if is_large {
            thread::sleep(GATHERING);
        }
    }

    /// Does a step of retention while no task waits.
    fn step(&mut self) {
        if let Err(error) = self.transact(&mut [], true) {
            let event = "sys_retention_failed";
            tracing::warn!(event, %error, "session retention failed; retrying with the next login");
            self.is_unfinished = false;
        }
    }

    fn execute(&mut self, mut tasks: Vec<BoxedTask>) {
        let mut size = tasks.len();
        while !tasks.is_empty() {
            let rest = tasks.split_off(size.min(tasks.len()));
            let mut batch = std::mem::replace(&mut tasks, rest);
            match self.commit(&mut batch) {
                Ok(()) => self.respond(batch),
                Err(error) if error.affects_all_writes() => {
                    batch.append(&mut tasks);
                    self.fail_all(batch, &error);
                }
                Err(error) if batch.len() == 1 => fail(batch, &error),
                Err(_) => (tasks, size) = (batch, 1),
            }
        }
    }

    /// Fails `tasks` and all waiting tasks: the error affects them, too.
    fn fail_all(&self, mut tasks: Vec<BoxedTask>, error: &FileError) {
        // Taken first: a task that arrives later may succeed.
        tasks.extend(self.tasks.take(usize::MAX, usize::MAX));
        fail(tasks, error);
    }

    fn commit(&mut self, batch: &mut [BoxedTask]) -> Result<(), FileError> {
        let is_volatile = batch.iter().all(|task| task.options().is_volatile);
        self.transact(batch, is_volatile)
    }

    fn respond(&mut self, batch: Vec<BoxedTask>) {
        let (truncating, others): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|task| task.options().truncates);
        others.into_iter().for_each(|task| task.respond(Ok(())));
        if !truncating.is_empty() {
            self.checkpoint.truncate(truncating, &self.shared);
        }
    }

    /// Executes tasks in a transaction, which is on the disk when this function returns, unless it
    /// is volatile.
    ///
    /// If the disk itself fails, the file may contain a transaction that returned an error. A
    /// session may then have ended, or there may be a login whose key no client has.
    fn transact(&mut self, tasks: &mut [BoxedTask], is_volatile: bool) -> Result<(), FileError> {
        let shared = Arc::clone(&self.shared);
        self.set_synced(!is_volatile).map_err(|error| shared.error(error))?;
        let wait = if tasks.is_empty() { Duration::ZERO } else { shared.options().timeout / 2 };
        let transaction = transaction::begin(&self.db, Instant::now() + wait)
            .map_err(|error| shared.error(error))?;
        // A copy, because the transaction may be rolled back.
        let mut progress = self.progress.clone();
        let written = transaction::write(&transaction, &shared, tasks, &mut progress, is_volatile);
        let written = written.map_err(|error| shared.error(error))?;
        let after_foreign = written.before != self.last_commit;
        if written.has_changed {
            shared.check_file()?;
            transaction.commit().map_err(|error| shared.error(error))?;
            self.last_commit = written.before + 1;
            shared.cache.apply(self.last_commit, after_foreign, &written.changes);
            if !is_volatile {
                shared.report_queue.wake();
            }
            self.checkpoint.committed(&self.db);
        } else if after_foreign {
            // The next own commit will not count as the first one after the foreign commit.
            self.last_commit = written.before;
            shared.cache.apply(written.before, true, &written.changes);
        }
        self.progress = progress;
        self.is_unfinished = written.is_unfinished.unwrap_or(self.is_unfinished);
        if after_foreign {
            self.shared_at = Some(Instant::now());
        }
        Ok(())
    }

    /// Sets whether commits wait for the disk.
    fn set_synced(&mut self, is_synced: bool) -> rusqlite::Result<()> {
        if self.is_synced != is_synced {
            let mode = if is_synced { "FULL" } else { "NORMAL" };
            self.db.pragma_update(None, "synchronous", mode)?;
            self.is_synced = is_synced;
        }
        Ok(())
    }
}

fn fail(tasks: Vec<BoxedTask>, error: &FileError) {
    tasks.into_iter().for_each(|task| task.respond(Err(error.clone())));
}
