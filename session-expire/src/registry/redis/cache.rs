//! Cache of records and data that the server keeps true.
//!
//! The server remembers which keys this connection has read, and reports when they change (RESP3,
//! `CLIENT TRACKING`). Record and data of a session lie under one key, so a change of either voids
//! both. Everything comes over one connection in one order: when a request has its response, every
//! change before it has been reported. Records are therefore trusted only for a short time after
//! the sending of the last request that has its response. This alone detects a silent connection
//! and a process that was halted, and the next load asks the server.
//!
//! Some changes are never reported (a swapped database, a proxy that does not track). Their effect
//! is bounded: each record is loaded again some seconds after it was read.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{PushInfo, PushKind, Value};

use crate::{registry::StoredSession, session::key::RecordKey};

/// For how long records are trusted after the sending of the last request that has its response.
pub(super) const LEASE: Duration = Duration::from_millis(40);

/// For how long a record is trusted after it was requested, whatever is reported.
const MAX_AGE: Duration = Duration::from_secs(10);

/// Most cached records: at one more the cache is cleared.
const MAX_RECORDS: usize = 100_000;

/// Most bytes of session data in the cache: above that it is cleared.
const MAX_DATA: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Cache(Mutex<CacheState>);

#[derive(Default)]
struct CacheState {
    buckets: HashMap<String, CacheBucket>,
    size: CacheSize,
    /// Counts the connections, and how often the cache was cleared.
    generation: u64,
    /// When the last request was sent that has its response.
    confirmed: Option<Instant>,
}

/// How much is cached.
#[derive(Default, Clone, Copy)]
struct CacheSize {
    records: usize,
    data: usize,
}

/// The records under one partition_key, which change together.
#[derive(Default)]
struct CacheBucket {
    records: HashMap<RecordKey, CacheEntry>,
    changes: u64,
}

/// A record, and when it was requested.
struct CacheEntry {
    loaded: StoredSession,
    sent: Instant,
}

/// What the cache was like when a request was sent.
pub(super) struct ReadToken {
    sent: Instant,
    generation: u64,
    changes: u64,
}

impl Cache {
    /// Returns a record that is as good as loaded now.
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

    /// Called before a record is requested.
    pub(super) fn begin(&self, partition_key: &str) -> ReadToken {
        let state = self.state();
        let changes = state.buckets.get(partition_key).map_or(0, |bucket| bucket.changes);
        ReadToken { sent: Instant::now(), generation: state.generation, changes }
    }

    /// Called with the response; one that a change has overtaken is not kept.
    pub(super) fn keep(&self, token: &ReadToken, key: &RecordKey, loaded: Option<&StoredSession>) {
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

    /// Called when something under `partition_key` has changed, or may have.
    pub(super) fn change(&self, partition_key: &str) {
        let mut state = self.state();
        // A bucket without records still holds its count of changes; these must not pile up.
        if state.buckets.len() >= MAX_RECORDS {
            return state.clear();
        }
        let bucket = state.buckets.entry(partition_key.to_owned()).or_default();
        bucket.changes += 1;
        let records = std::mem::take(&mut bucket.records);
        records.values().for_each(|cached| state.size.subtract(&cached.loaded));
    }

    /// Voids everything that was loaded before.
    pub(super) fn clear(&self) {
        self.state().clear();
    }

    /// Handles a message of the server that is no response.
    pub(super) fn receive(&self, message: &PushInfo) {
        match (&message.kind, message.data.first()) {
            (PushKind::Invalidate, Some(Value::Array(keys))) => {
                keys.iter()
                    .filter_map(partition_key_of)
                    .for_each(|partition_key| self.change(partition_key));
            }
            // A flushed database, and a connection that is closed.
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

/// Returns the partition_key in the name of a key.
fn partition_key_of(key: &Value) -> Option<&str> {
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
        cache.keep(&cache.begin(key.partition_key()), &key, Some(&loaded));
        assert_eq!(cache.get(&key, false), Some(loaded));
        (cache, key)
    }

    #[test]
    fn changed_record_is_not_cached() {
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
    fn response_overtaken_by_a_change_is_not_cached() {
        let (cache, (key, loaded)) = (Cache::default(), loaded());
        let token = cache.begin(key.partition_key());
        cache.change(key.partition_key());
        cache.keep(&token, &key, Some(&loaded));
        assert!(cache.get(&key, false).is_none());
        let token = cache.begin(key.partition_key());
        cache.clear();
        cache.keep(&token, &key, Some(&loaded));
        assert!(cache.get(&key, false).is_none());
    }

    #[test]
    fn record_is_trusted_for_seconds_only() {
        let (cache, (key, loaded)) = (Cache::default(), loaded());
        let mut token = cache.begin(key.partition_key());
        token.sent -= MAX_AGE + Duration::from_millis(1);
        cache.keep(&token, &key, Some(&loaded));
        let other = cache.begin("else");
        cache.keep(&other, &key, None);
        assert!(cache.get(&key, false).is_none());
    }

    #[test]
    fn cache_without_a_response_is_not_trusted() {
        let (cache, key) = filled();
        cache.state().confirmed = Instant::now().checked_sub(LEASE + Duration::from_millis(1));
        assert!(cache.get(&key, false).is_none());
    }

    #[test]
    fn count_is_served_only_where_it_was_loaded() {
        let (cache, (key, loaded)) = (Cache::default(), loaded());
        cache.keep(&cache.begin(key.partition_key()), &key, Some(&loaded));
        assert!(cache.get(&key, true).is_none());
        let counted = StoredSession { open: Some(2), ..loaded.clone() };
        cache.keep(&cache.begin(key.partition_key()), &key, Some(&counted));
        assert_eq!(cache.get(&key, true), Some(counted));
        assert_eq!(cache.get(&key, false), Some(loaded));
    }

    #[test]
    fn size_follows_what_is_cached() {
        let (cache, (key, mut loaded)) = (Cache::default(), loaded());
        let mut changes = DataChanges::default();
        changes.set("name", serde_json::value::to_raw_value("value").unwrap());
        Arc::make_mut(&mut loaded.data).apply(&changes).unwrap();
        for _ in 0..2 {
            cache.keep(&cache.begin(key.partition_key()), &key, Some(&loaded));
            let size = cache.state().size;
            assert_eq!((size.records, size.data), (1, 11));
        }
        cache.change(key.partition_key());
        let size = cache.state().size;
        assert_eq!((size.records, size.data), (0, 0));
    }
}
