//! Shard of the index: the records of some users, and the operations that read them.
//!
//! Only `write_set` and `retention` change records.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

pub(crate) use super::entries::Entry;
use super::entries::{Class, Entries, Slot};
use crate::{
    registry::{StoredSession, UserExport, query::Query},
    session::{
        data::SessionData,
        key::{PublicId, RecordKey},
        limit::OpenSession,
        login::Reservation,
        login::ticket::LoginTicket,
        reason::Reason,
        record::{SessionRecord, SessionRef},
    },
    time::Timestamp,
};

/// Maximum number of device names that the records of one shard share.
const MAX_DEVICES: usize = 250;

/// Records of some users, with their reservations and closed adoptions.
#[derive(Default)]
pub(crate) struct Shard {
    pub(super) entries: Entries,
    pub(super) reservations: Vec<Reservation>,
    pub(super) tickets: Vec<LoginTicket>,
    /// Generation of the open records and of the reservations.
    pub(super) generation: u64,
    /// Number of open records.
    pub(super) open: usize,
    /// Time until which no session of a user can be adopted, by the SHA-256 of the user id. The id
    /// of an erased user must not remain.
    pub(super) adoption_closed: HashMap<[u8; 32], Timestamp>,
    pub(super) purged_at: Option<Timestamp>,
    /// Shared by all records without data.
    pub(super) empty_data: Arc<SessionData>,
    devices: HashSet<Arc<str>>,
}

impl Shard {
    /// Returns the generation of the open records and of the reservations.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the number of records, including ended ones and rotated keys.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn record(&self, key: &RecordKey) -> Option<&SessionRecord> {
        self.entries.get(key).map(Slot::record)
    }

    pub(crate) fn load(&self, key: &RecordKey, count_open: bool) -> Option<StoredSession> {
        let Entry { record, data } = &self.entries.get(key)?.entry;
        let open = count_open.then(|| self.counted_open(&record.user));
        Some(StoredSession { record: Arc::clone(record), data: Arc::clone(data), open })
    }

    /// Returns how many open records of `user` take a slot of the session limit.
    pub(crate) fn counted_open(&self, user: &str) -> u32 {
        self.entries.count(user, Class::Counted)
    }

    /// Returns the key and the entry of `session` if it is open.
    pub(crate) fn open_entry(&self, session: &SessionRef) -> Option<(RecordKey, &Entry)> {
        let mut open = self.open_slots(&session.user);
        let slot = open.find(|slot| slot.record().id == session.id)?;
        Some((slot.key, &slot.entry))
    }

    pub(super) fn open_slots(&self, user: &str) -> impl Iterator<Item = &Slot> {
        self.entries.open(user).map(|(_, slot)| slot)
    }

    /// Returns the open sessions of `user` with their keys, in the order of their logins.
    pub(crate) fn open_keys(&self, user: &str) -> Vec<(RecordKey, PublicId)> {
        let open = self.open_slots(user).map(|slot| (slot.key, slot.record().id));
        let mut keys: Vec<_> = open.collect();
        keys.reverse();
        keys
    }

    /// Returns the open uncounted sessions of `user`.
    pub(super) fn uncounted_slots(&self, user: &str) -> impl Iterator<Item = &Slot> {
        self.entries.in_class(user, Class::Uncounted).map(|(_, slot)| slot)
    }

    /// Returns the open, counted sessions of `user` except those in `except`.
    pub(super) fn counted_sessions(
        &self,
        user: &str,
        except: &[Option<PublicId>],
        now: Timestamp,
    ) -> Vec<OpenSession> {
        let others = self.open_slots(user).filter(|slot| !except.contains(&Some(slot.record().id)));
        let mut sessions: Vec<_> = others
            .filter_map(|slot| OpenSession::from_record(slot.key, slot.record(), now))
            .collect();
        sessions.reverse();
        sessions
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
        let records = self.entries.iter().map(|(_, slot)| slot.record());
        records.filter(|record| record.is_ahead_of(now)).map(SessionRecord::session_ref).collect()
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

    /// Returns the records of one user that match `query`, in any order.
    pub(super) fn list_user(&self, user: &str, query: &Query) -> Vec<Arc<SessionRecord>> {
        let listed = self.entries.open(user).chain(self.entries.in_class(user, Class::History));
        let records = listed.map(|(_, slot)| &slot.entry.record);
        records.filter(|record| query.matches(record)).cloned().collect()
    }

    /// Returns the first records that match `query`, up to `count`, newest login first.
    pub(super) fn list_all(&self, query: &Query, count: usize) -> Vec<Arc<SessionRecord>> {
        let records = self.entries.listed(query).map(|slot| &slot.entry.record);
        records.filter(|record| query.matches(record)).take(count).cloned().collect()
    }

    /// Returns the entries of `user` without the tombstones of rotated keys, which are copies.
    fn user_entries(&self, user: &str) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.of_user(user).map(|(_, slot)| &slot.entry);
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
