//! Records in the memory of one process.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Admission, Answer, Loaded, Query, Registry, Target,
    key::{RecordKey, owner_tag},
    login::Login,
    record::{Change, Ended, Record},
    room::{Room, Seat},
};
use crate::{
    policy::Limit,
    time::{Timestamp, hours},
};

/// Enough that threads seldom meet at one lock, and that sweeping one of them is no pause even where
/// there are millions.
const SHARDS: usize = 1_024;

/// A shard is swept at most this often, by a login that comes by.
const SWEEP_EVERY: Duration = hours(1);

/// Ended records that are not kept in the log are remembered this long, so that a late visitor still
/// learns why.
const REMEMBER_ENDED: Duration = hours(24);

/// Nothing is remembered for longer than this after its last use, whatever the policy.
const REMEMBER_UNUSED: Duration = hours(24 * 90);

/// Keeps records in memory: the default, for one process.
///
/// Every operation takes time in the number of the user's own records, never of all records; listing
/// those of all users reads them all. A restart forgets everything, which signs everyone out.
///
/// Of each user the last 20 ended logins are kept for [`find`](Registry::find), and nothing for longer
/// than 90 days after its last use.
pub struct MemoryRegistry {
    shards: Vec<Mutex<Shard>>,
    log_limit: Limit<u32>,
}

/// All records of a user lie in one shard, so that one lock makes every operation one step.
#[derive(Default)]
struct Shard {
    records: HashMap<RecordKey, Box<Record>>,
    owners: HashMap<Arc<str>, Owner>,
    devices: HashSet<Arc<str>>,
    swept_at: Option<Timestamp>,
}

/// The records of one user as they came; ended ones as far as the log reaches.
#[derive(Default)]
struct Owner {
    keys: Vec<RecordKey>,
    open: u32,
}

impl MemoryRegistry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), log_limit: Limit::At(20) }
    }

    /// Keeps this many ended logins of each user in the log; `Limit::At(0)` for none, `Limit::Off` for
    /// all of the last 90 days.
    #[must_use]
    pub fn log_limit(mut self, limit: Limit<u32>) -> Self {
        self.log_limit = limit;
        self
    }

    /// The number of records, ended ones included, that have not been swept yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| unpoisoned(shard).records.len()).sum()
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, tag: &str) -> MutexGuard<'_, Shard> {
        let place = tag.bytes().fold(0_usize, |place, byte| place * 62 + usize::from(byte));
        unpoisoned(&self.shards[place % SHARDS])
    }

    fn admit(&self, mut login: Login) -> Admission {
        let mut shard = self.shard(login.key.tag());
        shard.sweep(login.at);
        login.client.device = shard.intern(&login.client.device);
        let replaced = login.replaces.map(|(key, _)| key);
        let seats = shard.seats(&login.owner, replaced, login.at);
        if login.room.refuses(&seats) {
            return Admission::Refused { holders: shard.holders(&seats) };
        }
        // A tag is shared by many users: the key alone doesn't prove whose login it is.
        let replaced = login.replaces.filter(|(key, _)| shard.owns(&login.owner, *key));
        let replaced =
            replaced.and_then(|(key, reason)| shard.end(key, Ended::new(reason, login.at)));
        let mut ended: Vec<_> = replaced.into_iter().collect();
        ended.extend(shard.give_way(login.room.yielding(seats), &login.evicts()));
        let record = Record::new(&login);
        shard.open(login.key, record.clone());
        shard.trim(&login.owner, self.log_limit);
        Admission::Admitted { record, ended }
    }
}

