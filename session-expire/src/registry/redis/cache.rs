//! Cache of the records of sessions without data, which the server invalidates.
//!
//! The server tracks the keys that this connection has read, and notifies it of changes (RESP3,
//! `CLIENT TRACKING`). A bucket contains the records with one tag, the first letters of their
//! partition key. The names of their Redis keys begin with the tag, so a notification invalidates a
//! bucket.
//!
//! Notifications and responses come over one connection in order. When a response has arrived, the
//! notifications of all earlier changes have arrived, too. Cached records are therefore valid for a
//! [`LEASE`], which starts when a command is sent and counts when its response has arrived. This
//! also covers a silent connection and a process that was stopped.
//!
//! Another process must read data as soon as its write is complete, because a redirect takes less
//! time than a lease. Sessions with data are therefore not cached. A process that adds the first
//! data of a session waits until the leases of the other processes have ended.
//!
//! After some changes there is no notification: a swapped database, or a proxy without tracking.
//! The [`MAX_AGE`] of a record limits their effect.

use std::{
    collections::HashMap,
    hash::BuildHasherDefault,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{PushInfo, PushKind, Value};

use crate::{
    registry::StoredSession,
    session::key::{KeyHasher, RecordKey},
};

/// How long cached records are valid, counted from the send time of the most recent command that
/// has received its response.
pub(super) const LEASE: Duration = Duration::from_millis(40);

/// Maximum age of a cached record since it was requested.
const MAX_AGE: Duration = Duration::from_secs(10);

/// Maximum number of records. A full cache evicts a record of the same bucket for each new one.
const MAX_RECORDS: usize = if cfg!(test) { 8 } else { 100_000 };

/// Number of characters from the first digit to the last letter.
const CHARACTERS: usize = 75;

/// Cache with a lock for each of its buckets.
pub(super) struct Cache {
    buckets: Box<[Mutex<CacheBucket>]>,
    /// Number of records in all buckets.
    len: AtomicUsize,
    /// Number of times that the cache was cleared.
    generation: AtomicU64,
    created: Instant,
    /// Send time of the most recent command that has received its response, in nanoseconds since
    /// `created`.
    confirmed: AtomicU64,
}

/// Records with one tag, which are invalidated together.
#[derive(Default)]
struct CacheBucket {
    records: HashMap<RecordKey, CacheEntry, BuildHasherDefault<KeyHasher>>,
    /// Number of invalidations.
    changes: u64,
}

/// Cached record, and the read that loaded it.
struct CacheEntry {
    loaded: StoredSession,
    sent: Instant,
    generation: u64,
}

/// State of the cache when a command was sent. A response may be cached only if the state has not
/// changed since.
pub(super) struct ReadToken {
    sent: Instant,
    generation: u64,
    changes: u64,
}

impl Default for Cache {
    fn default() -> Self {
        let buckets = (0..CHARACTERS * CHARACTERS).map(|_| Mutex::default()).collect();
        let (len, generation, confirmed) = <_>::default();
        Self { buckets, len, generation, created: Instant::now(), confirmed }
    }
}

impl Cache {
    /// Returns the cached record of `key` if it is valid.
    pub(super) fn get(&self, key: &RecordKey, count_open: bool) -> Option<StoredSession> {
        if !self.has_lease() {
            return None;
        }
        let bucket = self.bucket(key.partition_key());
        let cached = bucket.records.get(key)?;
        let is_current = cached.generation == self.generation.load(Ordering::Acquire);
        if !is_current || cached.sent.elapsed() > MAX_AGE {
            return None;
        }
        let loaded = &cached.loaded;
        match count_open {
            true => loaded.open.map(|_| loaded.clone()),
            false => Some(StoredSession { open: None, ..loaded.clone() }),
        }
    }

    /// Returns the token of a read under a tag, or under a partition key that begins with it. Must
    /// be called before the command is sent.
    pub(super) fn start_read(&self, tag: &str) -> ReadToken {
        let generation = self.generation.load(Ordering::Acquire);
        ReadToken { sent: Instant::now(), generation, changes: self.bucket(tag).changes }
    }

    /// Stores the response of a read, unless the record may have changed since the command was
    /// sent.
    pub(super) fn store(&self, token: &ReadToken, key: &RecordKey, loaded: Option<&StoredSession>) {
        if self.generation.load(Ordering::Acquire) != token.generation {
            return;
        }
        self.confirm(token.sent);
        let mut bucket = self.bucket(key.partition_key());
        if bucket.changes != token.changes {
            return;
        }
        let removed = usize::from(bucket.records.remove(key).is_some());
        self.len.fetch_sub(removed, Ordering::Relaxed);
        if let Some(loaded) = loaded.filter(|loaded| loaded.data.is_empty()) {
            let ReadToken { sent, generation, .. } = *token;
            self.insert(&mut bucket, key, CacheEntry { loaded: loaded.clone(), sent, generation });
        }
    }

    fn insert(&self, bucket: &mut CacheBucket, key: &RecordKey, cached: CacheEntry) {
        if self.len.load(Ordering::Relaxed) >= MAX_RECORDS {
            // Without a record in the same bucket, the new one is not cached: one lock at a time.
            let Some(victim) = bucket.records.keys().next().copied() else { return };
            bucket.records.remove(&victim);
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
        bucket.records.insert(*key, cached);
        self.len.fetch_add(1, Ordering::Relaxed);
    }

    /// Invalidates the records under a tag, or under the tag with which a partition key begins.
    pub(super) fn invalidate(&self, tag: &str) {
        let mut bucket = self.bucket(tag);
        bucket.changes += 1;
        self.len.fetch_sub(bucket.records.len(), Ordering::Relaxed);
        bucket.records.clear();
    }

    /// Invalidates all records and all tokens.
    pub(super) fn clear(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Handles a push message of the server.
    pub(super) fn receive(&self, message: &PushInfo) {
        match (&message.kind, message.data.first()) {
            (PushKind::Invalidate, Some(Value::Array(keys))) => {
                keys.iter().filter_map(parse_tag).for_each(|tag| self.invalidate(tag));
            }
            // The database was flushed, or the connection was closed.
            (PushKind::Invalidate | PushKind::Disconnection, _) => self.clear(),
            _ => {}
        }
    }

    fn has_lease(&self) -> bool {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        let age = nanos(self.created.elapsed()).saturating_sub(confirmed);
        confirmed != 0 && age <= nanos(LEASE)
    }

    /// Begins a lease at the send time of a command that has received its response.
    fn confirm(&self, sent: Instant) {
        let sent = nanos(sent.saturating_duration_since(self.created));
        self.confirmed.fetch_max(sent, Ordering::AcqRel);
    }

    fn bucket(&self, tag: &str) -> MutexGuard<'_, CacheBucket> {
        let digit = |byte: u8| usize::from(byte.saturating_sub(b'0')).min(CHARACTERS - 1);
        let number = tag.bytes().take(2).fold(0, |sum, byte| sum * CHARACTERS + digit(byte));
        self.buckets[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns the tag in the braces of a Redis key.
fn parse_tag(key: &Value) -> Option<&str> {
    let Value::BulkString(name) = key else { return None };
    let name = std::str::from_utf8(name).ok()?;
    name.split_once('{')?.1.split_once('}').map(|(tag, _)| tag)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::session::{data::DataChanges, login::NewLogin, record::SessionRecord};
    use crate::{policy::Policy, time::Timestamp};

    fn loaded() -> (RecordKey, StoredSession) {
        let login = NewLogin::new("alice", Timestamp::from_millis(0), &Policy::new());
        let record = Arc::new(SessionRecord::new(&login));
        (login.key, StoredSession { record, data: Arc::default(), open: None })
    }

    fn invalidation(names: &[&str]) -> PushInfo {
        let names = names.iter().map(|name| Value::BulkString(name.as_bytes().into())).collect();
        PushInfo { kind: PushKind::Invalidate, data: vec![Value::Array(names)] }
    }

    fn filled() -> (Cache, RecordKey) {
        let (cache, (key, loaded)) = (Cache::default(), loaded());
        cache.store(&cache.start_read(key.partition_key()), &key, Some(&loaded));
        assert_eq!(cache.get(&key, false), Some(loaded));
        (cache, key)
    }

    #[test]
    fn invalidated_record_is_not_cached() {
        let (cache, key) = filled();
        cache.receive(&invalidation(&["sx:{????}", "other"]));
        assert!(cache.get(&key, false).is_some());
        cache.receive(&invalidation(&[&format!("sx:{{{}}}:open", key.partition_key())]));
        assert!(cache.get(&key, false).is_none());
        for message in [
            PushInfo { kind: PushKind::Disconnection, data: vec![] },
            PushInfo { kind: PushKind::Invalidate, data: vec![Value::Nil] },
        ] {
            let (cache, key) = filled();
            cache.receive(&message);
            assert!(cache.get(&key, false).is_none(), "{message:?}");
        }
    }

    #[test]
    fn response_older_than_a_change_is_not_cached() {
        let (cache, (key, loaded)) = (Cache::default(), loaded());
        let token = cache.start_read(key.partition_key());
        cache.invalidate(key.partition_key());
        cache.store(&token, &key, Some(&loaded));
        assert!(cache.get(&key, false).is_none());
        let token = cache.start_read(key.partition_key());
        cache.clear();
        cache.store(&token, &key, Some(&loaded));
        assert!(cache.get(&key, false).is_none());
    }

    #[test]
    fn record_older_than_its_maximum_age_is_not_valid() {
        let (cache, (key, loaded)) = (Cache::default(), loaded());
        let mut token = cache.start_read(key.partition_key());
        token.sent -= MAX_AGE + Duration::from_millis(1);
        cache.store(&token, &key, Some(&loaded));
        let other = cache.start_read("else");
        cache.store(&other, &key, None);
        assert!(cache.get(&key, false).is_none());
    }

    #[test]
    fn record_is_not_valid_after_the_lease() {
        let (cache, key) = filled();
        let long_ago = nanos(cache.created.elapsed()).saturating_sub(nanos(LEASE) + 1);
        cache.confirmed.store(long_ago, Ordering::SeqCst);
        assert!(cache.get(&key, false).is_none());
    }

    #[test]
    fn count_is_returned_only_if_it_was_loaded() {
        let (cache, (key, loaded)) = (Cache::default(), loaded());
        cache.store(&cache.start_read(key.partition_key()), &key, Some(&loaded));
        assert!(cache.get(&key, true).is_none());
        let counted = StoredSession { open: Some(2), ..loaded.clone() };
        cache.store(&cache.start_read(key.partition_key()), &key, Some(&counted));
        assert_eq!(cache.get(&key, true), Some(counted));
        assert_eq!(cache.get(&key, false), Some(loaded));
    }

    #[test]
    fn session_with_data_is_not_cached() {
        let (cache, key) = filled();
        let (_, mut loaded) = loaded();
        let mut changes = DataChanges::default();
        changes.set("name", serde_json::value::to_raw_value("value").unwrap());
        Arc::make_mut(&mut loaded.data).apply(&changes).unwrap();
        cache.store(&cache.start_read(key.partition_key()), &key, Some(&loaded));
        assert!(cache.get(&key, false).is_none());
    }

    #[test]
    fn full_cache_evicts_one_record_for_a_new_one() {
        let (cache, keys) = (Cache::default(), [(); 2 * MAX_RECORDS].map(|()| loaded()));
        for (key, loaded) in &keys {
            cache.store(&cache.start_read(key.partition_key()), key, Some(loaded));
            assert!(cache.get(key, false).is_some(), "the newest record");
        }
        let cached = keys.iter().filter(|(key, _)| cache.get(key, false).is_some());
        assert_eq!(cached.count(), MAX_RECORDS);
        cache.invalidate(keys[0].0.partition_key());
        assert_eq!(cache.len.load(Ordering::Relaxed), 0);
    }
}
