//! Records in memory and the decisions about them, for the registries that keep them there.
//!
//! A decision changes nothing: it is a [`Plan`], carried out in a second step. A registry that must
//! write first, and can fail to, writes between the two.

#[cfg(not(shuttle))]
use std::sync::{Mutex, MutexGuard};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::BuildHasherDefault,
    sync::{Arc, PoisonError},
};

#[cfg(shuttle)]
use shuttle::sync::{Mutex, MutexGuard};

use super::{
    Loaded, Query, Target,
    key::{KeyHasher, RecordKey, owner_tag},
    login::Login,
    record::{Ended, Record},
    room::{Room, Seat},
};
use crate::time::Timestamp;

/// Enough that threads seldom meet at one lock, and that sweeping one of them is no pause even where
/// there are millions.
const SHARDS: usize = if cfg!(shuttle) { 1 } else { 1_024 };

/// All shards. All records of a user lie in one, so that one lock makes every operation one step.
pub(crate) struct Shards(Vec<Mutex<Shard>>);

impl Shards {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// The number of the shard for keys that begin with `tag`.
    pub(crate) fn place(tag: &str) -> usize {
        tag.bytes().fold(0_usize, |place, byte| place * 62 + usize::from(byte)) % SHARDS
    }

    pub(crate) fn of_tag(&self, tag: &str) -> MutexGuard<'_, Shard> {
        unpoisoned(&self.0[Self::place(tag)])
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.0.iter().map(unpoisoned)
    }

    /// The records that are [ahead](Record::is_ahead_of) of `now`.
    pub(crate) fn ahead_of(&self, now: Timestamp) -> Vec<RecordKey> {
        self.each().flat_map(|shard| shard.ahead_of(now).collect::<Vec<_>>()).collect()
    }

    /// The records that `query` asks for; those of all users are read shard by shard.
    pub(crate) fn find(&self, query: &Query) -> Vec<Record> {
        let found = match &query.owner {
            Some(owner) => self.of_tag(&owner_tag(owner)).find(query),
            None => self.each().flat_map(|shard| shard.find(query)).collect(),
        };
        query.page(found)
    }
}

/// A panic elsewhere must not take the sign-outs with it: a record is whole after every statement.
fn unpoisoned(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Target {
    /// The [tag](RecordKey::tag) of the shard that this is about.
    pub(crate) fn tag(&self) -> String {
        match self {
            Self::Key(key) => key.tag().to_owned(),
            Self::Id(owner, _) | Self::Others(owner, _) | Self::All(owner) => owner_tag(owner),
        }
    }
}

/// What an operation is going to change.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The record to open.
    pub(crate) opens: Option<(RecordKey, Record)>,
    /// The records to end, all of them open.
    pub(crate) ends: Vec<(RecordKey, Ended)>,
}

/// What is to become of a login.
pub(crate) enum Decision {
    /// It is let in, with these changes.
    Admit(Box<Plan>),
    /// There is no room.
    Refuse {
        /// The records that hold the places, oldest login first.
        holders: Vec<Record>,
    },
}

/// The records of some users.
#[derive(Default)]
pub(crate) struct Shard {
    pub(super) records: HashMap<RecordKey, Arc<Record>, BuildHasherDefault<KeyHasher>>,
    pub(super) owners: HashMap<Arc<str>, Owner>,
    /// The ended records that the log of a user had no room for, oldest first.
    pub(super) fading: HashMap<Arc<str>, VecDeque<RecordKey>>,
    devices: HashSet<Arc<str>>,
    pub(super) swept_at: Option<Timestamp>,
    #[cfg(feature = "sqlite")]
    held: bool,
}

/// The records of one user as they came; ended ones as far as the log reaches.
#[derive(Default)]
pub(super) struct Owner {
    pub(super) keys: Vec<RecordKey>,
    pub(super) open: u32,
}

