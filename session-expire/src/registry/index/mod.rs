//! In-memory index of session records.
//!
//! All records of a user are in one shard, and one lock makes every operation atomic. An operation
//! first makes a decision, which changes nothing (`decide`), and then applies its write set
//! (`write_set`). The memory registry does both at once.

pub(super) mod decide;
pub(super) mod decide_login;
mod entries;
pub(super) mod generations;
mod list;
pub(super) mod retention;
pub(super) mod shard;
pub(super) mod write_set;

use std::sync::PoisonError;
#[cfg(not(shuttle))]
use std::sync::{Mutex, MutexGuard};

#[cfg(shuttle)]
use shuttle::sync::{Mutex, MutexGuard};

use self::{generations::Generations, retention::HistoryLimits, shard::Shard};
use crate::{
    session::{ended::Ended, key::partition_key, record::SessionRef},
    time::Timestamp,
};

/// Number of shards. With 1,024 of them, threads rarely wait for each other, and purging one shard
/// is fast even with millions of records.
const SHARDS: usize = if cfg!(shuttle) { 1 } else { 1_024 };

/// Index of session records, in shards.
pub(crate) struct Index {
    shards: Vec<Mutex<Shard>>,
    pub(crate) history: HistoryLimits,
    generations: Generations,
}

impl Index {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, history: HistoryLimits::default(), generations: Generations::default() }
    }

    /// Returns the number of the shard of `partition_key`.
    pub(crate) fn shard_number(partition_key: &str) -> usize {
        let digits = partition_key.bytes().map(usize::from);
        digits.fold(0_usize, |number, digit| number * 62 + digit) % SHARDS
    }

    pub(crate) fn shard(&self, partition_key: &str) -> MutexGuard<'_, Shard> {
        self.lock_current(&self.shards[Self::shard_number(partition_key)])
    }

    pub(crate) fn shard_of_user(&self, user: &str) -> MutexGuard<'_, Shard> {
        self.shard(&partition_key(user))
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.shards.iter().map(|shard| self.lock_current(shard))
    }

    /// Locks a shard, and ends its records of earlier generations.
    fn lock_current<'a>(&self, shard: &'a Mutex<Shard>) -> MutexGuard<'a, Shard> {
        let mut shard = lock(shard);
        if shard.generation < self.generations.current() {
            let (generation, end) = self.generations.end_after(shard.generation);
            end.into_iter().for_each(|end| shard.end_all(&end, self.history.count));
            shard.generation = generation;
        }
        shard
    }

    /// Ends all sessions, and returns the number of those that were open. It counts them shard by
    /// shard. Each shard ends its records at its next use.
    pub(crate) fn end_everyone(&self, ended: Ended) -> usize {
        let former = self.generations.start_next(ended);
        let shards = self.shards.iter().map(lock);
        shards.filter(|shard| shard.generation == former).map(|shard| shard.open).sum()
    }

    /// Returns the sessions that are [ahead](SessionRecord::is_ahead_of) of `now`.
    pub(crate) fn ahead_of(&self, now: Timestamp) -> Vec<SessionRef> {
        self.shards().flat_map(|shard| shard.ahead_of(now)).collect()
    }
}

/// Locks a shard, even after a panic: users must still be able to sign out. A shard is consistent
/// after every statement.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
