//! In-memory index of session records.
//!
//! All records of a user are in one shard, and one lock makes every operation atomic. An operation
//! first makes a decision, which changes nothing (`decide`), and then applies its write set
//! (`write_set`). The memory registry does both at once. The SQLite registry writes the file
//! between the two, because that write can fail.

pub(super) mod decide;
pub(super) mod decide_login;
pub(super) mod retention;
pub(super) mod shard;
pub(super) mod write_set;

use std::sync::PoisonError;
#[cfg(not(shuttle))]
use std::sync::{Mutex, MutexGuard};

#[cfg(shuttle)]
use shuttle::sync::{Mutex, MutexGuard};

use super::query::Query;
use crate::{
    registry::index::shard::Shard,
    session::{
        key::partition_key,
        record::{SessionRecord, SessionRef},
    },
    time::Timestamp,
};

/// Number of shards. With 1,024 of them, threads rarely wait for each other, and purging one shard
/// is fast even with millions of records.
const SHARDS: usize = if cfg!(shuttle) { 1 } else { 1_024 };

/// Index of session records, in shards.
pub(crate) struct Index(Vec<Mutex<Shard>>);

impl Index {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// Returns the number of the shard of `partition_key`.
    pub(crate) fn shard_number(partition_key: &str) -> usize {
        let digits = partition_key.bytes().map(usize::from);
        digits.fold(0_usize, |number, digit| number * 62 + digit) % SHARDS
    }

    pub(crate) fn shard(&self, partition_key: &str) -> MutexGuard<'_, Shard> {
        lock(&self.0[Self::shard_number(partition_key)])
    }

    pub(crate) fn shard_of_user(&self, user: &str) -> MutexGuard<'_, Shard> {
        self.shard(&partition_key(user))
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.0.iter().map(lock)
    }

    /// Returns the sessions that are [ahead](SessionRecord::is_ahead_of) of `now`.
    pub(crate) fn ahead_of(&self, now: Timestamp) -> Vec<SessionRef> {
        self.shards().flat_map(|shard| shard.ahead_of(now)).collect()
    }

    /// Returns the records that match `query`. A list of all users reads shard by shard.
    pub(crate) fn list(&self, query: &Query) -> Vec<SessionRecord> {
        let records = match &query.user {
            Some(user) => self.shard_of_user(user).list(query),
            None => self.shards().flat_map(|shard| shard.list(query)).collect(),
        };
        query.paginate(records)
    }
}

/// Locks a shard, even after a panic: users must still be able to sign out. A shard is consistent
/// after every statement.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
