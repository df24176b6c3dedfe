//! Retention of ended and unused records in a shard.
//!
//! An ended record is first in the history and then a tombstone, which is deleted when no client
//! can need its reason any more. Logins purge their shard, at most once an hour.

use std::{collections::HashSet, time::Duration};

use super::{
    entries::{Class, Slot},
    shard::Shard,
    write_set::WriteSet,
};
use crate::{
    policy::limit::Limit,
    registry::query::Query,
    session::{key::RecordKey, record::SessionRecord},
    time::{Timestamp, hours},
};

/// Minimum time between two purges of a shard.
const PURGE_INTERVAL: Duration = hours(1);

/// Retention of a tombstone after the end of its session.
pub(crate) const TOMBSTONE_AGE: Duration = hours(24);

/// Maximum number of tombstones per user. Without it, repeated sign-ins and sign-outs of one user
/// could fill the memory.
const MAX_TOMBSTONES: usize = 1_000;

/// Limits of the history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryLimits {
    /// Maximum number of records per user.
    pub(crate) count: Limit<u32>,
    /// Maximum age of a record, counted from its end.
    pub(crate) age: Duration,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { count: Limit::At(20), age: hours(24 * 90) }
    }
}

impl Shard {
    /// Prunes the history of each user of `ended` once: it sorts the history, and a user may have
    /// many ended sessions.
    pub(crate) fn prune_users_of(&mut self, ended: &[SessionRecord], limit: Limit<u32>) {
        let users: HashSet<_> = ended.iter().map(|record| &record.user).collect();
        users.into_iter().for_each(|user| self.prune(user, limit));
    }

    /// Moves the oldest logins in the history of `user` to the tombstones until `limit` remain.
    pub(crate) fn prune(&mut self, user: &str, limit: Limit<u32>) {
        let Limit::At(limit) = limit else { return };
        let surplus = self.entries.count(user, Class::History).saturating_sub(limit);
        if surplus == 0 {
            return;
        }
        let mut history = self.numbers(user, Class::History, Query::cursor);
        history.truncate(surplus as usize);
        history.into_iter().for_each(|number| self.add_tombstone(number));
        self.limit_tombstones(user);
    }

    fn add_tombstone(&mut self, number: u32) {
        if let Some(slot) = self.entries.slot(number) {
            let entry = slot.entry.clone();
            self.entries.set_class(number, Class::Tombstone, entry);
        }
    }

    /// Deletes the oldest surplus tombstones of `user`. Those of adopted sessions stay: without
    /// them, an old cookie could be adopted a second time.
    pub(super) fn limit_tombstones(&mut self, user: &str) {
        if self.entries.count(user, Class::Tombstone) as usize <= MAX_TOMBSTONES {
            return;
        }
        let end = |record: &SessionRecord| record.ended.as_ref().map(|ended| ended.at);
        let tombstones = self.numbers(user, Class::Tombstone, end);
        let surplus = tombstones.len().saturating_sub(MAX_TOMBSTONES);
        let is_adopted = |number: u32| {
            self.entries.slot(number).is_some_and(|slot| slot.record().tombstone_until.is_some())
        };
        let deleted: Vec<_> =
            tombstones[..surplus].iter().copied().filter(|number| !is_adopted(*number)).collect();
        deleted.into_iter().for_each(|number| drop(self.entries.remove(number)));
    }

    /// Returns the entries of `user` in `class`, in the order of `by`.
    fn numbers<T: Ord>(
        &self,
        user: &str,
        class: Class,
        by: impl Fn(&SessionRecord) -> T,
    ) -> Vec<u32> {
        let entries = self.entries.in_class(user, class);
        let mut ordered: Vec<_> = entries.map(|(n, slot)| (by(slot.record()), n)).collect();
        ordered.sort_unstable();
        ordered.into_iter().map(|(_, number)| number).collect()
    }

    /// Returns `true` if a [purge](Self::purge) is due at `now`.
    pub(crate) fn needs_purge(&mut self, now: Timestamp) -> bool {
        // After the clock was set back, the last purge may be later than `now`.
        let purged_at = self.purged_at.unwrap_or(now).min(now);
        self.purged_at = Some(purged_at);
        now.since(purged_at) >= PURGE_INTERVAL
    }

