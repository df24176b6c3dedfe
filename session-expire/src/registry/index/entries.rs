//! Entries of a shard, with indexes by key, by user and by time of login.
//!
//! Each entry has a number. The indexes contain only these numbers, which saves memory. The entries
//! of a user in one class form a chain, newest first.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, BuildHasherDefault, RandomState},
    iter, mem,
    sync::Arc,
};

use hashbrown::{HashTable, hash_table};
use slab::Slab;

use crate::{
    registry::query::Query,
    session::{
        data::SessionData,
        key::{KeyHasher, PublicId, RecordKey},
        record::SessionRecord,
    },
    time::Timestamp,
};

/// A record with its data, which is empty after the record has ended.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) record: Arc<SessionRecord>,
    pub(crate) data: Arc<SessionData>,
}

/// Class of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Open, and takes a slot of the session limit.
    Counted,
    /// Open, and takes no slot.
    Uncounted,
    /// Ended, and in the history.
    History,
    /// Ended, and not in the history, or a rotated key.
    Tombstone,
}

impl Class {
    /// Returns the class of an open record.
    fn open(record: &SessionRecord) -> Self {
        if record.uncounted { Self::Uncounted } else { Self::Counted }
    }

    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Counted | Self::Uncounted)
    }

    fn is_listed(self) -> bool {
        self != Self::Tombstone
    }
}

/// An entry with its key, its class, and the next entry of its chain.
pub(super) struct Slot {
    pub(super) key: RecordKey,
    pub(super) class: Class,
    next: u32,
    pub(super) entry: Entry,
}

impl Slot {
    pub(super) fn record(&self) -> &SessionRecord {
        &self.entry.record
    }
}

/// Entries of one user in one class.
struct Chain {
    first: u32,
    len: u32,
}

/// End of a chain.
const NONE: u32 = u32::MAX;

/// Position in the list of all sessions: time of login, first letters of the public id, number.
type LoginPosition = (Timestamp, [u8; 4], u32);

const FIRST: LoginPosition = (Timestamp::from_millis(i64::MIN), [0; 4], 0);
const LAST: LoginPosition = (Timestamp::from_millis(i64::MAX), [u8::MAX; 4], NONE);

