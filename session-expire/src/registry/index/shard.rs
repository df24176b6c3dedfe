//! Shard of the index: the records of some users, and the operations that read them.
//!
//! Every key in `users` and `tombstones` has an entry in `entries`. Only `write_set` and
//! `retention` change records.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::BuildHasherDefault,
    sync::Arc,
};

use crate::{
    registry::{StoredSession, UserExport, query::Query},
    session::{
        data::SessionData,
        key::{KeyHasher, PublicId, RecordKey},
        limit::OpenSession,
        login::Reservation,
        reason::Reason,
        record::{SessionRecord, SessionRef},
    },
    time::Timestamp,
};

/// Maximum number of device names that the records of one shard share.
const MAX_DEVICES: usize = 250;

/// A record with its data, which is empty after the record has ended.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) record: Arc<SessionRecord>,
    pub(crate) data: Arc<SessionData>,
}

/// Records of some users, with their reservations and closed adoptions.
#[derive(Default)]
pub(crate) struct Shard {
    pub(super) entries: HashMap<RecordKey, Entry, BuildHasherDefault<KeyHasher>>,
    pub(super) users: HashMap<Arc<str>, UserSessions>,
    /// Ended records that are not in the history, and rotated keys, oldest first.
    pub(super) tombstones: HashMap<Arc<str>, VecDeque<RecordKey>>,
    pub(super) reservations: Vec<Reservation>,
    /// Time until which no session of the user can be adopted.
    pub(super) adoption_closed: HashMap<Arc<str>, Timestamp>,
    pub(super) adoption_closed_for_all: bool,
    pub(super) purged_at: Option<Timestamp>,
    /// Shared by all records without data.
    pub(super) empty_data: Arc<SessionData>,
    devices: HashSet<Arc<str>>,
    #[cfg(feature = "sqlite")]
    has_pending_write: bool,
}

/// Open sessions and history of one user.
#[derive(Default)]
pub(super) struct UserSessions {
    /// Open sessions, in the order of their logins.
    pub(super) open: Vec<(RecordKey, PublicId)>,
    /// Ended sessions in the history, oldest login first.
    pub(super) history: Vec<HistoryEntry>,
    /// Number of open sessions that take a slot of the session limit.
    pub(super) counted: u32,
}

/// Cursor of an ended record in the history, and its key.
pub(super) type HistoryEntry = ((Timestamp, PublicId), RecordKey);

impl UserSessions {
    fn keys(&self) -> impl Iterator<Item = &RecordKey> {
        self.history.iter().map(|(_, key)| key).chain(self.open.iter().map(|(key, _)| key))
    }

    /// Moves an open session into the history.
    pub(super) fn close(&mut self, key: RecordKey, record: &SessionRecord) {
        self.remove_open(&key, record);
        let cursor = Query::cursor(record);
        let at = self.history.partition_point(|(earlier, _)| *earlier <= cursor);
        self.history.insert(at, (cursor, key));
    }

    pub(super) fn remove_open(&mut self, key: &RecordKey, record: &SessionRecord) {
        self.open.retain(|(open, _)| open != key);
        self.counted = self.counted.saturating_sub(u32::from(!record.uncounted));
    }
}

impl Shard {
    /// Sets whether a decision about this shard is being written. Until it is applied, the state on
    /// which it is based must not change.
    #[cfg(feature = "sqlite")]
    pub(crate) fn set_pending_write(&mut self, is_pending: bool) {
        self.has_pending_write = is_pending;
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn has_pending_write(&self) -> bool {
        self.has_pending_write
    }

    /// Returns the number of records, including ended ones and rotated keys.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn entry(&self, key: &RecordKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(crate) fn record(&self, key: &RecordKey) -> Option<&SessionRecord> {
        self.entries.get(key).map(|entry| &*entry.record)
    }

    pub(crate) fn load(&self, key: &RecordKey, count_open: bool) -> Option<StoredSession> {
        let Entry { record, data } = self.entries.get(key)?;
        let open = count_open.then(|| self.counted_open(&record.user));
        Some(StoredSession { record: Arc::clone(record), data: Arc::clone(data), open })
    }