    /// Returns the open records that are due to [leave](SessionRecord::leaves_at) at `now`.
    pub(crate) fn unused(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (RecordKey, &SessionRecord)> {
        let open = self.entries.iter().filter(|(_, slot)| slot.class.is_open());
        let records = open.map(|(_, slot)| (slot.key, slot.record()));
        records.filter(move |(_, record)| record.leaves_at() <= now)
    }

    /// Ends the records that no policy accepts any more, and deletes the records, reservations and
    /// closed adoptions whose retention has ended.
    pub(crate) fn purge(&mut self, now: Timestamp, history: HistoryLimits) {
        self.purged_at = Some(now);
        self.reservations.retain(|reservation| now < reservation.until);
        self.adoption_closed.retain(|_, until| now < *until);
        let unused: Vec<_> = self.unused(now).map(|(key, _)| key).collect();
        self.end_unused(unused, history.count);
        self.purge_ended(now, history.age);
    }

    /// Ends the open records of `user` that no policy accepts any more.
    pub(crate) fn end_unused_of(&mut self, user: &str, now: Timestamp, history: HistoryLimits) {
        let open = self.open_slots(user).filter(|slot| slot.record().leaves_at() <= now);
        let unused: Vec<_> = open.map(|slot| slot.key).collect();
        if !unused.is_empty() {
            self.end_unused(unused, history.count);
        }
    }

    fn end_unused(&mut self, unused: Vec<RecordKey>, limit: Limit<u32>) {
        let ends = unused.into_iter().filter_map(|key| Some((key, self.record(&key)?.final_end())));
        let ends = ends.collect();
        let ended = self.apply(WriteSet { ends, ..WriteSet::default() });
        self.prune_users_of(&ended, limit);
    }

    /// Moves records that are too old for the history to the tombstones, and deletes tombstones
    /// that are no longer needed.
    fn purge_ended(&mut self, now: Timestamp, age: Duration) {
        let ended = self.entries.iter().filter(|(_, slot)| !slot.class.is_open());
        let is_old =
            |slot: &Slot| slot.class == Class::Tombstone || ended_for(slot.record(), now) >= age;
        let old = ended.filter(|(_, slot)| is_old(slot));
        let (needed, surplus): (Vec<_>, Vec<_>) = old
            .map(|(number, slot)| (number, is_tombstone_needed(slot.record(), now)))
            .partition(|(_, is_needed)| *is_needed);
        needed.into_iter().for_each(|(number, _)| self.add_tombstone(number));
        surplus.into_iter().for_each(|(number, _)| drop(self.entries.remove(number)));
    }
}

/// Returns `true` while the tombstone of an ended record must be kept.
fn is_tombstone_needed(record: &SessionRecord, now: Timestamp) -> bool {
    ended_for(record, now) < TOMBSTONE_AGE
        || record.tombstone_until.is_some_and(|until| now < until)
}

fn ended_for(record: &SessionRecord, now: Timestamp) -> Duration {
    record.ended.as_ref().map_or(Duration::ZERO, |ended| now.since(ended.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{policy::Policy, registry::rotation::KeyRotation, time::minutes};
    use crate::{
        registry::index::write_set::{NewEntry, WriteSet},
        session::{ended::Ended, login::NewLogin, reason::Reason, update::SessionUpdate},
    };

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn open(shard: &mut Shard, at: Timestamp, adopted_until: Option<Timestamp>) -> NewLogin {
        let login = NewLogin { adopted_until, ..NewLogin::new("alice", at, &Policy::new()) };
        let record = shard.new_record(&login);
        shard.open(NewEntry::new(login.clone(), record));
        login
    }

    fn end(shard: &mut Shard, key: RecordKey, at: Timestamp) {
        let ends = vec![(key, Ended::new(Reason::LoggedOut, at))];
        shard.apply(WriteSet { ends, ..WriteSet::default() });
        shard.prune("alice", Limit::At(1));
    }

    #[test]
    fn ended_records_are_purged_by_age() {
        let mut shard = Shard::default();
        let unused = open(&mut shard, NOON, None).key;
        let pruned = open(&mut shard, NOON, None).key;
        let adopted = open(&mut shard, NOON, Some(NOON.plus(hours(24 * 200)))).key;
        let kept = open(&mut shard, NOON.plus(minutes(1)), None);
        let session = shard.record(&kept.key).unwrap().session_ref();
        let update = SessionUpdate::new(NOON.plus(minutes(1)));
        let rotation = KeyRotation::new(session, kept.key, update);
        let (_, writes) = shard.decide_rotation(&rotation);
        shard.apply(writes);
        for key in [pruned, adopted, rotation.to] {
            end(&mut shard, key, NOON.plus(minutes(1)));
        }
        let keys = [unused, kept.key, pruned, rotation.to, adopted];
        for (after, expected) in [
            (hours(23), [true; 5]),
            (hours(25), [true, false, false, true, true]),
            (hours(24 * 89), [true, false, false, true, true]),
            (hours(24 * 91), [false, false, false, false, true]),
            (hours(24 * 201), [false; 5]),
        ] {
            shard.purge(NOON.plus(after), HistoryLimits::default());
            assert_eq!(keys.map(|key| shard.record(&key).is_some()), expected, "after {after:?}");
        }
        assert_eq!((shard.len(), shard.open), (0, 0));
    }

    #[test]
    fn surplus_tombstones_are_deleted_except_adopted_ones() {
        let mut shard = Shard::default();
        let adopted = open(&mut shard, NOON, Some(NOON.plus(hours(24 * 200)))).key;
        end(&mut shard, adopted, NOON);
        let first = open(&mut shard, NOON, None).key;
        end(&mut shard, first, NOON);
        for _ in 0..MAX_TOMBSTONES + 5 {
            let key = open(&mut shard, NOON, None).key;
            end(&mut shard, key, NOON);
        }
        assert!(shard.record(&adopted).is_some());
        assert!(shard.len() <= MAX_TOMBSTONES + 2, "{}", shard.len());
    }

    #[test]
    fn purge_is_due_an_hour_after_the_clock_was_set_back() {
        let mut shard = Shard::default();
        shard.purge(NOON.plus(hours(1_000)), HistoryLimits::default());
        assert!(!shard.needs_purge(NOON));
        assert!(!shard.needs_purge(NOON.plus(minutes(59))));
        assert!(shard.needs_purge(NOON.plus(minutes(60))));
    }
}
