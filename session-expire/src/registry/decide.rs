//! Decisions about the records of a shard. A decision changes nothing: it returns a write set.

use std::sync::Arc;

use super::{
    data::SessionData,
    end::{EndSessions, EndTarget},
    key::{PublicId, RecordKey},
    login::{NewLogin, Reservation},
    record::{Ended, SessionRecord, SessionRef, SessionUpdate, UpdateOutcome},
    room::{OpenSession, SessionLimit},
    rotation::{KeyRotation, RotationOutcome},
    shard::{Entry, Shard},
    write_set::{AdoptionClosing, EntryUpdate, NewEntry, WriteSet},
};
use crate::time::Timestamp;

/// Decision about a reservation.
pub(crate) enum ReserveDecision {
    /// The slot is held, with these changes.
    Reserve(WriteSet),
    /// The session limit is reached.
    Refuse {
        /// The active sessions, oldest login first.
        active: Vec<SessionRecord>,
    },
}

/// Decision about a login.
pub(crate) enum LoginDecision {
    /// The record is created, with these changes.
    Commit(Box<WriteSet>),
    /// The login was committed before: this is its record.
    Committed(Box<SessionRecord>),
    /// The session limit is reached.
    Refuse {
        /// The active sessions, oldest login first.
        active: Vec<SessionRecord>,
    },
    /// Sessions of this user can no longer be adopted.
    AdoptionClosed,
}

impl Shard {
    /// Decides [`Registry::reserve`](super::Registry::reserve).
    pub(crate) fn decide_reserve(&self, reservation: &Reservation) -> ReserveDecision {
        let Reservation { key, user, at, replaces, limit, .. } = reservation;
        if self.record(key).is_some() {
            return ReserveDecision::Reserve(WriteSet::default());
        }
        let others = self.counted_sessions(user, *replaces, *at);
        if limit.refuses(&others, self.reserved_by_others(user, key, *at)) {
            return ReserveDecision::Refuse { active: self.active_records(&others) };
        }
        let reserves = Some(reservation.clone());
        ReserveDecision::Reserve(WriteSet { reserves, ..WriteSet::default() })
    }

    /// Decides [`Registry::commit`](super::Registry::commit).
    pub(crate) fn decide_commit(&mut self, mut login: NewLogin) -> LoginDecision {
        if let Some(record) = self.record(&login.key) {
            return LoginDecision::Committed(Box::new(record.clone()));
        }
        if login.adopted_until.is_some() && self.is_adoption_closed(&login.user, login.at) {
            return LoginDecision::AdoptionClosed;
        }
        let others = self.other_sessions(&login);
        if self.refuses(&login, &others) {
            return LoginDecision::Refuse { active: self.active_records(&others) };
        }
        login.client.device = self.intern(&login.client.device);
        LoginDecision::Commit(Box::new(self.commit(login, others)))
    }

    /// Decides [`Registry::cancel`](super::Registry::cancel).
    pub(crate) fn decide_cancel(&self, key: RecordKey, ended: &Ended) -> WriteSet {
        let is_open = self.record(&key).is_some_and(|record| record.ended.is_none());
        let is_reserved = self.reservations.iter().any(|reservation| reservation.key == key);
        WriteSet {
            ends: is_open.then(|| (key, ended.clone())).into_iter().collect(),
            releases: is_reserved.then_some(key),
            ..WriteSet::default()
        }
    }

    /// Decides [`Registry::update`](super::Registry::update).
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

