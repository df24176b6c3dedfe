//! Decisions about logins: reservation, commit and cancellation.
//!
//! A decision changes no record and returns a write set. The memory registry applies it.

use std::sync::Arc;

use super::{
    decide::evictions,
    entries::Slot,
    shard::Shard,
    write_set::{NewEntry, WriteSet},
};
use crate::{
    session::{
        ended::Ended,
        key::{PublicId, RecordKey, user_hash},
        limit::{OpenSession, SessionLimit},
        login::ticket::Takeover,
        login::{NewLogin, Reservation},
        record::{SessionRecord, SessionRef},
    },
    time::Timestamp,
};

/// Decision about a reservation.
pub(crate) enum ReserveDecision {
    /// The slot is free; these changes reserve it.
    Reserve(Box<WriteSet>),
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
    /// The ticket of the login is unknown, spent or expired.
    TicketInvalid,
}

impl Shard {
    /// Decides [`Registry::reserve`](crate::registry::Registry::reserve).
    pub(crate) fn decide_reserve(&self, reservation: &Reservation) -> ReserveDecision {
        let Reservation { key, user, at, replaces, limit, uncounted, .. } = reservation;
        if self.record(key).is_some() {
            return ReserveDecision::Reserve(Box::default());
        }
        if *uncounted {
            return match self.refuses_uncounted(user, &[*replaces], *at) {
                Some(active) => ReserveDecision::Refuse { active },
                None => ReserveDecision::Reserve(Box::default()),
            };
        }
        let others = self.counted_sessions(user, &[*replaces], *at);
        if limit.refuses(&others, self.reserved_by_others(user, key, *at)) {
            return ReserveDecision::Refuse { active: self.active_records(&others) };
        }
        let reserves = Some(reservation.clone());
        ReserveDecision::Reserve(Box::new(WriteSet { reserves, ..WriteSet::default() }))
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
        if login.takeover.as_ref().is_some_and(|takeover| !self.has_ticket(&login, takeover)) {
            return LoginDecision::TicketInvalid;
        }
        let others = self.other_sessions(&login);
        if let Some(active) = self.refuses(&login, &others) {
            return LoginDecision::Refuse { active };
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
        let mut ends = self.ended_by_choice(&login);
        match login.uncounted {
            true => ends.extend(self.expired_uncounted(&login)),
            false => ends.extend(evictions(login.limit, others, &login.eviction())),
        }
        let is_reserved = self.reservations.iter().any(|other| other.key == login.key);
        let (key, record) = (login.key, self.new_record(&login));
        let spends_ticket = login.takeover.as_ref().map(|takeover| takeover.ticket);
        let entry = NewEntry::new(login, record);
        WriteSet {
            ends,
            releases: is_reserved.then_some(key),
            opens: Some(Box::new(entry)),
            spends_ticket,
            ..WriteSet::default()
        }
    }

    /// Returns the replaced session and that of the takeover, with their ends.
    fn ended_by_choice(&self, login: &NewLogin) -> Vec<(RecordKey, Ended)> {
        let replaced = login.replaces.map(|(id, reason)| (id, Ended::new(reason, login.at)));
        let taken = login.takeover.as_ref().map(|takeover| (takeover.session, &takeover.ended));
        let chosen = replaced.into_iter().chain(taken.map(|(id, ended)| (id, ended.clone())));
        let open = chosen.filter_map(|(id, ended)| {
            let session = SessionRef { user: Arc::clone(&login.user), id };
            self.open_entry(&session).map(|(key, _)| (key, ended))
        });
        open.collect()
    }

    fn has_ticket(&self, login: &NewLogin, takeover: &Takeover) -> bool {
        self.tickets.iter().any(|ticket| {
            ticket.key == takeover.ticket && ticket.user == login.user && login.at < ticket.until
        })
    }

    /// Returns the active uncounted sessions of `user` except those in `except`, oldest login
    /// first, if there are as many as allowed.
    fn refuses_uncounted(
        &self,
        user: &str,
        except: &[Option<PublicId>],
        now: Timestamp,
    ) -> Option<Vec<SessionRecord>> {
        let records = self.uncounted_slots(user).map(Slot::record);
        let active = records.filter(|record| {
            !except.contains(&Some(record.id)) && record.expiry_reason(now).is_none()
        });
        let mut active: Vec<_> = active.cloned().collect();
        active.sort_by_key(|record| record.logged_in_at);
        (active.len() >= SessionLimit::MAX_UNCOUNTED).then_some(active)
    }

    /// Returns the expired uncounted sessions, if as many uncounted sessions are open as may be
    /// active.
    fn expired_uncounted(&self, login: &NewLogin) -> Vec<(RecordKey, Ended)> {
        if self.uncounted_slots(&login.user).count() < SessionLimit::MAX_UNCOUNTED {
            return vec![];
        }
        let expired = self.uncounted_slots(&login.user).filter_map(|slot| {
            let reason = slot.record().expiry_reason(login.at)?;
            Some((slot.key, Ended::new(reason, login.at)))
        });
        expired.collect()
    }

    /// Returns the sessions that compete with `login` for slots. If a slot is free it returns none
    /// without reading the records, of which a user may have many.
    fn other_sessions(&self, login: &NewLogin) -> Vec<OpenSession> {
        let open = self.counted_open(&login.user) as usize;
        let taken = open + self.reserved_by_others(&login.user, &login.key, login.at);
        if login.uncounted || taken < login.limit.max() {
            return vec![];
        }
        self.counted_sessions(&login.user, &login.ended_by_choice(), login.at)
    }

    /// Returns the active sessions of the user if the login is refused.
    fn refuses(&self, login: &NewLogin, others: &[OpenSession]) -> Option<Vec<SessionRecord>> {
        if login.uncounted {
            return self.refuses_uncounted(&login.user, &login.ended_by_choice(), login.at);
        }
        let reserved = self.reserved_by_others(&login.user, &login.key, login.at);
        let is_refused = !self.active_reservations(login.at).any(|own| own.key == login.key)
            && login.limit.refuses(others, reserved);
        is_refused.then(|| self.active_records(others))
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
    use crate::{
        policy::{Policy, limit::Overflow},
        session::{login::ticket::LoginTicket, reason::Reason},
        time::seconds,
    };

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
        shard.apply(*writes);
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

    fn commit(shard: &mut Shard, login: NewLogin) -> Result<Vec<PublicId>, &'static str> {
        match shard.decide_commit(login) {
            LoginDecision::Commit(writes) => {
                Ok(shard.apply(*writes).into_iter().map(|record| record.id).collect())
            }
            LoginDecision::Refuse { .. } => Err("refused"),
            LoginDecision::TicketInvalid => Err("ticket"),
            _ => Err("other"),
        }
    }

    #[test]
    fn ticket_is_spent_once_and_frees_the_slot_of_the_chosen_session() {
        let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
        let [first, second, third] = [(); 3].map(|()| NewLogin::new("alice", NOON, &policy));
        let mut shard = Shard::default();
        assert_eq!(commit(&mut shard, first.clone()), Ok(vec![]));
        assert_eq!(commit(&mut shard, second.clone()), Err("refused"));
        let ticket = LoginTicket::new("alice", NOON, NOON.plus(seconds(300)));
        let ended = Ended::new(Reason::Revoked, NOON);
        let taking = |login: NewLogin, session| NewLogin {
            takeover: Some(Takeover::new(ticket.key, session, ended.clone())),
            ..login
        };
        assert_eq!(commit(&mut shard, taking(second.clone(), first.id)), Err("ticket"));
        shard.add_ticket(ticket.clone());
        let late = NewLogin { at: ticket.until, ..second.clone() };
        assert_eq!(commit(&mut shard, taking(late, first.id)), Err("ticket"));
        // An unknown session frees no slot, and the ticket is not spent.
        assert_eq!(commit(&mut shard, taking(second.clone(), third.id)), Err("refused"));
        assert_eq!(commit(&mut shard, taking(second.clone(), first.id)), Ok(vec![first.id]));
        assert_eq!(commit(&mut shard, taking(third, second.id)), Err("ticket"));
    }

    #[test]
    fn uncounted_logins_are_refused_at_their_maximum() {
        let login = || {
            let login = NewLogin::new("alice", NOON, &Policy::new().max_sessions(1));
            NewLogin { uncounted: true, ..login }
        };
        let mut shard = Shard::default();
        for _ in 0..SessionLimit::MAX_UNCOUNTED {
            assert_eq!(commit(&mut shard, login()), Ok(vec![]));
        }
        assert_eq!(commit(&mut shard, login()), Err("refused"));
        let reservation = login().reservation(NOON.plus(seconds(30)));
        assert!(matches!(shard.decide_reserve(&reservation), ReserveDecision::Refuse { .. }));
        assert_eq!(commit(&mut shard, NewLogin { uncounted: false, ..login() }), Ok(vec![]));
        let later = NewLogin { at: NOON.plus(crate::time::hours(1)), ..login() };
        let ended = commit(&mut shard, later).map(|ended| ended.len());
        assert_eq!(ended, Ok(SessionLimit::MAX_UNCOUNTED));
    }
}