/// Entries of a shard.
#[derive(Default)]
pub(super) struct Entries {
    slots: Slab<Slot>,
    by_key: HashTable<u32>,
    /// Chains of all users, by class.
    by_user: [HashTable<Chain>; 4],
    /// Entries that appear in lists.
    by_login: BTreeSet<LoginPosition>,
    key_hasher: BuildHasherDefault<KeyHasher>,
    user_hasher: RandomState,
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the numbers and the slots of all entries.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        self.slots.iter().map(|(number, slot)| (as_number(number), slot))
    }

    pub(super) fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(number as usize)
    }

    pub(super) fn number(&self, key: &RecordKey) -> Option<u32> {
        let is_key = |number: &u32| self.slots[*number as usize].key == *key;
        self.by_key.find(self.key_hasher.hash_one(key), is_key).copied()
    }

    pub(super) fn get(&self, key: &RecordKey) -> Option<&Slot> {
        self.slot(self.number(key)?)
    }

    /// Returns all entries of `user`.
    pub(super) fn of_user(&self, user: &str) -> impl Iterator<Item = (u32, &Slot)> {
        let ended =
            self.in_class(user, Class::History).chain(self.in_class(user, Class::Tombstone));
        self.open(user).chain(ended)
    }

    /// Returns the open entries of `user`, newest first.
    pub(super) fn open(&self, user: &str) -> impl Iterator<Item = (u32, &Slot)> {
        self.in_class(user, Class::Counted).chain(self.in_class(user, Class::Uncounted))
    }

    /// Returns the number of entries of `user` in `class`.
    pub(super) fn count(&self, user: &str, class: Class) -> u32 {
        self.chain(user, class).map_or(0, |chain| chain.len)
    }

    fn chain(&self, user: &str, class: Class) -> Option<&Chain> {
        let is_user = |chain: &Chain| *self.slots[chain.first as usize].record().user == *user;
        self.by_user[class as usize].find(self.user_hasher.hash_one(user), is_user)
    }

    /// Returns the entries of `user` in `class`, newest first.
    pub(super) fn in_class(&self, user: &str, class: Class) -> impl Iterator<Item = (u32, &Slot)> {
        let mut next = self.chain(user, class).map_or(NONE, |chain| chain.first);
        iter::from_fn(move || {
            let (number, slot) = (next, self.slot(next)?);
            next = slot.next;
            Some((number, slot))
        })
    }

    /// Adds an open entry, or the tombstone of a rotated key.
    pub(super) fn insert(&mut self, key: RecordKey, entry: Entry) {
        let class = match entry.record.ended {
            None => Class::open(&entry.record),
            Some(_) => Class::Tombstone,
        };
        let number = as_number(self.slots.insert(Slot { key, class, next: NONE, entry }));
        self.insert_key(number);
        self.insert_position(number);
        self.add_to_chain(number);
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, number: u32) -> Option<Slot> {
        self.slot(number)?;
        self.remove_position(number);
        self.remove_key(number);
        self.remove_from_chain(number);
        self.slots.try_remove(number as usize)
    }

    /// Moves an entry to another class, and sets its record and its data.
    pub(super) fn set_class(&mut self, number: u32, class: Class, entry: Entry) {
        if self.slot(number).is_none() {
            return;
        }
        self.remove_position(number);
        self.remove_from_chain(number);
        let slot = &mut self.slots[number as usize];
        (slot.class, slot.entry) = (class, entry);
        self.insert_position(number);
        self.add_to_chain(number);
    }

    /// Returns an entry for a change of its data or its record. The user, the id and the login time
    /// must stay the same.
    pub(super) fn entry_mut(&mut self, number: u32) -> Option<&mut Entry> {
        self.slots.get_mut(number as usize).map(|slot| &mut slot.entry)
    }

    /// Sets the key and the record of an entry. The user must stay the same.
    pub(super) fn replace(&mut self, number: u32, key: RecordKey, record: Arc<SessionRecord>) {
        if self.slot(number).is_none() {
            return;
        }
        self.remove_position(number);
        self.remove_key(number);
        let slot = &mut self.slots[number as usize];
        (slot.key, slot.entry.record) = (key, record);
        self.insert_key(number);
        self.insert_position(number);
    }

    /// Returns the listed entries after the cursor of `query`, newest login first.
    pub(super) fn listed(&self, query: &Query) -> impl Iterator<Item = &Slot> {
        let end = query.after.map_or(LAST, |(at, id)| (at, prefix(id), NONE));
        let end = query.before.map_or(end, |before| end.min((before, [0; 4], 0)));
        let start = query.from.map_or(FIRST, |from| (from, [0; 4], 0));
        let positions = (start <= end).then(|| self.by_login.range(start..=end).rev());
        positions.into_iter().flatten().filter_map(|position| self.slot(position.2))
    }

    fn insert_key(&mut self, number: u32) {
        let (slots, hasher) = (&self.slots, &self.key_hasher);
        let hash = |number: &u32| hasher.hash_one(slots[*number as usize].key);
        self.by_key.insert_unique(hash(&number), number, hash);
    }

    fn remove_key(&mut self, number: u32) {
        let hash = self.key_hasher.hash_one(self.slots[number as usize].key);
        if let Ok(found) = self.by_key.find_entry(hash, |other| *other == number) {
            found.remove();
        }
    }

    fn insert_position(&mut self, number: u32) {
        let slot = &self.slots[number as usize];
        if slot.class.is_listed() {
            self.by_login.insert(position(slot.record(), number));
        }
    }

    fn remove_position(&mut self, number: u32) {
        self.by_login.remove(&position(self.slots[number as usize].record(), number));
    }

    /// Adds an entry to the front of its chain.
    fn add_to_chain(&mut self, number: u32) {
        let next = match self.chain_entry(number) {
            hash_table::Entry::Occupied(mut chain) => {
                let chain = chain.get_mut();
                chain.len += 1;
                mem::replace(&mut chain.first, number)
            }
            hash_table::Entry::Vacant(absent) => {
                absent.insert(Chain { first: number, len: 1 });
                NONE
            }
        };
        self.slots[number as usize].next = next;
    }

    fn remove_from_chain(&mut self, number: u32) {
        let slot = &self.slots[number as usize];
        let (next, user, class) = (slot.next, Arc::clone(&slot.record().user), slot.class);
        let before = self.in_class(&user, class).find(|(_, slot)| slot.next == number);
        let before = before.map(|(before, _)| before);
        if let hash_table::Entry::Occupied(mut chain) = self.chain_entry(number) {
            chain.get_mut().len -= 1;
            if before.is_none() {
                chain.get_mut().first = next;
            }
            if chain.get().len == 0 {
                chain.remove();
            }
        }
        if let Some(before) = before {
            self.slots[before as usize].next = next;
        }
    }

    /// Returns the chain of the user and the class of an entry.
    fn chain_entry(&mut self, number: u32) -> hash_table::Entry<'_, Chain> {
        let (slots, hasher) = (&self.slots, &self.user_hasher);
        let user_of = |number: u32| &*slots[number as usize].record().user;
        let (user, class) = (user_of(number), slots[number as usize].class);
        self.by_user[class as usize].entry(
            hasher.hash_one(user),
            |chain| user_of(chain.first) == user,
            |chain| hasher.hash_one(user_of(chain.first)),
        )
    }
}

/// Converts the number of a slot. A shard has far fewer than 2³² entries.
fn as_number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}

fn position(record: &SessionRecord, number: u32) -> LoginPosition {
    let (at, id) = Query::cursor(record);
    (at, prefix(id), number)
}

fn prefix(id: PublicId) -> [u8; 4] {
    let mut letters = [0; 4];
    letters.copy_from_slice(&id.as_str().as_bytes()[..4]);
    letters
}
