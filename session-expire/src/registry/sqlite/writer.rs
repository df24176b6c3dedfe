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

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::{
    cache::Changes,
    checkpointer::CheckpointTrigger,
    error::FileError,
    file::head::Head,
    queue::Queue,
    shared::Shared,
    task::BoxedTask,
    write::{Tx, retention::Progress},
};

/// Maximum number of tasks per transaction.
const BATCH: usize = 1_000;

/// After a transaction with at least this many tasks, the next one waits for [`GATHERING`]. Tasks
/// that arrive in this time share its disk sync.
const MANY: usize = 8;

const GATHERING: Duration = Duration::from_micros(50);

/// Maximum number of saves of activity that a transaction takes from the queue. Logins wait for it.
const ACTIVITY_IN_BATCH: usize = 32;

/// How long a transaction waits between two attempts to lock the file, and how long it leaves the
/// file unlocked while other processes write.
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

    /// Leaves the file unlocked for a moment if other processes write. Otherwise they would wait
    /// for as long as this process has tasks.
    fn pause(&self, is_large: bool) {
        if self.shared_at.is_some_and(|at| at.elapsed() < SHARING) {
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

    fn execute(&mut self, mut batch: Vec<BoxedTask>) {
        batch.retain(|task| !task.is_cancelled());
        match self.commit(&mut batch) {
            Ok(()) => self.respond(batch),
            Err(error) if error.affects_all_writes() => self.fail_all(batch, &error),
            Err(error) if batch.len() == 1 => fail(batch, &error),
            Err(_) => self.execute_one_by_one(batch),
        }
    }

    /// Fails `tasks` and all waiting tasks: the error affects them, too.
    fn fail_all(&self, mut tasks: Vec<BoxedTask>, error: &FileError) {
        // Taken first: a task that arrives later may succeed.
        tasks.extend(self.tasks.take(usize::MAX, usize::MAX));
        fail(tasks, error);
    }

    fn execute_one_by_one(&mut self, batch: Vec<BoxedTask>) {
        let mut tasks = batch.into_iter();
        while let Some(task) = tasks.next() {
            let mut batch = vec![task];
            match self.commit(&mut batch) {
                Ok(()) => self.respond(batch),
                Err(error) if error.affects_all_writes() => {
                    batch.extend(tasks);
                    return self.fail_all(batch, &error);
                }
                Err(error) => fail(batch, &error),
            }
        }
    }

    fn commit(&mut self, batch: &mut [BoxedTask]) -> Result<(), FileError> {
        if batch.is_empty() {
            return Ok(());
        }
        let is_volatile = batch.iter().all(|task| task.options().is_volatile);
        self.transact(batch, is_volatile)
    }

    fn respond(&mut self, batch: Vec<BoxedTask>) {
        let (truncating, others): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|task| task.options().truncates);
        others.into_iter().for_each(|task| task.respond(Ok(())));
        if !truncating.is_empty() {
            let truncated = self.truncate_log();
            truncating.into_iter().for_each(|task| task.respond(truncated.clone()));
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
        let wait = if tasks.is_empty() { Duration::ZERO } else { shared.timeout() / 2 };
        let transaction =
            begin(&self.db, Instant::now() + wait).map_err(|error| shared.error(error))?;
        let written = write(&transaction, &shared, tasks, &mut self.progress, is_volatile);
        let written = written.map_err(|error| shared.error(error))?;
        self.is_unfinished = written.is_unfinished.unwrap_or(self.is_unfinished);
        let after_foreign = written.before != self.last_commit;
        if written.has_changed {
            shared.check_file()?;
            transaction.commit().map_err(|error| shared.error(error))?;
            self.last_commit = written.before + 1;
            shared.cache.apply(self.last_commit, after_foreign, &written.changes);
            self.checkpoint.committed(&self.db);
        }
        if after_foreign {
            self.shared_at = Some(Instant::now());
            self.last_commit = self.last_commit.max(written.before);
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

    /// Moves the write-ahead log into the file and empties it.
    fn truncate_log(&self) -> Result<(), FileError> {
        let until = Instant::now() + self.shared.timeout() / 2;
        loop {
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            let is_busy = self.db.query_row(sql, [], |row| row.get::<_, i64>(0));
            match is_busy.map_err(|error| self.shared.error(error))? {
                0 => return Ok(()),
                _ if Instant::now() < until => thread::sleep(PAUSE),
                _ => {
                    let file = Arc::clone(&self.shared.file);
                    return Err(FileError::NotTruncated { file });
                }
            }
        }
    }
}

fn fail(tasks: Vec<BoxedTask>, error: &FileError) {
    tasks.into_iter().for_each(|task| task.respond(Err(error.clone())));
}

/// Begins a transaction as soon as no other process writes.
///
/// The busy handler of SQLite waits longer after each attempt. A process that writes often would
/// then keep the others from writing.
fn begin(db: &Connection, until: Instant) -> rusqlite::Result<Transaction<'_>> {
    loop {
        match Transaction::new_unchecked(db, TransactionBehavior::Immediate) {
            Err(error) if is_busy(&error) && Instant::now() < until => thread::sleep(PAUSE),
            transaction => return transaction,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Outcome of a transaction.
struct Written {
    /// Number of the commit before.
    before: u64,
    changes: Changes,
    has_changed: bool,
    /// `true` if retention needs more steps; `None` if it did none.
    is_unfinished: Option<bool>,
}

fn write(
    db: &Connection,
    shared: &Shared,
    tasks: &mut [BoxedTask],
    progress: &mut Progress,
    is_volatile: bool,
) -> rusqlite::Result<Written> {
    let head = Head::read(db)?;
    let (before, last_at) = (head.commits, head.last_at);
    let mut tx = Tx::new(db, head, shared.history());
    tasks.iter_mut().try_for_each(|task| task.execute(&mut tx))?;
    let now = tx.now.unwrap_or(last_at);
    // Activity is saved often; a step with each login suffices.
    let is_step = !is_volatile || tasks.is_empty();
    let is_unfinished = is_step.then(|| tx.step(progress, now)).transpose()?;
    if tx.has_changed {
        tx.head.commits += 1;
        tx.head.writer = shared.writer;
        tx.head.last_at = now;
        tx.head.latest_at = tx.head.latest_at.max(now);
        tx.head.write(db)?;
    }
    let Tx { changes, has_changed, .. } = tx;
    Ok(Written { before, changes, has_changed, is_unfinished })
}
