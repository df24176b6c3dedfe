//! Write set of a registry operation, and its application to a shard.
//!
//! A decision returns a write set and changes nothing. The registry applies the write set to the
//! same shard before another decision about that shard.

use std::sync::Arc;

use super::{
    entries::{Class, Entry},
    shard::Shard,
};
use crate::{
    policy::limit::Limit,
    registry::query::Query,
    session::{
        data::SessionData,
        ended::Ended,
        key::{PublicId, RecordKey, user_hash},
        login::ticket::LoginTicket,
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
    /// Ticket to delete.
    pub(crate) spends_ticket: Option<RecordKey>,
    /// User whose tickets to delete.
    pub(crate) voids_tickets: Option<Arc<str>>,
    /// User whose sessions can no longer be adopted.
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

/// User whose sessions can no longer be adopted, until a time.
#[derive(Debug)]
pub(crate) struct AdoptionClosing {
    pub(crate) user: Arc<str>,
    pub(crate) until: Timestamp,
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
            && self.spends_ticket.is_none()
            && self.voids_tickets.is_none()
            && self.closes_adoption.is_none()
            && self.erases.is_none()
    }
}

impl Shard {
    /// Applies a write set and returns the records that it has ended.
    pub(crate) fn apply(&mut self, writes: WriteSet) -> Vec<SessionRecord> {
        writes.updates.into_iter().for_each(|update| self.replace(*update));
        let ends = writes.ends.into_iter();
        let ended = ends.filter_map(|(key, ended)| self.end(key, ended)).collect();
        if let Some(key) = writes.releases {
            self.reservations.retain(|reservation| reservation.key != key);
        }
        if let Some(key) = writes.spends_ticket {
            self.tickets.retain(|ticket| ticket.key != key);
        }
        writes.voids_tickets.into_iter().for_each(|user| self.void_tickets(&user));
        writes.reserves.into_iter().for_each(|reservation| self.reserve(reservation));
        writes.closes_adoption.into_iter().for_each(|closing| self.close_adoption(closing));
        writes.erases.into_iter().for_each(|user| self.erase(&user));
        writes.opens.into_iter().for_each(|entry| self.open(*entry));
        ended
    }

    /// Adds a ticket. Deletes expired tickets, and the first to expire if the user has too many.
    pub(crate) fn add_ticket(&mut self, ticket: LoginTicket) {
        self.tickets.retain(|other| ticket.at < other.until && other.key != ticket.key);
        let own = self.tickets.iter().filter(|other| other.user == ticket.user);
        if own.clone().count() >= LoginTicket::MAX_PER_USER {
            let first = own.min_by_key(|other| other.until).map(|other| other.key);
            self.tickets.retain(|other| Some(other.key) != first);
        }
        self.tickets.push(ticket);
    }

    fn void_tickets(&mut self, user: &str) {
        self.tickets.retain(|ticket| *ticket.user != *user);
    }

    /// Returns the record that `login` creates in the current generation.
    pub(crate) fn new_record(&self, login: &NewLogin) -> SessionRecord {
        SessionRecord { generation: self.generation, ..SessionRecord::new(login) }
    }

    /// Adds an open record.
    pub(crate) fn open(&mut self, entry: NewEntry) {
        let NewEntry { key, mut record, data } = entry;
        self.open += 1;
        // All records of a user share one copy of the user id.
        let known = self.entries.of_user(&record.user).next();
        let name = known.map(|(_, slot)| Arc::clone(&slot.record().user));
        record.user = name.unwrap_or(record.user);
        let data = if data.is_empty() { Arc::clone(&self.empty_data) } else { Arc::new(data) };
        self.entries.insert(key, Entry { record: Arc::new(record), data });
    }

    /// Ends all open records and voids all reservations.
    pub(crate) fn end_all(&mut self, ended: &Ended, history_limit: Limit<u32>) {
        let open = self.entries.iter().filter(|(_, slot)| slot.class.is_open());
        let keys: Vec<_> = open.map(|(_, slot)| slot.key).collect();
        let ended: Vec<_> =
            keys.into_iter().filter_map(|key| self.end(key, ended.clone())).collect();
        self.prune_users_of(&ended, history_limit);
        (self.reservations, self.tickets) = (vec![], vec![]);
    }

    /// Ends an open record, and moves it into the history.
    fn end(&mut self, key: RecordKey, ended: Ended) -> Option<SessionRecord> {
        let number = self.entries.number(&key)?;
        let slot = self.entries.slot(number).filter(|slot| slot.class.is_open())?;
        let mut record = SessionRecord::clone(slot.record());
        record.end(ended);
        let entry = Entry { record: Arc::new(record.clone()), data: Arc::clone(&self.empty_data) };
        self.entries.set_class(number, Class::History, entry);
        self.open -= 1;
        Some(record)
    }

    fn replace(&mut self, update: EntryUpdate) {
        let Some(number) = self.entries.number(&update.key) else { return };
        let Some(slot) = self.entries.slot(number) else { return };
        let before = Arc::clone(&slot.entry.record);
        if let (Some(data), Some(entry)) = (update.data, self.entries.entry_mut(number)) {
            entry.data = Arc::new(data);
        }
        let (record, to) = (Arc::new(update.record), update.rotates_to);
        let id = record.id;
        let key = to.map_or(update.key, |(to, _)| to);
        match self.entries.entry_mut(number) {
            Some(entry) if to.is_none() && Query::cursor(&before) == Query::cursor(&record) => {
                entry.record = record;
            }
            _ => self.entries.replace(number, key, record),
        }
        if let Some((_, at)) = to {
            self.add_rotated_key(update.key, before, id, at);
        }
    }

    /// Adds the tombstone of a rotated key. It has the public id that the session has now.
    fn add_rotated_key(
        &mut self,
        key: RecordKey,
        mut record: Arc<SessionRecord>,
        id: PublicId,
        at: Timestamp,
    ) {
        let user = Arc::clone(&record.user);
        let tombstone = Arc::make_mut(&mut record);
        tombstone.id = id;
        tombstone.end(Ended::new(Reason::Renewed, at));
        self.entries.insert(key, Entry { record, data: Arc::clone(&self.empty_data) });
        self.limit_tombstones(&user);
    }

    fn reserve(&mut self, reservation: Reservation) {
        let now = reservation.at;
        self.reservations.retain(|other| other.key != reservation.key && now < other.until);
        self.reservations.push(reservation);
    }

    fn close_adoption(&mut self, closing: AdoptionClosing) {
        let AdoptionClosing { user, until } = closing;
        let closed = self.adoption_closed.entry(user_hash(&user)).or_insert(until);
        *closed = (*closed).max(until);
    }

    fn erase(&mut self, user: &str) {
        let numbers: Vec<_> = self.entries.of_user(user).map(|(number, _)| number).collect();
        let erased = numbers.into_iter().filter_map(|number| self.entries.remove(number));
        self.open -= erased.filter(|slot| slot.class.is_open()).count();
        self.reservations.retain(|reservation| *reservation.user != *user);
        self.void_tickets(user);
    }
}

impl NewEntry {
    /// Returns the entry that `login` creates with `record`.
    pub(crate) fn new(login: NewLogin, record: SessionRecord) -> Self {
        Self { key: login.key, record, data: login.data }
    }
}