impl Shard {
    /// Between a decision and its carrying out: what it was decided on must not move meanwhile.
    #[cfg(feature = "sqlite")]
    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// The number of records, ended ones included.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn record(&self, key: &RecordKey) -> Option<&Record> {
        self.records.get(key).map(|record| &**record)
    }

    /// How many records of `owner` are open.
    pub(crate) fn open_of(&self, owner: &str) -> u32 {
        self.owners.get(owner).map_or(0, |owner| owner.open)
    }

    pub(crate) fn load(&self, key: &RecordKey) -> Option<Loaded> {
        let record = self.records.get(key)?.clone();
        let open = self.open_of(&record.owner);
        Some(Loaded { record, open })
    }

    fn ahead_of(&self, now: Timestamp) -> impl Iterator<Item = RecordKey> {
        let ahead = self.records.iter().filter(move |(_, record)| record.is_ahead_of(now));
        ahead.map(|(key, _)| *key)
    }

    /// The record of `key`, to be [touched](Record::touch) and not to be ended.
    pub(crate) fn record_mut(&mut self, key: &RecordKey) -> Option<&mut Record> {
        self.records.get_mut(key).map(Arc::make_mut)
    }

    /// Decides about `login`, by the rule of [`Registry::login`](super::Registry::login).
    pub(crate) fn decide_login(&mut self, login: &mut Login) -> Decision {
        login.client.device = self.intern(&login.client.device);
        let replaced = login.replaces.map(|(key, _)| key);
        let seats = match self.open_of(&login.owner) as usize >= login.room.places() {
            true => self.seats(&login.owner, replaced, login.at),
            false => vec![], // they matter to nobody, and a user may have many
        };
        if login.room.refuses(&seats) {
            return Decision::Refuse { holders: self.holders(&seats) };
        }
        // A tag is shared by many users: the key alone doesn't prove whose login it is.
        let replaced = login.replaces.filter(|(key, _)| self.has_open(&login.owner, key));
        let replaced = replaced.map(|(key, reason)| (key, Ended::new(reason, login.at)));
        let mut ends: Vec<_> = replaced.into_iter().collect();
        ends.extend(give_way(login.room, seats, &login.evicts()));
        let opens = Some((login.key, Record::new(login)));
        Decision::Admit(Box::new(Plan { opens, ends }))
    }

    /// Decides whom to end, by the rule of [`Registry::end`](super::Registry::end).
    pub(crate) fn decide_end(&self, target: &Target, ended: &Ended) -> Plan {
        let open = self.targets(target).into_iter().filter(|key| self.is_open(key));
        Plan { opens: None, ends: open.map(|key| (key, ended.clone())).collect() }
    }

    /// Decides who yields to `key`, by the rule of
    /// [`Registry::make_room`](super::Registry::make_room).
    pub(crate) fn decide_room(&self, key: RecordKey, room: Room, ended: &Ended) -> Plan {
        let Some(record) = self.record(&key).filter(|record| record.ended.is_none()) else {
            return Plan::default();
        };
        let seats = self.seats(&record.owner, Some(key), ended.at);
        Plan { opens: None, ends: give_way(room, seats, ended) }
    }

    /// Does what was planned, and answers the records that this has ended.
    pub(crate) fn carry_out(&mut self, plan: Plan) -> Vec<Record> {
        let ends = plan.ends.into_iter();
        let ended = ends.filter_map(|(key, ended)| self.end(key, ended)).collect();
        if let Some((key, record)) = plan.opens {
            self.open(key, record);
        }
        ended
    }

    /// Adds an open record.
    pub(crate) fn open(&mut self, key: RecordKey, record: Record) {
        let owner = self.owners.entry(Arc::clone(&record.owner)).or_default();
        owner.keys.push(key);
        owner.open += 1;
        self.records.insert(key, Arc::new(record));
    }

    fn end(&mut self, key: RecordKey, ended: Ended) -> Option<Record> {
        let record = Arc::make_mut(self.records.get_mut(&key)?);
        if !record.end(ended) {
            return None;
        }
        if let Some(owner) = self.owners.get_mut(&record.owner) {
            owner.open = owner.open.saturating_sub(1);
        }
        Some(Record::clone(record))
    }

    fn is_open(&self, key: &RecordKey) -> bool {
        self.record(key).is_some_and(|record| record.ended.is_none())
    }

    fn has_open(&self, owner: &str, key: &RecordKey) -> bool {
        self.record(key).is_some_and(|record| record.ended.is_none() && *record.owner == *owner)
    }

    pub(crate) fn intern(&mut self, device: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.devices.get(device) {
            return Arc::clone(known);
        }
        // Names come from a header that anyone can send: they must not pile up.
        if self.devices.len() < 250 {
            self.devices.insert(Arc::clone(device));
        }
        Arc::clone(device)
    }

    fn keys_of(&self, owner: &str) -> &[RecordKey] {
        self.owners.get(owner).map(|owner| owner.keys.as_slice()).unwrap_or_default()
    }

    /// The open sessions of `owner` but one.
    fn seats(&self, owner: &str, but: Option<RecordKey>, now: Timestamp) -> Vec<Seat> {
        let others = self.keys_of(owner).iter().filter(|key| Some(**key) != but);
        others.filter_map(|key| Seat::of(*key, self.records.get(key)?, now)).collect()
    }

    /// Sorted, because the clocks of logins may differ from the order in which they came.
    fn holders(&self, seats: &[Seat]) -> Vec<Record> {
        let alive = seats.iter().filter(|seat| seat.ran_out.is_none());
        let mut holders: Vec<_> =
            alive.filter_map(|seat| self.record(&seat.key)).cloned().collect();
        holders.sort_by_key(|record| record.logged_in_at);
        holders
    }

    fn targets(&self, target: &Target) -> Vec<RecordKey> {
        let owner = match target {
            Target::Key(key) => return vec![*key],
            Target::Id(owner, _) | Target::Others(owner, _) | Target::All(owner) => owner,
        };
        let covered =
            |key: &&RecordKey| self.record(key).is_some_and(|record| target.covers(key, record));
        self.keys_of(owner).iter().filter(covered).copied().collect()
    }

    fn find(&self, query: &Query) -> Vec<Record> {
        let owners: Vec<_> = match &query.owner {
            Some(owner) => self.owners.get(owner).into_iter().collect(),
            None => self.owners.values().collect(),
        };
        let keys = owners.into_iter().flat_map(|owner| &owner.keys);
        let records = keys.filter_map(|key| self.record(key));
        records.filter(|record| query.covers(record)).cloned().collect()
    }
}

fn give_way(room: Room, seats: Vec<Seat>, ended: &Ended) -> Vec<(RecordKey, Ended)> {
    room.yielding(seats).into_iter().map(|seat| (seat.key, seat.end(ended))).collect()
}
