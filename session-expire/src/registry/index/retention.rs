//! Retention: how long a shard keeps what has ended.

use std::{sync::Arc, time::Duration};

use super::shard::{Entry, Shard};
use crate::{
    policy::limit::Limit,
    session::{key::RecordKey, record::SessionRecord},
    time::{Timestamp, hours},
};

/// A shard is purged at most this often, by a login.
const PURGE_INTERVAL: Duration = hours(1);

/// A tombstone gives the reason of an end for this long.
pub(crate) const TOMBSTONE_AGE: Duration = hours(24);

/// Most tombstones of one user: to sign in and out again and again costs nothing.
const MAX_TOMBSTONES: usize = 1_000;

/// Ended records are shown for this long, and unused open ones are kept for this long, whatever the
/// policy.
const HISTORY_AGE: Duration = hours(24 * 90);

impl Shard {
    /// Takes the oldest logins of `user` out of the history until `limit` remain. They stay as
    /// tombstones.
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
                tombstones.push_back(oldest); // An old cookie could be adopted again without it.
            } else {
                self.entries.remove(&oldest);
            }
        }
    }

    /// Returns `true` if it is time to [purge](Self::purge).
    pub(crate) fn needs_purge(&mut self, now: Timestamp) -> bool {
        // The last purge may lie in the future of a clock that has since been set back.
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

    /// Deletes what no request needs any more.
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

    /// Makes tombstones of what is too old for the history.
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
                let is_kept = entries.get(key).is_some_and(|e| is_tombstone(&e.record, now));
                if !is_kept {
                    entries.remove(key);
                }
                is_kept
            });
            !keys.is_empty()
        });
    }
}

/// Returns `true` for an open record that no request has used for too long.
fn is_unused(record: &SessionRecord, now: Timestamp) -> bool {
    record.ended.is_none()
        && now.since(record.last_seen) >= HISTORY_AGE
        && record.tombstone_until.is_none_or(|until| until <= now)
}

/// Returns `true` while an ended record gives the reason of its end.
fn is_tombstone(record: &SessionRecord, now: Timestamp) -> bool {
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
        session::{login::NewLogin, reason::Reason, record::Ended, update::SessionUpdate},
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
        let [pruned, kept] = [open(&mut shard, None), open(&mut shard, None)];
        let adopted = open(&mut shard, Some(NOON.plus(hours(24 * 200)))).key;
        let rotation =
            KeyRotation::new(kept_ref(&shard, kept.key), kept.key, SessionUpdate::new(NOON));
        let (_, writes) = shard.decide_rotation(&rotation);
        shard.apply(writes);
        // All logins are of the same moment: the history keeps the greatest id.
        let mut past = [(pruned.id, pruned.key), (kept.id, rotation.to)];
        past.sort_by_key(|(id, _)| *id);
        for (_, key) in past {
            end(&mut shard, key, NOON.plus(minutes(1)));
        }
        end(&mut shard, adopted, NOON.plus(minutes(1)));
        let in_history = shard.users["alice"].history[0].1;
        let keys = [unused, kept.key, past[0].1, past[1].1, adopted];
        for (after, kept) in [
            (hours(23), [true; 5]),
            (hours(25), [true, false, in_history == past[0].1, in_history == past[1].1, true]),
            (hours(24 * 89), [true, false, in_history == past[0].1, in_history == past[1].1, true]),
            (hours(24 * 91), [false, false, false, false, true]),
            (hours(24 * 201), [false; 5]),
        ] {
            shard.purge(NOON.plus(after));
            assert_eq!(keys.map(|key| shard.record(&key).is_some()), kept, "after {after:?}");
        }
        assert_eq!((shard.len(), shard.users.len(), shard.tombstones.len()), (0, 0, 0));
    }

    fn kept_ref(shard: &Shard, key: RecordKey) -> crate::session::record::SessionRef {
        shard.record(&key).unwrap().session_ref()
    }

    #[test]
    fn many_tombstones_keep_the_newest_and_the_adopted() {
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
    fn purge_continues_after_the_clock_was_set_back() {
        let mut shard = Shard::default();
        shard.purge(NOON.plus(hours(1_000)));
        assert!(!shard.needs_purge(NOON));
        assert!(!shard.needs_purge(NOON.plus(minutes(59))));
        assert!(shard.needs_purge(NOON.plus(minutes(60))));
    }
}
