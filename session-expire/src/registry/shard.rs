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
    EndTarget, Loaded, Query,
    key::{KeyHasher, RecordKey, partition_key},
    login::NewLogin,
    record::{Ended, SessionRecord},
    room::{OpenSession, SessionLimit},
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

    /// The records that are [ahead](SessionRecord::is_ahead_of) of `now`.
    pub(crate) fn ahead_of(&self, now: Timestamp) -> Vec<RecordKey> {
        self.each().flat_map(|shard| shard.ahead_of(now).collect::<Vec<_>>()).collect()
    }

    /// The records that `query` asks for; those of all users are read shard by shard.
    pub(crate) fn find(&self, query: &Query) -> Vec<SessionRecord> {
        let found = match &query.user {
            Some(user) => self.of_tag(&partition_key(user)).find(query),
            None => self.each().flat_map(|shard| shard.find(query)).collect(),
        };
        query.page(found)
    }
}

/// A panic elsewhere must not take the sign-outs with it: a record is whole after every statement.
fn unpoisoned(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EndTarget {
    /// The [tag](RecordKey::tag) of the shard that this is about.
    pub(crate) fn tag(&self) -> String {
        match self {
            Self::Key(key) => key.tag().to_owned(),
            Self::Id(user, _) | Self::Others(user, _) | Self::All(user) => partition_key(user),
        }
    }
}

/// What an operation is going to change.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The record to open.
    pub(crate) opens: Option<(RecordKey, SessionRecord)>,
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
        holders: Vec<SessionRecord>,
    },
}

/// The records of some users.
#[derive(Default)]
pub(crate) struct Shard {
    pub(super) records: HashMap<RecordKey, Arc<SessionRecord>, BuildHasherDefault<KeyHasher>>,
    pub(super) users: HashMap<Arc<str>, Owner>,
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

    pub(crate) fn record(&self, key: &RecordKey) -> Option<&SessionRecord> {
        self.records.get(key).map(|record| &**record)
    }

    /// How many records of `user` are open.
    pub(crate) fn open_of(&self, user: &str) -> u32 {
        self.users.get(user).map_or(0, |user| user.open)
    }

    pub(crate) fn load(&self, key: &RecordKey) -> Option<Loaded> {
        let record = self.records.get(key)?.clone();
        let open = self.open_of(&record.user);
        Some(Loaded { record, open })
    }

    fn ahead_of(&self, now: Timestamp) -> impl Iterator<Item = RecordKey> {
        let ahead = self.records.iter().filter(move |(_, record)| record.is_ahead_of(now));
        ahead.map(|(key, _)| *key)
    }

    /// The record of `key`, to be [touched](SessionRecord::touch) and not to be ended.
    pub(crate) fn record_mut(&mut self, key: &RecordKey) -> Option<&mut SessionRecord> {
        self.records.get_mut(key).map(Arc::make_mut)
    }

    /// Decides about `login`, by the rule of [`Registry::login`](super::Registry::login).
    pub(crate) fn decide_login(&mut self, login: &mut NewLogin) -> Decision {
        login.client.device = self.intern(&login.client.device);
        let replaced = login.replaces.map(|(key, _)| key);
        let seats = match self.open_of(&login.user) as usize >= login.room.places() {
            true => self.seats(&login.user, replaced, login.at),
            false => vec![], // they matter to nobody, and a user may have many
        };
        if login.room.refuses(&seats) {
            return Decision::Refuse { holders: self.holders(&seats) };
        }
        // A tag is shared by many users: the key alone doesn't prove whose login it is.
        let replaced = login.replaces.filter(|(key, _)| self.has_open(&login.user, key));
        let replaced = replaced.map(|(key, reason)| (key, Ended::new(reason, login.at)));
        let mut ends: Vec<_> = replaced.into_iter().collect();
        ends.extend(give_way(login.room, seats, &login.evicts()));
        let opens = Some((login.key, SessionRecord::new(login)));
        Decision::Admit(Box::new(Plan { opens, ends }))
    }

