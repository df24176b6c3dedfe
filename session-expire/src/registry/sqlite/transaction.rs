//! Transactions of the writer.

use std::{
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::{
    cache::Changes,
    file::head::Head,
    shared::Shared,
    task::BoxedTask,
    write::{Tx, retention::Progress},
};

/// Time between two attempts to lock the file.
const PAUSE: Duration = Duration::from_millis(1);

/// Begins a transaction as soon as no other process writes.
///
/// The busy handler of SQLite waits ever longer between its attempts, so a process that writes much
/// would keep the others from writing.
pub(super) fn begin(db: &Connection, until: Instant) -> rusqlite::Result<Transaction<'_>> {
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

/// What a transaction has written.
pub(super) struct Written {
    /// Number of the commit before.
    pub(super) before: u64,
    pub(super) changes: Changes,
    pub(super) has_changed: bool,
    /// `true` if retention needs more steps; `None` if it did none.
    pub(super) is_unfinished: Option<bool>,
}

pub(super) fn write(
    db: &Connection,
    shared: &Shared,
    tasks: &mut [BoxedTask],
    progress: &mut Progress,
    is_volatile: bool,
) -> rusqlite::Result<Written> {
    let head = Head::read(db)?;
    let (before, last_at) = (head.commits, head.last_at);
    let mut tx = Tx::new(db, head, shared.options().history);
    tasks
        .iter_mut()
        .filter(|task| !task.is_cancelled())
        .try_for_each(|task| task.execute(&mut tx))?;
    let now = tx.now.unwrap_or(last_at);
    // Activity is saved often; logins are occasions enough.
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
