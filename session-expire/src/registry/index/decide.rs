//! Decisions about existing sessions: updates, rotations and ends.
//!
//! A decision changes nothing and returns a write set. The memory registry applies it.

use std::sync::Arc;

use super::{
    entries::Entry,
    shard::Shard,
    write_set::{AdoptionClosing, EntryUpdate, WriteSet},
};
use crate::{
    registry::{
        end::{EndSessions, EndTarget},
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        data::SessionData,
        ended::Ended,
        key::{PublicId, RecordKey},
        limit::{OpenSession, SessionLimit},
        record::{SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
};

impl Shard {
    /// Decides [`Registry::update`](crate::registry::Registry::update).
    pub(crate) fn decide_update(
        &self,
        session: &SessionRef,
        update: &SessionUpdate,
    ) -> (UpdateOutcome, WriteSet) {
        let Some((key, entry)) = self.open_entry(session) else {
            return (UpdateOutcome::Ended, WriteSet::default());
        };
        match entry.updated(key, update) {
            None => (UpdateOutcome::TooLarge, WriteSet::default()),
            Some(updated) => {
                let updates = Some(updated).filter(|updated| updated.changes(entry));
                (UpdateOutcome::Updated, WriteSet { updates, ..WriteSet::default() })
            }
        }
    }

    /// Decides [`Registry::rotate`](crate::registry::Registry::rotate).
    pub(crate) fn decide_rotation(&self, rotation: &KeyRotation) -> (RotationOutcome, WriteSet) {
        let Some((key, entry)) = self.open_entry(&rotation.session) else {
            return (RotationOutcome::Ended, WriteSet::default());
        };
        let Some(mut updated) = entry.updated(key, &rotation.update) else {
            return (RotationOutcome::TooLarge, WriteSet::default());
        };
        if key != rotation.from {
            let updates = Some(updated).filter(|updated| updated.changes(entry));
            return (RotationOutcome::Lost, WriteSet { updates, ..WriteSet::default() });
        }
        let now = rotation.update.now;
        updated.record.rotate_key(rotation.reauthenticated_as, now);
        updated.rotates_to = Some((rotation.to, now));
        (RotationOutcome::Rotated, WriteSet { updates: Some(updated), ..WriteSet::default() })
    }

    /// Decides
    /// [`Registry::count_confirmation_attempt`](crate::registry::Registry::count_confirmation_attempt).
    /// Also returns the resulting record, if the session is open.
    pub(crate) fn decide_failed_confirmation(
        &self,
        session: &SessionRef,
        ended: Ended,
    ) -> (Option<SessionRecord>, WriteSet) {
        let Some((key, entry)) = self.open_entry(session) else {
            return (None, WriteSet::default());
        };
        let mut record = SessionRecord::clone(&entry.record);
        record.count_confirmation_attempt(ended);
        let mut open = record.clone();
        let ends = open.ended.take().map(|ended| (key, ended)).into_iter().collect();
        let update = EntryUpdate { key, record: open, data: None, rotates_to: None };
        let updates = Some(Box::new(update));
        (Some(record), WriteSet { ends, updates, ..WriteSet::default() })
    }

    /// Decides [`Registry::end`](crate::registry::Registry::end).
    pub(crate) fn decide_end(&self, end: &EndSessions) -> WriteSet {
        let user = end.target.user();
        if let EndTarget::Others(session) = &end.target
            && self.open_entry(session).is_none()
        {
            return WriteSet::default();
        }
        let is_target = |id: PublicId| match &end.target {
            EndTarget::Session(session) => id == session.id,
            EndTarget::Others(session) => id != session.id,
            EndTarget::All(_) => true,
        };
        let targets = self.open_keys(user).into_iter().filter(|(_, id)| is_target(*id));
        let closing = end.close_adoption_until;
        let voids_tickets = end.target.voids_tickets().then(|| Arc::clone(user));
        WriteSet {
            ends: targets.map(|(key, _)| (key, end.ended.clone())).collect(),
            voids_tickets,
            closes_adoption: closing.map(|until| AdoptionClosing { user: Arc::clone(user), until }),
            ..WriteSet::default()
        }
    }

    /// Decides [`Registry::enforce_limit`](crate::registry::Registry::enforce_limit).
    pub(crate) fn decide_limit(
        &self,
        session: &SessionRef,
        limit: SessionLimit,
        ended: &Ended,
    ) -> WriteSet {
        match self.open_entry(session) {
            Some((_, entry)) if !entry.record.uncounted => {
                let others = self.counted_sessions(&session.user, &[Some(session.id)], ended.at);
                WriteSet { ends: evictions(limit, others, ended), ..WriteSet::default() }
            }
            _ => WriteSet::default(),
        }
    }

    /// Decides [`Registry::erase`](crate::registry::Registry::erase).
    ///
    /// Adoption is closed for the user, because the tombstones of adopted sessions are deleted:
    /// otherwise a cookie could be adopted a second time.
    pub(crate) fn decide_erase(&self, user: &Arc<str>) -> WriteSet {
        let records = self.entries.of_user(user).map(|(_, slot)| slot.record());
        let adopted_until = records.filter_map(|record| record.tombstone_until).max();
        WriteSet {
            closes_adoption: adopted_until
                .map(|until| AdoptionClosing { user: Arc::clone(user), until }),
            erases: Some(Arc::clone(user)),
            ..WriteSet::default()
        }
    }
}

impl Entry {
    /// Returns the entry after `update`; `None` if the data would exceed its maximum size.
    fn updated(&self, key: RecordKey, update: &SessionUpdate) -> Option<Box<EntryUpdate>> {
        let mut record = SessionRecord::clone(&self.record);
        record.update(update);
        let data = match update.data.is_empty() {
            true => None,
            false => {
                let mut data = SessionData::clone(&self.data);
                data.apply(&update.data).ok()?;
                Some(data)
            }
        };
        Some(Box::new(EntryUpdate { key, record, data, rotates_to: None }))
    }
}

impl EntryUpdate {
    /// Returns `true` if the update differs from `entry`.
    fn changes(&self, entry: &Entry) -> bool {
        self.record != *entry.record || self.data.as_ref().is_some_and(|data| *data != *entry.data)
    }
}

/// Returns the sessions among `others` that must end to free a slot, and the end to record for
/// each.
pub(super) fn evictions(
    limit: SessionLimit,
    others: Vec<OpenSession>,
    evicted: &Ended,
) -> Vec<(RecordKey, Ended)> {
    let victims = limit.select_victims(others).into_iter();
    victims.map(|session| (session.key, session.end(evicted))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::Policy,
        time::{Timestamp, minutes},
    };
    use crate::{
        policy::limit::Overflow,
        registry::index::{decide_login::LoginDecision, write_set::NewEntry},
        session::{data::DataChanges, login::NewLogin, reason::Reason},
    };

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn login(policy: &Policy) -> NewLogin {
        NewLogin::new("alice", NOON, policy)
    }

    fn one_session(overflow: Overflow) -> Policy {
        Policy::new().max_sessions(1).overflow(overflow)
    }

    fn shard_with(login: &NewLogin) -> Shard {
        let mut shard = Shard::default();
        let record = shard.new_record(login);
        shard.open(NewEntry::new(login.clone(), record));
        shard
    }

    fn session(login: &NewLogin) -> SessionRef {
        SessionRecord::new(login).session_ref()
    }

    fn too_large() -> DataChanges {
        let mut changes = DataChanges::default();
        let text = format!("\"{}\"", "x".repeat(SessionData::MAX_BYTES));
        changes.set("large", serde_json::value::RawValue::from_string(text).unwrap());
        changes
    }

    #[test]
    fn shard_changes_only_when_the_write_set_is_applied() {
        let [first, second] = [(); 2].map(|()| login(&one_session(Overflow::Evict)));
        let mut shard = shard_with(&first);
        let LoginDecision::Commit(writes) = shard.decide_commit(second.clone()) else {
            panic!("not committed");
        };
        assert_eq!((shard.len(), shard.counted_open("alice")), (1, 1));
        let ended = shard.apply(*writes);
        assert_eq!(ended.iter().map(|record| record.id).collect::<Vec<_>>(), [first.id]);
        assert_eq!((shard.len(), shard.counted_open("alice")), (2, 1));
    }

    #[test]
    fn operation_without_effect_has_an_empty_write_set() {
        let first = login(&Policy::new());
        let shard = shard_with(&first);
        let unknown = SessionRef { id: PublicId::random(), ..session(&first) };
        let ended = Ended::new(Reason::Revoked, NOON);
        let same = SessionUpdate::new(NOON).active(NOON);
        let large = SessionUpdate { data: too_large(), ..same.clone() };
        let rotation = KeyRotation::new(unknown.clone(), first.key, same.clone());
        for (name, writes) in [
            ("cancel", shard.decide_cancel(RecordKey::random("alice"), &ended)),
            ("update unchanged", shard.decide_update(&session(&first), &same).1),
            ("update unknown", shard.decide_update(&unknown, &same).1),
            ("update too large", shard.decide_update(&session(&first), &large).1),
            ("rotate", shard.decide_rotation(&rotation).1),
            ("end", shard.decide_end(&EndSessions::new(EndTarget::Others(unknown), ended))),
        ] {
            assert!(writes.is_empty(), "{name}: {writes:?}");
        }
    }

    #[test]
    fn uncounted_session_neither_evicts_nor_is_evicted() {
        let [first, second, third] = [(); 3].map(|()| login(&one_session(Overflow::Evict)));
        let second = NewLogin { uncounted: true, ..second };
        let mut shard = shard_with(&first);
        let mut ended = vec![];
        for login in [second.clone(), third] {
            let LoginDecision::Commit(writes) = shard.decide_commit(login) else {
                panic!("not committed");
            };
            ended.extend(shard.apply(*writes).into_iter().map(|record| record.id));
        }
        assert_eq!(ended, [first.id]);
        let (limit, evicted) = (second.limit, second.eviction());
        assert!(shard.decide_limit(&session(&second), limit, &evicted).is_empty());
        assert_eq!(shard.counted_open("alice"), 1);
    }

    #[test]
    fn rotated_key_loads_a_tombstone_without_data() {
        let mut first = login(&Policy::new());
        let mut changes = DataChanges::default();
        changes.set("theme", serde_json::value::to_raw_value("dark").unwrap());
        first.data.apply(&changes).unwrap();
        let mut shard = shard_with(&first);
        let now = NOON.plus(minutes(1));
        let rotation = KeyRotation::new(session(&first), first.key, SessionUpdate::new(now));
        let (outcome, writes) = shard.decide_rotation(&rotation);
        shard.apply(writes);
        assert_eq!(outcome, RotationOutcome::Rotated);
        let old = shard.load(&first.key, true).unwrap();
        assert_eq!(old.record.ended, Some(Ended::new(Reason::Renewed, now)));
        assert!(old.data.is_empty());
        let new = shard.load(&rotation.to, true).unwrap();
        assert_eq!((&*new.data, new.open, &new.record.ended), (&first.data, Some(1), &None));
        assert_eq!(shard.decide_rotation(&rotation).0, RotationOutcome::Lost);
    }

    #[test]
    fn erased_adopted_session_is_not_adopted_again() {
        let until = NOON.plus(minutes(5));
        let first = NewLogin { adopted_until: Some(until), ..login(&Policy::new()) };
        let mut shard = shard_with(&first);
        let writes = shard.decide_erase(&first.user);
        shard.apply(writes);
        assert_eq!(shard.len(), 0);
        for (at, closed) in [(NOON, true), (until, false)] {
            let decision = shard.decide_commit(NewLogin { at, ..first.clone() });
            assert_eq!(matches!(decision, LoginDecision::AdoptionClosed), closed, "{at:?}");
        }
    }
}
