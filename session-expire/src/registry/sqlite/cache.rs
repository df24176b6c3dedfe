//! Cache of loaded sessions.
//!
//! Commits to the file are numbered. A shard of the cache has the state after one commit. An own
//! commit advances the shard, and removes only the sessions that it changes. A commit of another
//! process empties the shard. An entry is valid if its shard is at least as new as the file at the
//! start of the load.

use std::{collections::HashMap, sync::Mutex};

use super::unpoisoned;
use crate::{
    registry::StoredSession,
    session::key::{RecordKey, partition_key},
};

const SHARDS: usize = 64;

/// Maximum size of all entries in bytes: 32 MB.
const MAX_BYTES: usize = 32 << 20;

/// Approximate size of an entry without session data.
const ENTRY_BYTES: usize = 1_000;

/// Cache of loaded sessions, in shards by partition key. Keys are hashed.
pub(super) struct Cache(Vec<Mutex<Shard>>);

/// Commit to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Commit {
    pub(super) number: u64,
    /// `true` if another registry wrote it.
    pub(super) is_foreign: bool,
}

#[derive(Default)]
struct Shard {
    /// Number of the commit whose state the entries have.
    number: u64,
    /// Two generations: the older one is cleared when the younger one is full, so recently used
    /// sessions stay.
    young: Generation,
    old: Generation,
}

#[derive(Default)]
struct Generation {
    /// Entries by partition key: a change of a user's sessions removes all of them.
    users: HashMap<Box<str>, Vec<(RecordKey, StoredSession)>>,
    bytes: usize,
}

/// Sessions that a transaction changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) partitions: Vec<String>,
    /// All sessions changed.
    pub(super) all: bool,
}

impl Changes {
    pub(super) fn add(&mut self, user: &str) {
        self.partitions.push(partition_key(user));
    }
}

impl Cache {
    pub(super) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    fn shard(&self, partition: &str) -> &Mutex<Shard> {
        &self.0[shard_number(partition)]
    }

    /// Returns the entry of `key` and the number of the commit whose state it has.
    pub(super) fn get(&self, key: &RecordKey) -> Option<(StoredSession, u64)> {
        let mut shard = unpoisoned(self.shard(key.partition_key()));
        let number = shard.number;
        if let Some(found) = shard.young.get(key) {
            return Some((found.clone(), number));
        }
        let found = shard.old.get(key)?.clone();
        shard.insert(*key, found.clone());
        Some((found, number))
    }

    /// Adds a session that was loaded from the state after `commit`.
    pub(super) fn insert(&self, key: RecordKey, session: StoredSession, commit: Commit) {
        let mut shard = unpoisoned(self.shard(key.partition_key()));
        if commit.is_foreign && commit.number > shard.number {
            *shard = Shard { number: commit.number, ..Shard::default() };
        }
        // Otherwise the session may have changed since, or an own commit is not applied yet.
        if commit.number == shard.number {
            shard.insert(key, session);
        }
    }

    /// Removes the sessions that the own commit `number` changed. If the commit before was foreign,
    /// it removes all.
    pub(super) fn apply(&self, number: u64, after_foreign: bool, changes: &Changes) {
        let mut changed: Vec<_> = changes
            .partitions
            .iter()
            .map(|partition| (shard_number(partition), partition))
            .collect();
        changed.sort_unstable();
        let mut changed = changed.into_iter().peekable();
        for (at, shard) in self.0.iter().enumerate() {
            let mut shard = unpoisoned(shard);
            let is_newer = shard.number >= number; // A load has seen a later, foreign commit.
            if !is_newer && (after_foreign || changes.all) {
                *shard = Shard::default();
            }
            while let Some((_, partition)) = changed.next_if(|(of, _)| *of == at) {
                shard.remove(partition);
            }
            shard.number = shard.number.max(number);
        }
    }

    /// Removes all entries.
    pub(super) fn clear(&self) {
        for shard in &self.0 {
            let mut shard = unpoisoned(shard);
            *shard = Shard { number: shard.number, ..Shard::default() };
        }
    }
}

fn shard_number(partition: &str) -> usize {
    partition.bytes().fold(0_usize, |sum, byte| sum * 31 + usize::from(byte)) % SHARDS
}

