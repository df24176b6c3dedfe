//! Logins of the reference registry: tickets, reservations, commits and cancellations.

use std::sync::Arc;

use session_expire::{
    PublicId,
    clock::Timestamp,
    registry::{
        Ended, LoginOutcome, LoginTicket, NewLogin, OpenSession, RecordKey, Reservation,
        ReserveOutcome, SessionLimit, SessionRecord, SessionRef,
    },
};

use super::{Session, State};

impl State {
    pub(super) fn others(
        &self,
        user: &str,
        except: &[Option<PublicId>],
        now: Timestamp,
    ) -> Vec<OpenSession> {
        let own = self.sessions.iter().filter(|session| *session.record.user == *user);
        let others = own.filter(|session| !except.contains(&Some(session.record.id)));
        others.filter_map(|other| OpenSession::from_record(other.key, &other.record, now)).collect()
    }

    fn uncounted(&self, user: &str) -> Vec<Session> {
        let own = self.sessions.iter().filter(|session| *session.record.user == *user);
        own.filter(|session| session.is_open() && session.record.uncounted).cloned().collect()
    }

    fn active(&self, open: &[OpenSession]) -> Vec<SessionRecord> {
        let active = open.iter().filter(|session| session.expired.is_none());
        let mut records: Vec<_> =
            active.filter_map(|session| Some(self.find(session.key())?.0.clone())).collect();
        records.sort_by_key(|record| record.logged_in_at);
        records
    }

    fn reserved_by_others(&self, user: &str, key: RecordKey, now: Timestamp) -> usize {
        let active = self.reservations.iter().filter(|other| now < other.until);
        active.filter(|other| *other.user == *user && other.key() != key).count()
    }

    pub(super) fn reserve(&mut self, reservation: Reservation) -> ReserveOutcome {
        let key = &reservation.key();
        let Reservation { user, at, replaces, limit, uncounted, .. } = &reservation;
        let reserved = ReserveOutcome::Reserved { generation: self.generation };
        if self.find(*key).is_some() {
            return reserved;
        }
        if *uncounted {
            let refused = self.refuses_uncounted(user, &[*replaces], *at);
            return refused.map_or(reserved, |active| ReserveOutcome::Refused { active });
        }
        let others = self.others(user, &[*replaces], *at);
        if limit.refuses(&others, self.reserved_by_others(user, *key, *at)) {
            return ReserveOutcome::Refused { active: self.active(&others) };
        }
        self.release(*key);
        self.reservations.push(reservation);
        reserved
    }

    fn release(&mut self, key: RecordKey) {
        self.reservations.retain(|other| other.key() != key);
    }

    pub(super) fn issue_ticket(&mut self, ticket: LoginTicket) {
        let is_own = |other: &LoginTicket| other.user == ticket.user;
        self.tickets.retain(|other| {
            other.key() != ticket.key() && !(is_own(other) && other.until <= ticket.at)
        });
        let own = self.tickets.iter().filter(|other| is_own(other));
        if own.clone().count() >= LoginTicket::MAX_PER_USER {
            let first = own.min_by_key(|other| other.until).map(LoginTicket::key);
            self.tickets.retain(|other| Some(other.key()) != first);
        }
        self.tickets.push(ticket);
    }

    pub(super) fn void_tickets(&mut self, user: &str) {
        self.tickets.retain(|ticket| *ticket.user != *user);
    }

    pub(super) fn commit(&mut self, login: NewLogin) -> LoginOutcome {
        self.end_unused(&login.user, login.at);
        if let Some((record, _)) = self.find(login.key()) {
            return LoginOutcome::Committed { record: record.clone(), ended: vec![] };
        }
        if login.reserved_in.is_some_and(|generation| generation < self.generation) {
            return LoginOutcome::Voided;
        }
        if login.adopted_until.is_some() && self.is_adoption_closed(&login) {
            return LoginOutcome::AdoptionClosed;
        }
        if !self.has_ticket(&login) {
            return LoginOutcome::TicketInvalid;
        }
        let others = self.others(&login.user, &chosen(&login), login.at);
        if let Some(active) = self.refuses(&login, &others) {
            return LoginOutcome::Refused { active };
        }
        let ended = self.end_for_login(&login, others);
        self.release(login.key());
        let spent = login.takeover.as_ref().map(|takeover| takeover.ticket());
        self.tickets.retain(|ticket| Some(ticket.key()) != spent);
        let mut record = SessionRecord::new(&login);
        record.generation = self.generation;
        self.sessions.push(Session { key: login.key(), record: record.clone(), data: login.data });
        LoginOutcome::Committed { record, ended }
    }

