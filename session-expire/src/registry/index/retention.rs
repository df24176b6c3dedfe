//! Retention of ended and unused records in a shard.
//!
//! An ended record is first in the history and then a tombstone, which is deleted when no client
//! can need its reason any more. Logins purge their shard, at most once an hour.

use std::{sync::Arc, time::Duration};

use super::shard::{Entry, Shard};
use crate::{
    policy::limit::Limit,
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

/// Retention of ended records in the history, and of open records without activity.
const HISTORY_AGE: Duration = hours(24 * 90);

impl Shard {
    /// Moves the oldest logins in the history of `user` to the tombstones until `limit` remain.
    pub(crate) fn prune(&mut self, user: &str, limit: Limit<u32>) {
        let (Limit::At(limit), Some(sessions)) = (limit, self.users.get_mut(user)) else { return };
        let surplus = sessions.history.len().saturating_sub(limit as usize);
        let pruned: Vec<_> = sessions.history.drain(..surplus).map(|(_, key)| key).collect();
        self.add_tombstones(pruned);
    }

    fn add_tombstones(&mut self, keys: Vec<RecordKey>) {
        let first = keys.first().and_then(|key| self.record(key));
        let Some(user) = first.map(|record| Arc::clone(&record.user)) else { return };
        let tombstones = self.tombstones.entry(user).or_default();
        tombstones.extend(keys);
        for _ in MAX_TOMBSTONES..tombstones.len() {
            let Some(oldest) = tombstones.pop_front() else { return };
            let entry = self.entries.get(&oldest);
            if entry.is_some_and(|entry| entry.record.tombstone_until.is_some()) {
                // Without this tombstone an old cookie could be adopted a second time.
                tombstones.push_back(oldest);
            } else {
                self.entries.remove(&oldest);
            }
        }
    }

    /// Returns `true` if a [purge](Self::purge) is due at `now`.
    pub(crate) fn needs_purge(&mut self, now: Timestamp) -> bool {
        // After the clock was set back, the last purge may be later than `now`.
        let purged_at = self.purged_at.unwrap_or(now).min(now);
        self.purged_at = Some(purged_at);
        now.since(purged_at) >= PURGE_INTERVAL
    }

    /// Returns the open records that the next [purge](Self::purge) deletes.
    pub(crate) fn unused(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (RecordKey, &SessionRecord)> {
        let records = self.entries.iter().map(|(key, entry)| (*key, &*entry.record));
        records.filter(move |(_, record)| is_unused(record, now))
    }

    /// Deletes the records, reservations and closed adoptions whose retention has ended.
    pub(crate) fn purge(&mut self, now: Timestamp) {
        self.purged_at = Some(now);
        self.reservations.retain(|reservation| now < reservation.until);
        self.adoption_closed.retain(|_, until| now < *until);
        self.purge_open(now);
        self.purge_history(now);
        self.purge_tombstones(now);
        self.users.retain(|_, user| !user.open.is_empty() || !user.history.is_empty());
    }

    fn purge_open(&mut self, now: Timestamp) {
        let unused: Vec<_> = self.unused(now).map(|(key, _)| key).collect();
        for key in unused {
            let Some(Entry { record, .. }) = self.entries.remove(&key) else { continue };
            if let Some(sessions) = self.users.get_mut(&record.user) {
                sessions.remove_open(&key, &record);
            }
        }
    }

    /// Moves records that are too old for the history to the tombstones.
    fn purge_history(&mut self, now: Timestamp) {
        let (entries, tombstones) = (&self.entries, &mut self.tombstones);
        for (user, sessions) in &mut self.users {
            let is_old = |key: &RecordKey| {
                entries.get(key).is_none_or(|entry| ended_for(&entry.record, now) >= HISTORY_AGE)
            };
            let old = sessions.history.extract_if(.., |(_, key)| is_old(key));
            let old: Vec<_> = old.map(|(_, key)| key).collect();
            if !old.is_empty() {
                tombstones.entry(Arc::clone(user)).or_default().extend(old);
            }
        }
    }

    fn purge_tombstones(&mut self, now: Timestamp) {
        let entries = &mut self.entries;
        self.tombstones.retain(|_, keys| {
            keys.retain(|key| {
                let is_needed =
                    entries.get(key).is_some_and(|entry| is_tombstone_needed(&entry.record, now));
                if !is_needed {
                    entries.remove(key);
                }
                is_needed
            });
            !keys.is_empty()
        });
    }
}

/// Returns `true` if `record` is open and had no activity during [`HISTORY_AGE`].
fn is_unused(record: &SessionRecord, now: Timestamp) -> bool {
    record.ended.is_none()
        && now.since(record.last_seen) >= HISTORY_AGE
        && record.tombstone_until.is_none_or(|until| until <= now)
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

    fn open(shard: &mut Shard, adopted_until: Option<Timestamp>) -> NewLogin {
        let login = NewLogin { adopted_until, ..NewLogin::new("alice", NOON, &Policy::new()) };
        shard.open(NewEntry::new(login.clone()));
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
        let unused = open(&mut shard, None).key;
        let [plain, rotated] = [open(&mut shard, None), open(&mut shard, None)];
        let adopted = open(&mut shard, Some(NOON.plus(hours(24 * 200)))).key;
        let session = shard.record(&rotated.key).unwrap().session_ref();
        let rotation = KeyRotation::new(session, rotated.key, SessionUpdate::new(NOON));
        let (_, writes) = shard.decide_rotation(&rotation);
        shard.apply(writes);
        // All logins have the same time: the history keeps the greatest id.
        let mut ended = [(plain.id, plain.key), (rotated.id, rotation.to)];
        ended.sort_by_key(|(id, _)| *id);
        let ended = ended.map(|(_, key)| key);
        for key in ended {
            end(&mut shard, key, NOON.plus(minutes(1)));
        }
        end(&mut shard, adopted, NOON.plus(minutes(1)));
        let in_history = ended.map(|key| shard.users["alice"].history[0].1 == key);
        let keys = [unused, rotated.key, ended[0], ended[1], adopted];
        for (after, expected) in [
            (hours(23), [true; 5]),
            (hours(25), [true, false, in_history[0], in_history[1], true]),
            (hours(24 * 89), [true, false, in_history[0], in_history[1], true]),
            (hours(24 * 91), [false, false, false, false, true]),
            (hours(24 * 201), [false; 5]),
        ] {
            shard.purge(NOON.plus(after));
            assert_eq!(keys.map(|key| shard.record(&key).is_some()), expected, "after {after:?}");
        }
        assert_eq!((shard.len(), shard.users.len(), shard.tombstones.len()), (0, 0, 0));
    }

    #[test]
    fn surplus_tombstones_are_deleted_except_adopted_ones() {
        let mut shard = Shard::default();
        let adopted = open(&mut shard, Some(NOON.plus(hours(24 * 200)))).key;
        end(&mut shard, adopted, NOON);
        let first = open(&mut shard, None).key;
        end(&mut shard, first, NOON);
        for _ in 0..MAX_TOMBSTONES + 5 {
            let key = open(&mut shard, None).key;
            end(&mut shard, key, NOON);
        }
        assert!(shard.record(&adopted).is_some());
        assert!(shard.len() <= MAX_TOMBSTONES + 2, "{}", shard.len());
    }

    #[test]
    fn purge_is_due_an_hour_after_the_clock_was_set_back() {
        let mut shard = Shard::default();
        shard.purge(NOON.plus(hours(1_000)));
        assert!(!shard.needs_purge(NOON));
        assert!(!shard.needs_purge(NOON.plus(minutes(59))));
        assert!(shard.needs_purge(NOON.plus(minutes(60))));
    }
}
