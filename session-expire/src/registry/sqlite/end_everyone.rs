//! End of all sessions of all users.
//!
//! The file changes in one transaction, and all shards are marked until memory has changed, too.
//! The writer calls it.

use rusqlite::Connection;

use super::{
    error::FileError,
    file::statements,
    housekeeping::save_activity,
    shared::{Shared, unpoisoned},
    writer::transact,
};
use crate::{
    policy::limit::Limit,
    registry::index::write_set::{AdoptionClosing, WriteSet},
    session::{ended::Ended, key::RecordKey},
};

/// Ends all sessions and returns their number. First, it writes the activity of the `unsaved`
/// records.
pub(super) fn end_everyone(
    db: &mut Connection,
    shared: &Shared,
    unsaved: &[RecordKey],
    ended: &Ended,
) -> Result<u64, FileError> {
    let writes = decide_all(shared, ended);
    let written = transact(db, shared, |db| {
        write(db, shared, unsaved, ended).map_err(|error| shared.error(error))?;
        Ok(unpoisoned(&shared.commit_lock))
    });
    match written {
        Ok(_lock) => Ok(apply_all(shared, writes)),
        Err(error) => {
            shared.index.shards().for_each(|mut shard| shard.set_pending_write(false));
            Err(error)
        }
    }
}

/// Marks all shards and returns their decisions.
fn decide_all(shared: &Shared, ended: &Ended) -> Vec<WriteSet> {
    let decided = shared.index.shards().map(|mut shard| {
        shard.set_pending_write(true);
        shard.decide_end_everyone(ended)
    });
    decided.collect()
}

fn write(
    db: &Connection,
    shared: &Shared,
    unsaved: &[RecordKey],
    ended: &Ended,
) -> rusqlite::Result<()> {
    save_activity(db, shared, unsaved)?;
    statements::end_everyone(db, ended)?;
    statements::close_adoption(db, &AdoptionClosing::AllUsers)
}

fn apply_all(shared: &Shared, writes: Vec<WriteSet>) -> u64 {
    let counts = shared.index.shards().zip(writes).map(|(mut shard, writes)| {
        shard.set_pending_write(false);
        let ended = shard.apply(writes);
        ended.iter().for_each(|record| shard.prune(&record.user, Limit::At(0)));
        ended.len()
    });
    u64::try_from(counts.sum::<usize>()).unwrap_or(u64::MAX)
}