/// A panic elsewhere must not take the sign-outs with it: a record is whole after every statement.
fn unpoisoned(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn intern(&mut self, device: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.devices.get(device) {
            return Arc::clone(known);
        }
        // Names come from a header that anyone can send: they must not pile up.
        if self.devices.len() < 250 {
            self.devices.insert(Arc::clone(device));
        }
        Arc::clone(device)
    }

    /// The open sessions of `owner` but one.
    fn seats(&self, owner: &str, but: Option<RecordKey>, now: Timestamp) -> Vec<Seat> {
        let keys = self.owners.get(owner).map(|owner| owner.keys.as_slice()).unwrap_or_default();
        let others = keys.iter().filter(|key| Some(**key) != but);
        others.filter_map(|key| Seat::of(*key, self.records.get(key)?, now)).collect()
    }

    fn owns(&self, owner: &str, key: RecordKey) -> bool {
        self.records.get(&key).is_some_and(|record| *record.owner == *owner)
    }

    /// Sorted, because the clocks of logins may differ from the order in which they came.
    fn holders(&self, seats: &[Seat]) -> Vec<Record> {
        let alive = seats.iter().filter(|seat| seat.ran_out.is_none());
        let records = alive.filter_map(|seat| self.records.get(&seat.key));
        let mut holders: Vec<_> = records.map(|record| Record::clone(record)).collect();
        holders.sort_by_key(|record| record.logged_in_at);
        holders
    }

    fn open(&mut self, key: RecordKey, record: Record) {
        let owner = self.owners.entry(Arc::clone(&record.owner)).or_default();
        owner.keys.push(key);
        owner.open += 1;
        self.records.insert(key, Box::new(record));
    }

    fn end(&mut self, key: RecordKey, ended: Ended) -> Option<Record> {
        let record = self.records.get_mut(&key)?;
        if !record.end(ended) {
            return None;
        }
        if let Some(owner) = self.owners.get_mut(&record.owner) {
            owner.open = owner.open.saturating_sub(1);
        }
        Some(Record::clone(record))
    }

    fn give_way(&mut self, yielding: Vec<Seat>, ended: &Ended) -> Vec<Record> {
        yielding.into_iter().filter_map(|seat| self.end(seat.key, seat.end(ended))).collect()
    }

    /// Takes the oldest ended records of `owner` out of the log. They are remembered until the next
    /// sweep after a day, because their browsers don't know yet why they are out.
    fn trim(&mut self, owner: &str, limit: Limit<u32>) {
        let (Limit::At(limit), Some(owner)) = (limit, self.owners.get_mut(owner)) else { return };
        let past = owner.keys.len().saturating_sub(owner.open as usize);
        let mut surplus = past.saturating_sub(limit as usize);
        if surplus == 0 {
            return;
        }
        let records = &self.records;
        owner.keys.retain(|key| {
            let past = records.get(key).is_none_or(|record| record.ended.is_some());
            let drop = past && surplus > 0;
            surplus -= usize::from(drop);
            !drop
        });
    }

    /// Forgets what nobody will ask for again.
    fn sweep(&mut self, now: Timestamp) {
        // The last sweep may lie in the future of a clock that has since been set back.
        let swept_at = self.swept_at.unwrap_or(now).min(now);
        self.swept_at = Some(swept_at);
        if now.since(swept_at) < SWEEP_EVERY {
            return;
        }
        self.swept_at = Some(now);
        let (before, owners) = (self.records.len(), &self.owners);
        let logged = |key: &RecordKey, record: &Record| {
            owners.get(&record.owner).is_some_and(|owner| owner.keys.contains(key))
        };
        self.records.retain(|key, record| {
            let age = now.since(record.ended.as_ref().map_or(record.last_seen, |ended| ended.at));
            // In this order, because to look into the log costs most.
            age < REMEMBER_ENDED
                || age < REMEMBER_UNUSED && (record.ended.is_none() || logged(key, record))
        });
        if self.records.len() == before {
            return;
        }
        let records = &self.records;
        self.owners.retain(|_, owner| {
            owner.keys.retain(|key| records.contains_key(key));
            let open =
                owner.keys.iter().filter_map(|key| records.get(key)).filter(|r| r.ended.is_none());
            owner.open = u32::try_from(open.count()).unwrap_or(u32::MAX);
            !owner.keys.is_empty()
        });
    }

    fn targets(&self, target: &Target) -> Vec<RecordKey> {
        let owner = match target {
            Target::Key(key) => return vec![*key],
            Target::Id(owner, _) | Target::Others(owner, _) | Target::All(owner) => owner,
        };
        let keys = self.owners.get(owner).map(|owner| owner.keys.as_slice()).unwrap_or_default();
        let covered = |key: &&RecordKey| {
            self.records.get(*key).is_some_and(|record| target.covers(key, record))
        };
        keys.iter().filter(covered).copied().collect()
    }

    fn find(&self, query: &Query) -> Vec<Record> {
        let owners: Vec<_> = match &query.owner {
            Some(owner) => self.owners.get(owner).into_iter().collect(),
            None => self.owners.values().collect(),
        };
        let keys = owners.into_iter().flat_map(|owner| &owner.keys);
        let records =
            keys.filter_map(|key| self.records.get(key)).filter(|record| query.covers(record));
        records.map(|record| Record::clone(record)).collect()
    }
}

impl Default for MemoryRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRegistry").field("records", &self.len()).finish()
    }
}

fn now<'a, T: Send + 'a>(answer: T) -> Answer<'a, T> {
    Box::pin(ready(Ok(answer)))
}

impl Registry for MemoryRegistry {
    fn login(&self, login: Login) -> Answer<'_, Admission> {
        now(self.admit(login))
    }

    fn load(&self, key: RecordKey) -> Answer<'_, Option<Loaded>> {
        let shard = self.shard(key.tag());
        now(shard.records.get(&key).map(|record| {
            let open = shard.owners.get(&record.owner).map_or(0, |owner| owner.open);
            Loaded { record: Record::clone(record), open }
        }))
    }

    fn touch(&self, key: RecordKey, change: Change) -> Answer<'_, ()> {
        let mut shard = self.shard(key.tag());
        if let Some(record) = shard.records.get_mut(&key) {
            record.touch(&change);
        }
        now(())
    }

    fn end(&self, target: Target, ended: Ended) -> Answer<'_, Vec<Record>> {
        let tag = match &target {
            Target::Key(key) => key.tag().to_owned(),
            Target::Id(owner, _) | Target::Others(owner, _) | Target::All(owner) => {
                owner_tag(owner)
            }
        };
        let mut shard = self.shard(&tag);
        let targets = shard.targets(&target);
        let over: Vec<_> =
            targets.into_iter().filter_map(|key| shard.end(key, ended.clone())).collect();
        if let Some(record) = over.first() {
            shard.trim(&record.owner, self.log_limit);
        }
        now(over)
    }

    fn make_room(&self, key: RecordKey, room: Room, ended: Ended) -> Answer<'_, Vec<Record>> {
        let mut shard = self.shard(key.tag());
        let Some(owner) =
            shard.records.get(&key).filter(|r| r.ended.is_none()).map(|r| Arc::clone(&r.owner))
        else {
            return now(vec![]);
        };
        let yielding = room.yielding(shard.seats(&owner, Some(key), ended.at));
        let over = shard.give_way(yielding, &ended);
        shard.trim(&owner, self.log_limit);
        now(over)
    }

    fn find(&self, query: Query) -> Answer<'_, Vec<Record>> {
        let found = match &query.owner {
            Some(owner) => self.shard(&owner_tag(owner)).find(&query),
            None => self.shards.iter().flat_map(|shard| unpoisoned(shard).find(&query)).collect(),
        };
        now(query.page(found))
    }
}
