//! Records in the memory of one process.

use std::{
    collections::HashMap,
    fmt,
    future::ready,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Answer, Ended, Login, Record, RecordKey, Registry};
use crate::{
    facts::Reason,
    time::{Timestamp, hours},
};

/// Enough that threads seldom meet at one lock.
const SHARDS: usize = 64;

/// A shard is swept at most this often, by a login that comes by.
const SWEEP_EVERY: Duration = hours(1);

/// Ended records are remembered this long, so that a late visitor still learns why.
const REMEMBER_ENDED: Duration = hours(24);

/// Living records that nobody has used for this long are forgotten, whatever the policy.
const REMEMBER_UNUSED: Duration = hours(24 * 90);

/// Keeps records in memory: the default, for one process.
///
/// Every operation takes constant time. A restart forgets everything, which signs everyone out; an
/// ended record is forgotten after a day, and a living one that nobody used for 90 days.
pub struct MemoryRegistry {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    records: HashMap<RecordKey, Record>,
    swept_at: Option<Timestamp>,
}

impl MemoryRegistry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// The number of records, ended ones included, that have not been swept yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| unpoisoned(shard).records.len()).sum()
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &RecordKey) -> MutexGuard<'_, Shard> {
        unpoisoned(&self.shards[usize::from(key.first_byte()) % SHARDS])
    }

    fn with<T>(&self, key: &RecordKey, act: impl FnOnce(&mut Record) -> T) -> Option<T> {
        self.shard(key).records.get_mut(key).map(act)
    }
}

/// A panic elsewhere must not take the sign-outs with it: a record is whole after every statement.
fn unpoisoned(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn sweep(&mut self, now: Timestamp) {
        let swept_at = *self.swept_at.get_or_insert(now);
        if now.since(swept_at) < SWEEP_EVERY {
            return;
        }
        self.swept_at = Some(now);
        self.records.retain(|_, record| match record.ended {
            Some(ended) => now.since(ended.at) < REMEMBER_ENDED,
            None => now.since(record.last_seen) < REMEMBER_UNUSED,
        });
    }
}

impl Default for MemoryRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRegistry").field("records", &self.len()).finish()
    }
}

impl Registry for MemoryRegistry {
    fn login(&self, login: Login) -> Answer<'_, Record> {
        if let Some(old) = login.replaces {
            let ended = Ended { at: login.at, reason: Reason::LoggedOut };
            self.with(&old, |record| record.end(ended));
        }
        let record = Record::new(&login);
        let mut shard = self.shard(&login.key);
        shard.sweep(login.at);
        shard.records.insert(login.key, record.clone());
        Box::pin(ready(Ok(record)))
    }

    fn load(&self, key: RecordKey) -> Answer<'_, Option<Record>> {
        let record = self.with(&key, |record| record.clone());
        Box::pin(ready(Ok(record)))
    }

    fn touch(&self, key: RecordKey, seen: Timestamp, now: Timestamp) -> Answer<'_, ()> {
        self.with(&key, |record| record.touch(seen, now));
        Box::pin(ready(Ok(())))
    }

    fn end(&self, key: RecordKey, ended: Ended) -> Answer<'_, bool> {
        let did = self.with(&key, |record| record.end(ended));
        Box::pin(ready(Ok(did.unwrap_or(false))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn login(registry: &MemoryRegistry, at: Timestamp) -> RecordKey {
        let login = Login::new("alice", at);
        let key = login.key;
        drop(registry.login(login));
        key
    }

    #[test]
    fn ended_records_are_swept_after_a_day_and_living_ones_stay() {
        let registry = MemoryRegistry::new();
        let living = login(&registry, NOON);
        for _ in 0..1_000 {
            let key = login(&registry, NOON);
            drop(registry.end(key, Ended { at: NOON, reason: Reason::LoggedOut }));
        }
        for _ in 0..2_000 {
            let key = login(&registry, NOON.plus(hours(25)));
            drop(registry.end(key, Ended { at: NOON.plus(hours(25)), reason: Reason::LoggedOut }));
        }
        assert_eq!(registry.len(), 2_001);
        assert!(registry.with(&living, |record| record.ended.is_none()).unwrap());
    }
}