    /// Returns how many open records of `user` take a slot of the session limit.
    pub(crate) fn counted_open(&self, user: &str) -> u32 {
        self.users.get(user).map_or(0, |sessions| sessions.counted)
    }

    /// Returns the key and the entry of `session` if it is open.
    pub(crate) fn open_entry(&self, session: &SessionRef) -> Option<(RecordKey, &Entry)> {
        let sessions = self.users.get(&session.user)?;
        let (key, _) = sessions.open.iter().find(|(_, id)| *id == session.id)?;
        Some((*key, self.entries.get(key)?))
    }

    /// Returns the open sessions of `user` with their keys, in the order of their logins.
    pub(crate) fn open_keys(&self, user: &str) -> &[(RecordKey, PublicId)] {
        self.users.get(user).map(|sessions| sessions.open.as_slice()).unwrap_or_default()
    }

    /// Returns the open, counted sessions of `user` except `except`.
    pub(super) fn counted_sessions(
        &self,
        user: &str,
        except: Option<PublicId>,
        now: Timestamp,
    ) -> Vec<OpenSession> {
        let others = self.open_keys(user).iter().filter(|(_, id)| Some(*id) != except);
        others
            .filter_map(|(key, _)| OpenSession::from_record(*key, self.record(key)?, now))
            .collect()
    }

    /// Returns the active records among `open`, oldest login first. It sorts them, because the
    /// login times may differ from the order in which the logins arrived.
    pub(super) fn active_records(&self, open: &[OpenSession]) -> Vec<SessionRecord> {
        let active = open.iter().filter(|session| session.expired.is_none());
        let mut records: Vec<_> =
            active.filter_map(|session| self.record(&session.key)).cloned().collect();
        records.sort_by_key(|record| record.logged_in_at);
        records
    }

    pub(super) fn ahead_of(&self, now: Timestamp) -> Vec<SessionRef> {
        let records = self.entries.values().map(|entry| &entry.record);
        records
            .filter(|record| record.is_ahead_of(now))
            .map(|record| record.session_ref())
            .collect()
    }

    /// Returns the shared copy of a device name. The number of shared names is limited, because
    /// they come from a header that any client can send.
    pub(crate) fn intern(&mut self, device: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.devices.get(device) {
            return Arc::clone(known);
        }
        if self.devices.len() < MAX_DEVICES {
            self.devices.insert(Arc::clone(device));
        }
        Arc::clone(device)
    }

    pub(super) fn list(&self, query: &Query) -> Vec<SessionRecord> {
        let users: Vec<_> = match &query.user {
            Some(user) => self.users.get(user).into_iter().collect(),
            None => self.users.values().collect(),
        };
        let records = users.into_iter().flat_map(UserSessions::keys).filter_map(|k| self.record(k));
        records.filter(|record| query.matches(record)).cloned().collect()
    }

    /// Returns the keys of all records of `user`, including rotated keys.
    pub(super) fn all_keys(&self, user: &str) -> Vec<RecordKey> {
        let listed = self.users.get(user).into_iter().flat_map(UserSessions::keys);
        listed.chain(self.tombstones.get(user).into_iter().flatten()).copied().collect()
    }

    /// Returns the entries of `user` without the tombstones of rotated keys, which are copies.
    fn user_entries(&self, user: &str) -> impl Iterator<Item = &Entry> {
        let entries = self.all_keys(user).into_iter().filter_map(|key| self.entries.get(&key));
        entries.filter(|entry| {
            entry.record.ended.as_ref().is_none_or(|ended| ended.reason != Reason::Renewed)
        })
    }

    /// Returns the number of records of `user`, rotated keys excluded.
    pub(crate) fn count(&self, user: &str) -> u64 {
        u64::try_from(self.user_entries(user).count()).unwrap_or(u64::MAX)
    }

    pub(crate) fn export(&self, user: &str) -> UserExport {
        let records = self.user_entries(user).map(|entry| SessionRecord::clone(&entry.record));
        let open = self.user_entries(user).filter(|entry| entry.record.ended.is_none());
        UserExport {
            records: Query::default().paginate(records.collect()),
            data: open
                .map(|entry| (entry.record.session_ref(), SessionData::clone(&entry.data)))
                .collect(),
        }
    }
}
