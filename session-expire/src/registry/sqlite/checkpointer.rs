//! Thread that moves the write-ahead log into the file.
//!
//! If the writer did this, logins would wait for the disk several times as long. The writer moves
//! the log only if this thread cannot keep up, see [`MAX_PAGES`].

use std::sync::Arc;

use rusqlite::Connection;

use super::{
    queue::{Priority, Queue},
    shared::Shared,
};

/// Size of the log, in pages of 4 KB, at which the writer moves it.
pub(super) const MAX_PAGES: u32 = 8_000;

/// Number of changed rows after which the log is moved. A login changes about seven pages.
const CHANGES: u64 = 150;

/// Part of the writer that starts the work of the thread.
pub(super) struct CheckpointTrigger {
    requests: Arc<Queue<()>>,
    last_total: u64,
}

impl CheckpointTrigger {
    pub(super) fn new(requests: Arc<Queue<()>>) -> Self {
        Self { requests, last_total: 0 }
    }

    /// Starts the work if there are enough changes since the last time.
    pub(super) fn committed(&mut self, db: &Connection) {
        let total = db.total_changes();
        if total.saturating_sub(self.last_total) >= CHANGES && self.requests.is_idle() {
            self.last_total = total;
            // The queue is empty, so there is room.
            let _ = self.requests.push((), Priority::Low);
        }
    }
}

/// Moves the log on each request, until the queue is closed. Writers do not wait for it.
pub(super) fn run(db: &Connection, shared: &Shared, requests: &Queue<()>) {
    while requests.pop().is_some() {
        let moved = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = moved.map_err(|error| shared.error(error)) {
            let event = "sys_log_not_moved";
            tracing::warn!(event, %error, "write-ahead log not moved; retrying later");
        }
    }
}
