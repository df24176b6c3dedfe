//! Thread that moves the write-ahead log into the file.
//!
//! If the writer did this, logins would wait for the disk several times as long. The writer moves
//! the log only if this thread cannot keep up, see [`MAX_PAGES`].

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    error::FileError,
    queue::{Priority, Queue},
    shared::Shared,
    task::BoxedTask,
};

/// Size of the log, in pages of 4 KB, at which the writer moves it.
pub(super) const MAX_PAGES: u32 = 8_000;

/// Number of changed rows after which the log is moved. A login changes about eight pages.
const CHANGES: u64 = 200;

/// Pause between two attempts to empty the log, which fail while the file is read.
const PAUSE: Duration = Duration::from_millis(2);

/// Work of the thread.
pub(super) enum CheckpointTask {
    /// Moves the log.
    Move,
    /// Moves the log and empties it, and then completes these operations.
    Truncate(Vec<BoxedTask>, Arc<()>),
}

/// Part of the writer that starts the work of the thread.
pub(super) struct CheckpointTrigger {
    requests: Arc<Queue<CheckpointTask>>,
    last_total: u64,
    /// Shared by the tasks that empty the log.
    truncations: Arc<()>,
}

impl CheckpointTrigger {
    pub(super) fn new(requests: Arc<Queue<CheckpointTask>>) -> Self {
        Self { requests, last_total: 0, truncations: Arc::default() }
    }

    /// Starts the work if there are enough changes since the last time.
    pub(super) fn committed(&mut self, db: &Connection) {
        let total = db.total_changes();
        if total.saturating_sub(self.last_total) >= CHANGES && self.requests.is_idle() {
            self.last_total = total;
            // The queue is empty, so there is room.
            let _ = self.requests.push(CheckpointTask::Move, Priority::Low);
        }
    }

    /// Empties the log, and then completes `tasks`. If the queue is full, they fail.
    pub(super) fn truncate(&self, tasks: Vec<BoxedTask>, shared: &Shared) {
        let task = CheckpointTask::Truncate(tasks, Arc::clone(&self.truncations));
        if let Err(CheckpointTask::Truncate(tasks, _)) = self.requests.push(task, Priority::High) {
            complete(tasks, &Err(not_truncated(shared)));
        }
    }

    /// Returns `true` while the log is to be emptied, which is possible only between transactions.
    pub(super) fn is_truncating(&self) -> bool {
        Arc::strong_count(&self.truncations) > 1
    }
}

/// Executes tasks until the queue is closed. Writers do not wait for it.
pub(super) fn run(db: &Connection, shared: &Shared, requests: &Queue<CheckpointTask>) {
    while let Some(task) = requests.pop() {
        match task {
            CheckpointTask::Move => move_log(db, shared),
            CheckpointTask::Truncate(tasks, _truncation) => {
                // Most of the work, during which the writer may write.
                move_log(db, shared);
                complete(tasks, &truncate(db, shared));
            }
        }
    }
}

fn move_log(db: &Connection, shared: &Shared) {
    let moved = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = moved.map_err(|error| shared.error(error)) {
        let event = "sys_log_not_moved";
        tracing::warn!(event, %error, "write-ahead log not moved; retrying later");
    }
}

/// Moves the log into the file and empties it.
fn truncate(db: &Connection, shared: &Shared) -> Result<(), FileError> {
    let until = Instant::now() + shared.options().timeout / 2;
    // SQLite must not wait: it would hold the lock of the writer.
    db.busy_timeout(Duration::ZERO).map_err(|error| shared.error(error))?;
    loop {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let is_busy = db.query_row(sql, [], |row| row.get::<_, i64>(0));
        match is_busy.map_err(|error| shared.error(error))? {
            0 => return Ok(()),
            _ if Instant::now() < until => thread::sleep(PAUSE),
            _ => return Err(not_truncated(shared)),
        }
    }
}

fn not_truncated(shared: &Shared) -> FileError {
    FileError::NotTruncated { file: Arc::clone(&shared.file) }
}

fn complete(tasks: Vec<BoxedTask>, outcome: &Result<(), FileError>) {
    tasks.into_iter().for_each(|task| task.respond(outcome.clone()));
}
