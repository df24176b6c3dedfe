//! Write set of a registry operation, and its application to a shard.
//!
//! A decision returns a write set and changes nothing. The registry applies the write set to the
//! same shard before another decision about that shard.

use std::sync::Arc;

use super::shard::{Entry, Shard};
use crate::{
    session::{
        data::SessionData,
        ended::Ended,
        key::RecordKey,
        login::{NewLogin, Reservation},
        reason::Reason,
        record::SessionRecord,
    },
    time::Timestamp,
};

/// All changes that an operation makes.
#[derive(Debug, Default)]
pub(crate) struct WriteSet {
    /// Record to add.
    pub(crate) opens: Option<Box<NewEntry>>,
    /// Open records to end.
    pub(crate) ends: Vec<(RecordKey, Ended)>,
    /// New state of an open record.
    pub(crate) updates: Option<Box<EntryUpdate>>,
    /// Reservation to add or to replace.
    pub(crate) reserves: Option<Reservation>,
    /// Login whose reservation is removed.
    pub(crate) releases: Option<RecordKey>,
    /// Users whose sessions can no longer be adopted.
    pub(crate) closes_adoption: Option<AdoptionClosing>,
    /// User whose records are deleted.
    pub(crate) erases: Option<Arc<str>>,
}

/// New open record with its data.
#[derive(Debug)]
pub(crate) struct NewEntry {
    pub(crate) key: RecordKey,
    pub(crate) record: SessionRecord,
    pub(crate) data: SessionData,
}

/// New state of an open record.
#[derive(Debug)]
pub(crate) struct EntryUpdate {
    /// Key before the update.
    pub(crate) key: RecordKey,
    pub(crate) record: SessionRecord,
    /// Merged data; `None` if the data does not change.
    pub(crate) data: Option<SessionData>,
    /// New key and time of the rotation; `None` if the key does not change.
    pub(crate) rotates_to: Option<(RecordKey, Timestamp)>,
}

/// Users whose sessions can no longer be adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AdoptionClosing {
    /// One user, until this time.
    User(Arc<str>, Timestamp),
    /// All users, forever. Reservations are voided, too.
    AllUsers,
}

#[cfg(test)]
impl WriteSet {
    /// Returns `true` if there are no changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.opens.is_none()
            && self.ends.is_empty()
            && self.updates.is_none()
            && self.reserves.is_none()
            && self.releases.is_none()
            && self.closes_adoption.is_none()
            && self.erases.is_none()
    }
}

impl Shard {
    /// Applies a write set and returns the records that it has ended.
    pub(crate) fn apply(&mut self, writes: WriteSet) -> Vec<SessionRecord> {
        let WriteSet { opens, ends, updates, reserves, releases, closes_adoption, erases } = writes;
        let ended = ends.into_iter().filter_map(|(key, ended)| self.end(key, ended)).collect();
        updates.into_iter().for_each(|update| self.replace(*update));
        if let Some(key) = releases {
            self.reservations.retain(|reservation| reservation.key != key);
        }
        reserves.into_iter().for_each(|reservation| self.reserve(reservation));
        closes_adoption.into_iter().for_each(|closing| self.close_adoption(closing));
        erases.into_iter().for_each(|user| self.erase(&user));
        opens.into_iter().for_each(|entry| self.open(*entry));
        ended
    }

    /// Adds an open record.
    pub(crate) fn open(&mut self, entry: NewEntry) {
        let NewEntry { key, record, data } = entry;
        let sessions = self.users.entry(Arc::clone(&record.user)).or_default();
        sessions.open.push((key, record.id));
        sessions.counted += u32::from(!record.uncounted);
        let data = if data.is_empty() { Arc::clone(&self.empty_data) } else { Arc::new(data) };
        self.entries.insert(key, Entry { record: Arc::new(record), data });
    }

    fn end(&mut self, key: RecordKey, ended: Ended) -> Option<SessionRecord> {
        let entry = self.entries.get_mut(&key)?;
        let record = Arc::make_mut(&mut entry.record);
        if !record.end(ended) {
            return None;
        }
        entry.data = Arc::clone(&self.empty_data);
        if let Some(sessions) = self.users.get_mut(&record.user) {
            sessions.close(key, record);
        }
        Some(SessionRecord::clone(record))
    }

    fn replace(&mut self, update: EntryUpdate) {
        let Some(entry) = self.entries.get_mut(&update.key) else { return };
        let before = std::mem::replace(&mut entry.record, Arc::new(update.record));
        if let Some(data) = update.data {
            entry.data = Arc::new(data);
        }
        let Some((to, at)) = update.rotates_to else { return };
        let entry = entry.clone();
        if let Some(sessions) = self.users.get_mut(&before.user) {
            let open = sessions.open.iter_mut().filter(|(key, _)| *key == update.key);
            open.for_each(|open| *open = (to, entry.record.id));
        }
        self.entries.insert(to, entry);
        self.add_rotated_key(update.key, before, at);
    }

    /// Adds the tombstone of a rotated key.
    fn add_rotated_key(&mut self, key: RecordKey, mut record: Arc<SessionRecord>, at: Timestamp) {
        Arc::make_mut(&mut record).end(Ended::new(Reason::Renewed, at));
        self.tombstones.entry(Arc::clone(&record.user)).or_default().push_back(key);
        self.entries.insert(key, Entry { record, data: Arc::clone(&self.empty_data) });
    }

    fn reserve(&mut self, reservation: Reservation) {
        let now = reservation.at;
        self.reservations.retain(|other| other.key != reservation.key && now < other.until);
        self.reservations.push(reservation);
    }

    fn close_adoption(&mut self, closing: AdoptionClosing) {
        match closing {
            AdoptionClosing::User(user, until) => {
                let closed = self.adoption_closed.entry(user).or_insert(until);
                *closed = (*closed).max(until);
            }
            AdoptionClosing::AllUsers => {
                self.adoption_closed_for_all = true;
                self.reservations = vec![];
            }
        }
    }

    fn erase(&mut self, user: &str) {
        for key in self.all_keys(user) {
            self.entries.remove(&key);
        }
        self.users.remove(user);
        self.tombstones.remove(user);
        self.reservations.retain(|reservation| *reservation.user != *user);
    }
}

impl NewEntry {
    /// Returns the entry that `login` creates.
    pub(crate) fn new(login: NewLogin) -> Self {
        let record = SessionRecord::new(&login);
        Self { key: login.key, record, data: login.data }
    }
}
