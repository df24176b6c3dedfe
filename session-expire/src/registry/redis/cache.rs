//! Records kept at hand, and how they stay true.
//!
//! The server remembers what this connection has read, and says so when it changes (RESP3, `CLIENT
//! TRACKING`). Everything comes over one connection in one order, so when a question has been answered,
//! all has been heard that changed before it was sent. Records are therefore trusted only for a short
//! time after the sending of the last question that has its answer: a connection that has gone silent,
//! or a process that was halted, is noticed by that alone, and whoever asks next asks the server.
//!
//! What no message tells (a swapped database, a proxy that does not track) is bounded as well: each record is
//! asked for again some seconds after it was read.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{PushInfo, PushKind, Value};

use crate::registry::{Loaded, key::RecordKey};

/// For how long after the sending of the last answered question records are trusted.
pub(super) const TRUST: Duration = Duration::from_millis(40);

/// For how long a record is trusted after it was asked for, whatever is heard or not.
const LONGEST: Duration = Duration::from_secs(10);

/// More are not kept at hand: then all are let go.
const MOST: usize = 100_000;

#[derive(Default)]
pub(super) struct Cache(Mutex<Known>);

#[derive(Default)]
struct Known {
    shelves: HashMap<String, Shelf>,
    records: usize,
    /// Counts the connections, and the times when everything was let go.
    generation: u64,
    /// When the last question was sent that has its answer.
    heard: Option<Instant>,
}

/// The records under one tag, which change together.
#[derive(Default)]
struct Shelf {
    records: HashMap<RecordKey, Kept>,
    changes: u64,
}

/// A record, and when it was asked for.
struct Kept {
    loaded: Loaded,
    sent: Instant,
}

/// What the cache was like when a question was sent.
pub(super) struct Ticket {
    sent: Instant,
    generation: u64,
    changes: u64,
}

impl Cache {
    /// A record that is as good as asked for now.
    pub(super) fn get(&self, key: &RecordKey) -> Option<Loaded> {
        let known = self.known();
        if known.heard?.elapsed() > TRUST {
            return None;
        }
        let kept = known.shelves.get(key.tag())?.records.get(key)?;
        (kept.sent.elapsed() <= LONGEST).then(|| kept.loaded.clone())
    }

    /// Before the server is asked for a record.
    pub(super) fn begin(&self, tag: &str) -> Ticket {
        let known = self.known();
        let changes = known.shelves.get(tag).map_or(0, |shelf| shelf.changes);
        Ticket { sent: Instant::now(), generation: known.generation, changes }
    }

    /// The server has answered; what changed since is not kept.
    pub(super) fn keep(&self, ticket: &Ticket, key: &RecordKey, loaded: Option<&Loaded>) {
        let mut known = self.known();
        if known.generation != ticket.generation {
            return;
        }
        known.heard = known.heard.max(Some(ticket.sent));
        let Some(loaded) = loaded else { return };
        if known.records >= MOST {
            known.forget_all();
            return;
        }
        let shelf = known.shelves.entry(key.tag().to_owned()).or_default();
        let kept = Kept { loaded: loaded.clone(), sent: ticket.sent };
        if shelf.changes == ticket.changes && shelf.records.insert(*key, kept).is_none() {
            known.records += 1;
        }
    }

    /// Something under `tag` has changed, or is about to.
    pub(super) fn change(&self, tag: &str) {
        let mut known = self.known();
        // Of those that nobody reads only the count of changes is left, and that must not pile up.
        if known.shelves.len() >= MOST {
            return known.forget_all();
        }
        let shelf = known.shelves.entry(tag.to_owned()).or_default();
        shelf.changes += 1;
        let gone = std::mem::take(&mut shelf.records).len();
        known.records -= gone;
    }

    /// Nothing that was said before counts any more.
    pub(super) fn forget_all(&self) {
        self.known().forget_all();
    }

    /// A message of the server that nobody has asked for.
    pub(super) fn hear(&self, message: &PushInfo) {
        match (&message.kind, message.data.first()) {
            (PushKind::Invalidate, Some(Value::Array(keys))) => {
                keys.iter().filter_map(tag_of).for_each(|tag| self.change(tag));
            }
            // A flushed database, and a connection that is no more.
            (PushKind::Invalidate | PushKind::Disconnection, _) => self.forget_all(),
            _ => {}
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget_all(&mut self) {
        *self = Self { generation: self.generation + 1, ..Self::default() };
    }
}

/// The tag in the name of a key.
fn tag_of(key: &Value) -> Option<&str> {
    let Value::BulkString(name) = key else { return None };
    let name = std::str::from_utf8(name).ok()?;
    name.split_once('{')?.1.split_once('}').map(|(tag, _)| tag)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        policy::Policy,
        registry::{login::NewLogin, record::SessionRecord},
        time::Timestamp,
    };

    fn loaded() -> (RecordKey, Loaded) {
        let login = NewLogin::new("alice", Timestamp::from_millis(0), &Policy::new());
        (login.key, Loaded { record: Arc::new(SessionRecord::new(&login)), open: 1 })
    }

    fn invalidation(names: &[&str]) -> PushInfo {
        let names = names.iter().map(|name| Value::BulkString(name.as_bytes().into())).collect();
        PushInfo { kind: PushKind::Invalidate, data: vec![Value::Array(names)] }
    }

    fn filled() -> (Cache, RecordKey) {
        let (cache, (key, loaded)) = (Cache::default(), loaded());
        cache.keep(&cache.begin(key.tag()), &key, Some(&loaded));
        assert_eq!(cache.get(&key), Some(loaded));
        (cache, key)
    }

    #[test]
    fn whatever_changes_is_let_go() {
        let (cache, key) = filled();
        cache.hear(&invalidation(&["sx:{????}", "other"]));
        assert!(cache.get(&key).is_some());
        cache.hear(&invalidation(&[&format!("sx:{{{}}}:open", key.tag())]));
        assert!(cache.get(&key).is_none());
        for message in [
            PushInfo { kind: PushKind::Disconnection, data: vec![] },
            PushInfo { kind: PushKind::Invalidate, data: vec![Value::Nil] },
        ] {
            let (cache, key) = filled();
            cache.hear(&message);
            assert!(cache.get(&key).is_none(), "{message:?}");
        }
    }

    #[test]
    fn an_answer_that_was_overtaken_by_a_change_is_not_kept() {
        let (cache, (key, loaded)) = (Cache::default(), loaded());
        let ticket = cache.begin(key.tag());
        cache.change(key.tag());
        cache.keep(&ticket, &key, Some(&loaded));
        assert!(cache.get(&key).is_none());
        let ticket = cache.begin(key.tag());
        cache.forget_all();
        cache.keep(&ticket, &key, Some(&loaded));
        assert!(cache.get(&key).is_none());
    }

    #[test]
    fn no_record_is_trusted_for_long_whatever_is_heard() {
        let (cache, (key, loaded)) = (Cache::default(), loaded());
        let mut ticket = cache.begin(key.tag());
        ticket.sent -= LONGEST + Duration::from_millis(1);
        cache.keep(&ticket, &key, Some(&loaded));
        let other = cache.begin("else");
        cache.keep(&other, &key, None);
        assert!(cache.get(&key).is_none());
    }

    #[test]
    fn nothing_is_trusted_for_long_without_an_answer() {
        let (cache, key) = filled();
        cache.known().heard = Instant::now().checked_sub(TRUST + Duration::from_millis(1));
        assert!(cache.get(&key).is_none());
    }
}