    /// Decides [`Registry::rotate`](super::Registry::rotate).
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
        if let Some(id) = rotation.reauthenticated_as {
            updated.record.reauthenticate(id, now);
        }
        updated.rotates_to = Some((rotation.to, now));
        (RotationOutcome::Rotated, WriteSet { updates: Some(updated), ..WriteSet::default() })
    }

    /// Decides [`Registry::end`](super::Registry::end).
    pub(crate) fn decide_end(&self, end: &EndSessions) -> WriteSet {
        let user = end.target.user();
        if let EndTarget::Others(kept) = &end.target
            && self.open_entry(kept).is_none()
        {
            return WriteSet::default();
        }
        let is_target = |id: PublicId| match &end.target {
            EndTarget::Session(session) => id == session.id,
            EndTarget::Others(kept) => id != kept.id,
            EndTarget::All(_) => true,
        };
        let targets = self.open_keys(user).iter().filter(|(_, id)| is_target(*id));
        let closing = end.close_adoption_until;
        WriteSet {
            ends: targets.map(|(key, _)| (*key, end.ended.clone())).collect(),
            closes_adoption: closing.map(|until| AdoptionClosing::User(Arc::clone(user), until)),
            ..WriteSet::default()
        }
    }

    /// Decides [`Registry::enforce_limit`](super::Registry::enforce_limit).
    pub(crate) fn decide_limit(
        &self,
        session: &SessionRef,
        limit: SessionLimit,
        ended: &Ended,
    ) -> WriteSet {
        match self.open_entry(session) {
            Some((_, entry)) if !entry.record.uncounted => {
                let others = self.counted_sessions(&session.user, Some(session.id), ended.at);
                WriteSet { ends: evict(limit, others, ended), ..WriteSet::default() }
            }
            _ => WriteSet::default(),
        }
    }

    /// Decides [`Registry::end_everyone`](super::Registry::end_everyone) for the users of this shard.
    pub(crate) fn decide_end_everyone(&self, ended: &Ended) -> WriteSet {
        let open = self.users.values().flat_map(|sessions| &sessions.open);
        WriteSet {
            ends: open.map(|(key, _)| (*key, ended.clone())).collect(),
            closes_adoption: Some(AdoptionClosing::AllUsers),
            ..WriteSet::default()
        }
    }

    /// Decides [`Registry::erase`](super::Registry::erase). Adopted sessions leave no tombstone: their
    /// cookies must not be adopted a second time.
    pub(crate) fn decide_erase(&self, user: &Arc<str>) -> WriteSet {
        let keys = self.all_keys(user);
        let records = keys.iter().filter_map(|key| self.record(key));
        let adopted_until = records.filter_map(|record| record.tombstone_until).max();
        WriteSet {
            closes_adoption: adopted_until
                .map(|until| AdoptionClosing::User(Arc::clone(user), until)),
            erases: Some(Arc::clone(user)),
            ..WriteSet::default()
        }
    }

    fn commit(&self, login: NewLogin, others: Vec<OpenSession>) -> WriteSet {
        let mut ends = self.replaced(&login);
        ends.extend(evict(login.limit, others, &login.evicts()));
        let is_reserved = self.reservations.iter().any(|other| other.key == login.key);
        WriteSet {
            ends,
            releases: is_reserved.then_some(login.key),
            opens: Some(Box::new(NewEntry::new(login))),
            ..WriteSet::default()
        }
    }

    fn replaced(&self, login: &NewLogin) -> Vec<(RecordKey, Ended)> {
        let replaced = login.replaces.and_then(|(id, reason)| {
            let session = SessionRef { user: Arc::clone(&login.user), id };
            let (key, _) = self.open_entry(&session)?;
            Some((key, Ended::new(reason, login.at)))
        });
        replaced.into_iter().collect()
    }

    /// Returns the sessions that compete with `login` for slots; none while all slots suffice,
    /// because a user may have many sessions.
    fn other_sessions(&self, login: &NewLogin) -> Vec<OpenSession> {
        let open = self.counted_open(&login.user) as usize;
        let taken = open + self.reserved_by_others(&login.user, &login.key, login.at);
        if login.uncounted || taken < login.limit.max() {
            return vec![];
        }
        self.counted_sessions(&login.user, login.replaces.map(|(id, _)| id), login.at)
    }

    fn refuses(&self, login: &NewLogin, others: &[OpenSession]) -> bool {
        let reserved = self.reserved_by_others(&login.user, &login.key, login.at);
        !login.uncounted
            && !self.active_reservations(login.at).any(|own| own.key == login.key)
            && login.limit.refuses(others, reserved)
    }

    fn active_reservations(&self, now: Timestamp) -> impl Iterator<Item = &Reservation> {
        self.reservations.iter().filter(move |reservation| now < reservation.until)
    }

    /// Returns how many slots of `user` are held for other logins than `key`.
    fn reserved_by_others(&self, user: &str, key: &RecordKey, now: Timestamp) -> usize {
        let others = self.active_reservations(now).filter(|other| other.key != *key);
        others.filter(|other| *other.user == *user).count()
    }

    fn is_adoption_closed(&self, user: &str, now: Timestamp) -> bool {
        self.adoption_closed_for_all
            || self.adoption_closed.get(user).is_some_and(|until| now < *until)
    }
}

impl Entry {
    /// Returns the entry after an update; `None` if the data would exceed its limit.
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
    /// Returns `true` if this differs from `entry`.
    fn changes(&self, entry: &Entry) -> bool {
        self.record != *entry.record || self.data.as_ref().is_some_and(|data| *data != *entry.data)
    }
}

/// Returns the sessions that must end for one more session beside `others`, and how they end.
fn evict(
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
        facts::Reason,
        limit::Overflow,
        policy::Policy,
        registry::data::DataChanges,
        time::{minutes, seconds},
    };

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn login(policy: &Policy) -> NewLogin {
        NewLogin::new("alice", NOON, policy)
    }

    fn one(overflow: Overflow) -> Policy {
        Policy::new().max_sessions(1).overflow(overflow)
    }

    fn shard_with(login: &NewLogin) -> Shard {
        let mut shard = Shard::default();
        shard.open(NewEntry::new(login.clone()));
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
    fn decision_changes_nothing_until_applied() {
        let (first, second) = (login(&one(Overflow::Evict)), login(&one(Overflow::Evict)));
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
    fn reservation_takes_a_slot_until_its_deadline() {
        let (first, second) = (login(&one(Overflow::Refuse)), login(&one(Overflow::Refuse)));
        let mut shard = Shard::default();
        let ReserveDecision::Reserve(writes) =
            shard.decide_reserve(&first.reservation(NOON.plus(seconds(30))))
        else {
            panic!("refused");
        };
        shard.apply(writes);
        let mut commit_at = |after| {
            let at = NOON.plus(after);
            matches!(
                shard.decide_commit(NewLogin { at, ..second.clone() }),
                LoginDecision::Commit(_)
            )
        };
        assert!(!commit_at(seconds(30) - std::time::Duration::from_millis(1)));
        assert!(commit_at(seconds(30)));
    }

    #[test]
    fn uncounted_session_neither_evicts_nor_is_evicted() {
        let first = login(&one(Overflow::Evict));
        let second = NewLogin { uncounted: true, ..login(&one(Overflow::Evict)) };
        let third = login(&one(Overflow::Evict));
        let mut shard = shard_with(&first);
        let mut ended = vec![];
        for login in [second.clone(), third] {
            let LoginDecision::Commit(writes) = shard.decide_commit(login) else {
                panic!("not committed");
            };
            ended.extend(shard.apply(*writes).into_iter().map(|record| record.id));
        }
        assert_eq!(ended, [first.id]);
        let (limit, evicted) = (second.limit, second.evicts());
        assert!(shard.decide_limit(&session(&second), limit, &evicted).is_empty());
        assert_eq!(shard.counted_open("alice"), 1);
    }

    #[test]
    fn rotated_key_becomes_a_tombstone_without_data() {
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
