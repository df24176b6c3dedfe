//! What a shard forgets, and when: what is too much for the log, and what nobody will ask for again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::shard::Shard;
#[cfg(feature = "sqlite")]
use super::{key::RecordKey, record::SessionRecord};
use crate::{
    limit::Limit,
    time::{Timestamp, hours},
};

/// A shard is swept at most this often, by a login that comes by.
const SWEEP_EVERY: Duration = hours(1);

/// Ended records that are not kept in the log are remembered this long, so that a late visitor still
/// learns why.
pub(crate) const REMEMBER_ENDED: Duration = hours(24);

/// And no more of them than these of each user: to sign in and out again and again costs nothing.
const REMEMBER_MOST: usize = 1_000;

/// Nothing is remembered for longer than this after its last use, whatever the policy.
const REMEMBER_UNUSED: Duration = hours(24 * 90);

impl Shard {
    /// Takes the oldest ended records of `user` out of the log. They are remembered until the next
    /// sweep after a day, because their browsers don't know yet why they are out.
    pub(crate) fn trim(&mut self, user: &str, limit: Limit<u32>) {
        let (Limit::At(limit), Some(user)) = (limit, self.users.get_mut(user)) else { return };
        let past = user.keys.len().saturating_sub(user.open as usize);
        let mut surplus = past.saturating_sub(limit as usize);
        let first = user.keys.first().and_then(|key| self.records.get(key));
        let Some(name) = first.filter(|_| surplus > 0).map(|record| Arc::clone(&record.user))
        else {
            return;
        };
        let (records, fading) = (&mut self.records, self.fading.entry(name).or_default());
        user.keys.retain(|key| {
            let past = records.get(key).is_none_or(|record| record.ended.is_some());
            let drop = past && surplus > 0;
            if drop {
                surplus -= 1;
                fading.push_back(*key);
            }
            !drop
        });
        let too_many = fading.len().saturating_sub(REMEMBER_MOST);
        fading.drain(..too_many).for_each(|key| drop(records.remove(&key)));
    }

    /// Whether it is time to [sweep](Self::sweep).
    pub(crate) fn must_sweep(&mut self, now: Timestamp) -> bool {
        // The last sweep may lie in the future of a clock that has since been set back.
        let swept_at = self.swept_at.unwrap_or(now).min(now);
        self.swept_at = Some(swept_at);
        now.since(swept_at) >= SWEEP_EVERY
    }

    /// The open records that the next [sweep](Self::sweep) forgets.
    #[cfg(feature = "sqlite")]
    pub(crate) fn unused(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (RecordKey, &SessionRecord)> {
        let open = self.records.iter().filter(|(_, record)| record.ended.is_none());
        open.filter(move |(_, record)| now.since(record.last_seen) >= REMEMBER_UNUSED)
            .map(|(key, record)| (*key, &**record))
    }

    /// Forgets what nobody will ask for again.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        self.swept_at = Some(now);
        let before = self.records.len();
        let logged: HashSet<_> = self.users.values().flat_map(|user| &user.keys).collect();
        self.records.retain(|key, record| {
            let age = now.since(record.ended.as_ref().map_or(record.last_seen, |ended| ended.at));
            age < REMEMBER_ENDED
                || age < REMEMBER_UNUSED && (record.ended.is_none() || logged.contains(key))
        });
        if self.records.len() == before {
            return;
        }
        let records = &self.records;
        self.fading.retain(|_, keys| {
            keys.retain(|key| records.contains_key(key));
            !keys.is_empty()
        });
        self.users.retain(|_, user| {
            user.keys.retain(|key| records.contains_key(key));
            let open =
                user.keys.iter().filter_map(|key| records.get(key)).filter(|r| r.ended.is_none());
            user.open = u32::try_from(open.count()).unwrap_or(u32::MAX);
            !user.keys.is_empty()
        });
    }
}