    /// Decides whom to end, by the rule of [`Registry::end`](super::Registry::end).
    pub(crate) fn decide_end(&self, target: &EndTarget, ended: &Ended) -> Plan {
        let open = self.targets(target).into_iter().filter(|key| self.is_open(key));
        Plan { opens: None, ends: open.map(|key| (key, ended.clone())).collect() }
    }

    /// Decides who yields to `key`, by the rule of
    /// [`Registry::make_room`](super::Registry::make_room).
    pub(crate) fn decide_room(&self, key: RecordKey, room: SessionLimit, ended: &Ended) -> Plan {
        let Some(record) = self.record(&key).filter(|record| record.ended.is_none()) else {
            return Plan::default();
        };
        let seats = self.seats(&record.user, Some(key), ended.at);
        Plan { opens: None, ends: give_way(room, seats, ended) }
    }

    /// Does what was planned, and answers the records that this has ended.
    pub(crate) fn carry_out(&mut self, plan: Plan) -> Vec<SessionRecord> {
        let ends = plan.ends.into_iter();
        let ended = ends.filter_map(|(key, ended)| self.end(key, ended)).collect();
        if let Some((key, record)) = plan.opens {
            self.open(key, record);
        }
        ended
    }

    /// Adds an open record.
    pub(crate) fn open(&mut self, key: RecordKey, record: SessionRecord) {
        let user = self.users.entry(Arc::clone(&record.user)).or_default();
        user.keys.push(key);
        user.open += 1;
        self.records.insert(key, Arc::new(record));
    }

    fn end(&mut self, key: RecordKey, ended: Ended) -> Option<SessionRecord> {
        let record = Arc::make_mut(self.records.get_mut(&key)?);
        if !record.end(ended) {
            return None;
        }
        if let Some(user) = self.users.get_mut(&record.user) {
            user.open = user.open.saturating_sub(1);
        }
        Some(SessionRecord::clone(record))
    }

    fn is_open(&self, key: &RecordKey) -> bool {
        self.record(key).is_some_and(|record| record.ended.is_none())
    }

    fn has_open(&self, user: &str, key: &RecordKey) -> bool {
        self.record(key).is_some_and(|record| record.ended.is_none() && *record.user == *user)
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

    fn keys_of(&self, user: &str) -> &[RecordKey] {
        self.users.get(user).map(|user| user.keys.as_slice()).unwrap_or_default()
    }

    /// The open sessions of `user` but one.
    fn seats(&self, user: &str, but: Option<RecordKey>, now: Timestamp) -> Vec<OpenSession> {
        let others = self.keys_of(user).iter().filter(|key| Some(**key) != but);
        others.filter_map(|key| OpenSession::of(*key, self.records.get(key)?, now)).collect()
    }

    /// Sorted, because the clocks of logins may differ from the order in which they came.
    fn holders(&self, seats: &[OpenSession]) -> Vec<SessionRecord> {
        let alive = seats.iter().filter(|seat| seat.ran_out.is_none());
        let mut holders: Vec<_> =
            alive.filter_map(|seat| self.record(&seat.key)).cloned().collect();
        holders.sort_by_key(|record| record.logged_in_at);
        holders
    }

    fn targets(&self, target: &EndTarget) -> Vec<RecordKey> {
        let user = match target {
            EndTarget::Key(key) => return vec![*key],
            EndTarget::Id(user, _) | EndTarget::Others(user, _) | EndTarget::All(user) => user,
        };
        let covered =
            |key: &&RecordKey| self.record(key).is_some_and(|record| target.covers(key, record));
        self.keys_of(user).iter().filter(covered).copied().collect()
    }

    fn find(&self, query: &Query) -> Vec<SessionRecord> {
        let users: Vec<_> = match &query.user {
            Some(user) => self.users.get(user).into_iter().collect(),
            None => self.users.values().collect(),
        };
        let keys = users.into_iter().flat_map(|user| &user.keys);
        let records = keys.filter_map(|key| self.record(key));
        records.filter(|record| query.covers(record)).cloned().collect()
    }
}

fn give_way(room: SessionLimit, seats: Vec<OpenSession>, ended: &Ended) -> Vec<(RecordKey, Ended)> {
    room.yielding(seats).into_iter().map(|seat| (seat.key, seat.end(ended))).collect()
}
