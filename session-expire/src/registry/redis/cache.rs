//! Cache of records and session data, which the server invalidates.
//!
//! The server tracks the keys that this connection has read, and notifies it of changes (RESP3,
//! `CLIENT TRACKING`). The record and the data of a session are under one key, so a change of
//! either invalidates both.
//!
//! Notifications and responses come over one connection in order. When a response has arrived, the
//! notifications of all earlier changes have arrived, too. Cached records are therefore valid for a
//! [`LEASE`], which starts when a command is sent and counts when its response has arrived. This
//! also covers a silent connection and a process that was stopped.
//!
//! After some changes there is no notification: a swapped database, or a proxy without tracking.
//! The [`MAX_AGE`] of a record limits their effect.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{PushInfo, PushKind, Value};

use crate::{registry::StoredSession, session::key::RecordKey};

/// How long cached records are valid, counted from the send time of the most recent command that
/// has received its response.
pub(super) const LEASE: Duration = Duration::from_millis(40);

/// Maximum age of a cached record since it was requested.
const MAX_AGE: Duration = Duration::from_secs(10);

/// Maximum number of cached records. If it is exceeded, the cache is cleared.
const MAX_RECORDS: usize = 100_000;

/// Maximum number of bytes of cached session data. If it is exceeded, the cache is cleared.
const MAX_DATA: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Cache(Mutex<CacheState>);

#[derive(Default)]
struct CacheState {
    buckets: HashMap<String, CacheBucket>,
    size: CacheSize,
    /// Number of times that the cache was cleared.
    generation: u64,
    /// Send time of the most recent command that has received its response.
    confirmed: Option<Instant>,
}

/// Number of cached records, and bytes of their data.
#[derive(Default, Clone, Copy)]
struct CacheSize {
    records: usize,
    data: usize,
}

/// Records with one partition key, which are invalidated together.
#[derive(Default)]
struct CacheBucket {
    records: HashMap<RecordKey, CacheEntry>,
    /// Number of invalidations.
    changes: u64,
}

/// Cached record, and the time at which it was requested.
struct CacheEntry {
    loaded: StoredSession,
    sent: Instant,
}

/// State of the cache when a command was sent. A response may be cached only if the state has not
/// changed since.
pub(super) struct ReadToken {
    sent: Instant,
    generation: u64,
    changes: u64,
}

impl Cache {
    /// Returns the cached record of `key` if it is valid.
    pub(super) fn get(&self, key: &RecordKey, count_open: bool) -> Option<StoredSession> {
        let state = self.state();
        if state.confirmed?.elapsed() > LEASE {
            return None;
        }
        let cached = state.buckets.get(key.partition_key())?.records.get(key)?;
        if cached.sent.elapsed() > MAX_AGE || count_open && cached.loaded.open.is_none() {
            return None;
        }
        let open = cached.loaded.open.filter(|_| count_open);
        Some(StoredSession { open, ..cached.loaded.clone() })
    }

    /// Returns the token of a read. Must be called before the command is sent.
    pub(super) fn start_read(&self, partition_key: &str) -> ReadToken {
        let state = self.state();
        let changes = state.buckets.get(partition_key).map_or(0, |bucket| bucket.changes);
        ReadToken { sent: Instant::now(), generation: state.generation, changes }
    }

    /// Stores the response of a read, unless the record may have changed since the command was
    /// sent.
    pub(super) fn store(&self, token: &ReadToken, key: &RecordKey, loaded: Option<&StoredSession>) {
        let mut state = self.state();
        if state.generation != token.generation {
            return;
        }
        state.confirmed = state.confirmed.max(Some(token.sent));
        if let Some(loaded) = loaded {
            let cached = CacheEntry { loaded: loaded.clone(), sent: token.sent };
            state.insert(key, cached, token.changes);
        }
    }

    /// Invalidates the records with this partition key.
    pub(super) fn invalidate(&self, partition_key: &str) {
        let mut state = self.state();
        // Buckets without records stay for their number of changes, so their number is limited.
        if state.buckets.len() >= MAX_RECORDS {
            return state.clear();
        }
        let bucket = state.buckets.entry(partition_key.to_owned()).or_default();
        bucket.changes += 1;
        let records = std::mem::take(&mut bucket.records);
        records.values().for_each(|cached| state.size.subtract(&cached.loaded));
    }

    /// Removes all records, and invalidates all tokens.
    pub(super) fn clear(&self) {
        self.state().clear();
    }

    /// Handles a push message of the server.
    pub(super) fn receive(&self, message: &PushInfo) {
        match (&message.kind, message.data.first()) {
            (PushKind::Invalidate, Some(Value::Array(keys))) => {
                let partition_keys = keys.iter().filter_map(parse_partition_key);
                partition_keys.for_each(|partition_key| self.invalidate(partition_key));
            }
            // The database was flushed, or the connection was closed.
            (PushKind::Invalidate | PushKind::Disconnection, _) => self.clear(),
            _ => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, CacheState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheState {
    fn insert(&mut self, key: &RecordKey, cached: CacheEntry, changes: u64) {
        if self.size.records >= MAX_RECORDS || self.size.data >= MAX_DATA {
            return self.clear();
        }
        let bucket = self.buckets.entry(key.partition_key().to_owned()).or_default();
        if bucket.changes != changes {
            return;
        }
        self.size.add(&cached.loaded);
        if let Some(former) = bucket.records.insert(*key, cached) {
            self.size.subtract(&former.loaded);
        }
    }

    fn clear(&mut self) {
        *self = Self { generation: self.generation + 1, ..Self::default() };
    }
}

impl CacheSize {
    fn add(&mut self, loaded: &StoredSession) {
        self.records += 1;
        self.data += loaded.data.bytes();
    }

    fn subtract(&mut self, loaded: &StoredSession) {
        self.records -= 1;
        self.data -= loaded.data.bytes();
    }
}

/// Returns the partition key in the name of a Redis key.
fn parse_partition_key(key: &Value) -> Option<&str> {
    let Value::BulkString(name) = key else { return None };
    let name = std::str::from_utf8(name).ok()?;
    name.split_once('{')?.1.split_once('}').map(|(partition_key, _)| partition_key)
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
        cache.state().confirmed = Instant::now().checked_sub(LEASE + Duration::from_millis(1));
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
    fn size_counts_cached_records_and_data() {
        let (cache, (key, mut loaded)) = (Cache::default(), loaded());
        let mut changes = DataChanges::default();
        changes.set("name", serde_json::value::to_raw_value("value").unwrap());
        Arc::make_mut(&mut loaded.data).apply(&changes).unwrap();
        for _ in 0..2 {
            cache.store(&cache.start_read(key.partition_key()), &key, Some(&loaded));
            let size = cache.state().size;
            assert_eq!((size.records, size.data), (1, 11));
        }
        cache.invalidate(key.partition_key());
        let size = cache.state().size;
        assert_eq!((size.records, size.data), (0, 0));
    }
}