impl Shard {
    fn insert(&mut self, key: RecordKey, session: StoredSession) {
        let bytes = ENTRY_BYTES + session.data.bytes();
        if self.young.bytes + bytes > MAX_BYTES / SHARDS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes += bytes;
        let entries = self.young.users.entry(key.partition_key().into()).or_default();
        entries.retain(|(other, _)| *other != key);
        entries.push((key, session));
    }

    fn remove(&mut self, partition: &str) {
        for generation in [&mut self.young, &mut self.old] {
            let removed = generation.users.remove(partition).unwrap_or_default();
            let bytes = removed.iter().map(|(_, session)| ENTRY_BYTES + session.data.bytes());
            generation.bytes = generation.bytes.saturating_sub(bytes.sum());
        }
    }
}

impl Generation {
    fn get(&self, key: &RecordKey) -> Option<&StoredSession> {
        let entries = self.users.get(key.partition_key())?;
        entries.iter().find(|(other, _)| other == key).map(|(_, session)| session)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        policy::Policy,
        session::{login::NewLogin, record::SessionRecord},
        time::Timestamp,
    };

    const OWN: Commit = Commit { number: 7, is_foreign: false };

    fn session(user: &str) -> (RecordKey, StoredSession) {
        let login = NewLogin::new(user, Timestamp::from_millis(0), &Policy::new());
        let record = Arc::new(SessionRecord::new(&login));
        (login.key, StoredSession::new(record, Arc::default(), None))
    }

    fn changes(user: &str) -> Changes {
        let mut changes = Changes::default();
        changes.add(user);
        changes
    }

    /// Returns a cache with the state after commit 7, and the keys of Alice and Bob.
    fn filled() -> (Cache, [RecordKey; 2]) {
        let cache = Cache::new();
        cache.apply(OWN.number, true, &Changes::default());
        let keys = ["alice", "bob"].map(|user| {
            let (key, session) = session(user);
            cache.insert(key, session, OWN);
            key
        });
        (cache, keys)
    }

    fn numbers(cache: &Cache, keys: [RecordKey; 2]) -> [Option<u64>; 2] {
        keys.map(|key| cache.get(&key).map(|(_, number)| number))
    }

    #[test]
    fn own_commit_removes_the_sessions_that_it_changes() {
        let (cache, keys) = filled();
        assert_eq!(numbers(&cache, keys), [Some(7), Some(7)]);
        cache.apply(8, false, &changes("alice"));
        assert_eq!(numbers(&cache, keys), [None, Some(8)]);
        cache.apply(9, false, &Changes { all: true, ..Changes::default() });
        assert_eq!(numbers(&cache, keys), [None, None]);
    }

    #[test]
    fn foreign_commit_removes_all_sessions() {
        let (cache, keys) = filled();
        cache.apply(9, true, &changes("alice"));
        assert_eq!(numbers(&cache, keys), [None, None]);
        let (cache, keys) = filled();
        let (_, session) = session("alice");
        cache.insert(keys[0], session, Commit { number: 8, is_foreign: true });
        assert_eq!(numbers(&cache, keys), [Some(8), Some(7)], "the shard of Bob is still older");
        cache.apply(9, true, &Changes::default());
        assert_eq!(numbers(&cache, keys), [None, None]);
    }

    #[test]
    fn session_of_an_earlier_or_unapplied_commit_is_not_added() {
        let (cache, _) = filled();
        for number in [6, 8] {
            let (key, session) = session("carol");
            cache.insert(key, session, Commit { number, is_foreign: false });
            assert!(cache.get(&key).is_none(), "{number}");
        }
    }

    #[test]
    fn sessions_in_use_stay_when_the_cache_is_full() {
        let (cache, keys) = filled();
        let count = MAX_BYTES / ENTRY_BYTES * 3;
        for n in 0..count {
            let (key, session) = session(&n.to_string());
            cache.insert(key, session, OWN);
            assert!(n % 100 > 0 || cache.get(&keys[0]).is_some(), "{n}");
        }
        assert!(cache.get(&keys[1]).is_none());
        let bytes = |shard: &Mutex<Shard>| {
            let shard = unpoisoned(shard);
            shard.young.bytes + shard.old.bytes
        };
        assert!(cache.0.iter().map(bytes).sum::<usize>() <= MAX_BYTES);
    }
}