    /// Ends the sessions of `user` that no policy accepts.
    fn end_unused(&mut self, user: &str, now: Timestamp) {
        let own = self.sessions.iter_mut().filter(|session| *session.record.user == *user);
        for session in own.filter(|session| session.record.leaves_at() <= now) {
            let end = session.record.final_end();
            session.end(&end);
        }
    }

    fn is_adoption_closed(&self, login: &NewLogin) -> bool {
        self.generation > 0
            || self.adoption_closed.get(&login.user).is_some_and(|until| login.at < *until)
    }

    fn has_ticket(&self, login: &NewLogin) -> bool {
        login.takeover.as_ref().is_none_or(|takeover| {
            self.tickets.iter().any(|ticket| {
                ticket.key() == takeover.ticket()
                    && ticket.user == login.user
                    && login.at < ticket.until
            })
        })
    }

    fn is_reserved(&self, login: &NewLogin) -> bool {
        self.reservations.iter().any(|own| own.key() == login.key() && login.at < own.until)
    }

    fn refuses(&self, login: &NewLogin, others: &[OpenSession]) -> Option<Vec<SessionRecord>> {
        if login.uncounted {
            return self.refuses_uncounted(&login.user, &chosen(login), login.at);
        }
        let reserved = self.reserved_by_others(&login.user, login.key(), login.at);
        let is_refused = !self.is_reserved(login) && login.limit.refuses(others, reserved);
        is_refused.then(|| self.active(others))
    }

    fn refuses_uncounted(
        &self,
        user: &str,
        except: &[Option<PublicId>],
        now: Timestamp,
    ) -> Option<Vec<SessionRecord>> {
        let records = self.uncounted(user).into_iter().map(|session| session.record);
        let others = records.filter(|record| !except.contains(&Some(record.id)));
        let mut active: Vec<_> =
            others.filter(|record| record.expiry_reason(now).is_none()).collect();
        active.sort_by_key(|record| record.logged_in_at);
        (active.len() >= SessionLimit::MAX_UNCOUNTED).then_some(active)
    }

    /// Ends the replaced session, that of the takeover, and those that must end for the login.
    fn end_for_login(&mut self, login: &NewLogin, others: Vec<OpenSession>) -> Vec<SessionRecord> {
        let replaced = login.replaces.map(|(id, reason)| (id, Ended::new(reason, login.at)));
        let taken = login.takeover.as_ref().map(|taken| (taken.session, taken.ended.clone()));
        let expired = self.expired_uncounted(login);
        let mut ended = vec![];
        for (id, how) in replaced.into_iter().chain(taken) {
            let session = self.open(&SessionRef::new(Arc::clone(&login.user), id));
            ended.extend(session.and_then(|session| session.end(&how)));
        }
        if login.uncounted {
            let sessions = self.sessions.iter_mut();
            let expired = sessions.filter_map(|session| {
                let (_, reason) = expired.iter().find(|(key, _)| *key == session.key)?;
                session.end(&Ended::new(*reason, login.at))
            });
            ended.extend(expired);
        } else {
            ended.extend(self.evict(login.limit, others, &login.eviction()));
        }
        ended
    }

    fn expired_uncounted(&self, login: &NewLogin) -> Vec<(RecordKey, session_expire::Reason)> {
        let open = self.uncounted(&login.user);
        let is_full = open.len() >= SessionLimit::MAX_UNCOUNTED;
        let expired = open
            .iter()
            .filter(|_| is_full)
            .filter_map(|session| Some((session.key, session.record.expiry_reason(login.at)?)));
        expired.collect()
    }

    pub(super) fn evict(
        &mut self,
        limit: SessionLimit,
        others: Vec<OpenSession>,
        evicted: &Ended,
    ) -> Vec<SessionRecord> {
        let victims = limit.select_victims(others).into_iter();
        victims
            .filter_map(|victim| {
                let mut sessions = self.sessions.iter_mut();
                sessions.find(|session| session.key == victim.key())?.end(&victim.end(evicted))
            })
            .collect()
    }

    pub(super) fn cancel(&mut self, key: RecordKey, ended: &Ended) -> Option<SessionRecord> {
        self.release(key);
        let session = self.sessions.iter_mut().find(|session| session.key == key);
        session.and_then(|session| session.end(ended))
    }
}

/// Returns the sessions that the login ends by choice, which take no slot.
fn chosen(login: &NewLogin) -> [Option<PublicId>; 2] {
    let taken = login.takeover.as_ref().map(|takeover| takeover.session);
    [login.replaces.map(|(id, _)| id), taken]
}
