//! In-memory index of session records, for the registries that keep them there.
//!
//! All records of a user lie in one shard, so that one lock makes every operation one step. An
//! operation is a decision, which changes nothing (`decide`), and a write set, which is applied in a
//! second step (`write_set`). A registry that must write to a disk first, and can fail to, writes
//! between the two.

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

/// Enough that threads seldom meet at one lock, and that purging one shard is no pause even where
/// there are millions of records.
const SHARDS: usize = if cfg!(shuttle) { 1 } else { 1_024 };

/// All shards.
pub(crate) struct Index(Vec<Mutex<Shard>>);

impl Index {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// Returns the number of the shard for keys that begin with `partition_key`.
    pub(crate) fn shard_number(partition_key: &str) -> usize {
        let digits = partition_key.bytes().map(usize::from);
        digits.fold(0_usize, |number, digit| number * 62 + digit) % SHARDS
    }

    pub(crate) fn shard(&self, partition_key: &str) -> MutexGuard<'_, Shard> {
        unpoisoned(&self.0[Self::shard_number(partition_key)])
    }

    pub(crate) fn shard_of_user(&self, user: &str) -> MutexGuard<'_, Shard> {
        self.shard(&partition_key(user))
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.0.iter().map(unpoisoned)
    }

    /// Returns the sessions that are [ahead](SessionRecord::is_ahead_of) of `now`.
    pub(crate) fn ahead_of(&self, now: Timestamp) -> Vec<SessionRef> {
        self.shards().flat_map(|shard| shard.ahead_of(now)).collect()
    }

    /// Returns the records of `query`; those of all users are read shard by shard.
    pub(crate) fn list(&self, query: &Query) -> Vec<SessionRecord> {
        let records = match &query.user {
            Some(user) => self.shard_of_user(user).list(query),
            None => self.shards().flat_map(|shard| shard.list(query)).collect(),
        };
        query.paginate(records)
    }
}

/// A panic elsewhere must not disable the sign-out: a record is whole after every statement.
fn unpoisoned(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
