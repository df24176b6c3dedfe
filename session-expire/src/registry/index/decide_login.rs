//! Decisions about logins: reservation, commit and cancellation.
//!
//! A decision changes no record and returns a write set. The memory registry applies it.

use std::sync::Arc;

use super::{
    decide::evictions,
    shard::Shard,
    write_set::{NewEntry, WriteSet},
};
use crate::{
    session::{
        ended::Ended,
        key::{RecordKey, user_hash},
        limit::OpenSession,
        login::{NewLogin, Reservation},
        record::{SessionRecord, SessionRef},
    },
    time::Timestamp,
};

/// Decision about a reservation.
pub(crate) enum ReserveDecision {
    /// The slot is free; these changes reserve it.
    Reserve(WriteSet),
    /// The session limit is reached.
    Refuse {
        /// Active sessions of the user, oldest login first.
        active: Vec<SessionRecord>,
    },
}

/// Decision about a login.
pub(crate) enum LoginDecision {
    /// These changes create the record.
    Commit(Box<WriteSet>),
    /// The same login was committed before; this is its record.
    Committed(Box<SessionRecord>),
    /// The session limit is reached.
    Refuse {
        /// Active sessions of the user, oldest login first.
        active: Vec<SessionRecord>,
    },
    /// Sessions of this user can no longer be adopted.
    AdoptionClosed,
    /// All sessions were ended after the slot was reserved.
    Voided,
}

impl Shard {
    /// Decides [`Registry::reserve`](crate::registry::Registry::reserve).
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

    /// Decides [`Registry::commit`](crate::registry::Registry::commit).
    pub(crate) fn decide_commit(&mut self, mut login: NewLogin) -> LoginDecision {
        if let Some(record) = self.record(&login.key) {
            return LoginDecision::Committed(Box::new(record.clone()));
        }
        if login.reserved_in.is_some_and(|generation| generation < self.generation) {
            return LoginDecision::Voided;
        }
        if login.adopted_until.is_some() && self.is_adoption_closed(&login.user, login.at) {
            return LoginDecision::AdoptionClosed;
        }
        let others = self.other_sessions(&login);
        if self.refuses(&login, &others) {
            return LoginDecision::Refuse { active: self.active_records(&others) };
        }
        login.client.device = self.intern(&login.client.device);
        LoginDecision::Commit(Box::new(self.commit_writes(login, others)))
    }

    /// Decides [`Registry::cancel`](crate::registry::Registry::cancel).
    pub(crate) fn decide_cancel(&self, key: RecordKey, ended: &Ended) -> WriteSet {
        let is_open = self.record(&key).is_some_and(|record| record.ended.is_none());
        let is_reserved = self.reservations.iter().any(|reservation| reservation.key == key);
        WriteSet {
            ends: is_open.then(|| (key, ended.clone())).into_iter().collect(),
            releases: is_reserved.then_some(key),
            ..WriteSet::default()
        }
    }

    fn commit_writes(&self, login: NewLogin, others: Vec<OpenSession>) -> WriteSet {
        let mut ends: Vec<_> = self.replaced_session(&login).into_iter().collect();
        ends.extend(evictions(login.limit, others, &login.eviction()));
        let is_reserved = self.reservations.iter().any(|other| other.key == login.key);
        let (key, record) = (login.key, self.new_record(&login));
        let entry = NewEntry::new(login, record);
        WriteSet {
            ends,
            releases: is_reserved.then_some(key),
            opens: Some(Box::new(entry)),
            ..WriteSet::default()
        }
    }

    fn replaced_session(&self, login: &NewLogin) -> Option<(RecordKey, Ended)> {
        let (id, reason) = login.replaces?;
        let session = SessionRef { user: Arc::clone(&login.user), id };
        let (key, _) = self.open_entry(&session)?;
        Some((key, Ended::new(reason, login.at)))
    }

    /// Returns the sessions that compete with `login` for slots. If a slot is free it returns none
    /// without reading the records, of which a user may have many.
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

    /// Returns how many slots of `user` are reserved for other logins than `key`.
    fn reserved_by_others(&self, user: &str, key: &RecordKey, now: Timestamp) -> usize {
        let others = self.active_reservations(now).filter(|other| other.key != *key);
        others.filter(|other| *other.user == *user).count()
    }

    fn is_adoption_closed(&self, user: &str, now: Timestamp) -> bool {
        self.generation > 0
            || self.adoption_closed.get(&user_hash(user)).is_some_and(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::limit::Overflow;
    use crate::{policy::Policy, time::seconds};

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    #[test]
    fn reservation_takes_a_slot_until_its_deadline() {
        let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
        let [first, second] = [(); 2].map(|()| NewLogin::new("alice", NOON, &policy));
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
}
