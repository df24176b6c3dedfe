//! Faults of tickets, of takeovers, of uncounted logins, and of failed re-authentications.

use std::sync::Arc;

use session_expire::{
    PublicId,
    clock::Timestamp,
    hours,
    registry::{
        EndSessions, EndTarget, Ended, LoginOutcome, LoginTicket, NewLogin, Query, RecordKey,
        Registry, ReserveOutcome, SessionRecord, SessionRef, SessionUpdate, Takeover,
    },
    seconds,
};

use super::{
    Fault,
    registry::{Faulty, now, pause, unlimited},
};

impl Faulty {
    pub(super) fn faulty_issue_ticket(&self, mut ticket: LoginTicket) {
        if self.is(Fault::TicketsNeverExpire) {
            ticket.until = ticket.until.plus(hours(1));
        }
        self.memory().tickets.push(ticket.clone());
        now(self.below.issue_ticket(ticket));
    }

    pub(super) fn commit_with_ticket(&self, mut login: NewLogin) -> LoginOutcome {
        let Some(takeover) = login.takeover.clone() else { return self.commit_uncounted(login) };
        let ticket = takeover.ticket();
        let is_known = now(self.below.load(login.key(), false)).is_some();
        match self.fault {
            Fault::ChecksTheTicketFirst if is_known => return LoginOutcome::TicketInvalid,
            Fault::RefusalSpendsTheTicket | Fault::EveryEndVoidsTickets
                if self.memory().spent.contains(&ticket) =>
            {
                return LoginOutcome::TicketInvalid;
            }
            Fault::AcceptsAnyTicket => self.issue(ticket, &login),
            Fault::TicketsAreForAnyUser if self.issued(ticket).is_some() => {
                let own = RecordKey::random(&login.user);
                self.issue(own, &login);
                login.takeover = Some(Takeover::new(own, takeover.session, takeover.ended));
            }
            Fault::KeepsSurplusTickets if !self.memory().spent.contains(&ticket) => {
                self.issue_again(ticket);
            }
            Fault::TakesOverInTwoSteps if !self.memory().spent.contains(&ticket) => {
                pause(20);
                self.issue_again(ticket);
            }
            Fault::TakesOverAnyUser => self.end_by_id(takeover.session, &takeover.ended),
            Fault::TakeoverNeedsNoSlot => login.limit = unlimited(login.limit),
            Fault::TakeoverTakesASlot => {
                login.takeover = Some(Takeover::new(ticket, PublicId::random(), takeover.ended));
            }
            _ => {}
        }
        let outcome = self.commit_uncounted(login);
        match (self.fault, &outcome) {
            (Fault::TicketsAreReusable, _) => self.issue_again(ticket),
            (Fault::RefusalSpendsTheTicket, LoginOutcome::Refused { .. })
            | (
                Fault::KeepsSurplusTickets | Fault::TakesOverInTwoSteps,
                LoginOutcome::Committed { .. },
            ) => {
                self.memory().spent.insert(ticket);
            }
            _ => {}
        }
        outcome
    }

    fn commit_uncounted(&self, login: NewLogin) -> LoginOutcome {
        let (is_uncounted, how) = (login.uncounted, login.eviction());
        if is_uncounted && self.is(Fault::CountsChosenUncounted) {
            let mut unchosen = login.clone();
            (unchosen.replaces, unchosen.takeover) = (None, None);
            let reservation = unchosen.reservation(login.at.plus(seconds(30)));
            if let ReserveOutcome::Refused { active } = now(self.below.reserve(reservation)) {
                return LoginOutcome::Refused { active };
            }
        }
        let outcome = self.faulty_commit(login.clone());
        match (self.fault, outcome) {
            (Fault::EvictsUncounted, LoginOutcome::Refused { active }) if is_uncounted => {
                let oldest = EndTarget::Session(active[0].session_ref());
                now(self.below.end(EndSessions::new(oldest, how)));
                self.faulty_commit(login)
            }
            (Fault::HidesExpiredUncounted, LoginOutcome::Committed { record, .. })
                if is_uncounted =>
            {
                LoginOutcome::Committed { record, ended: vec![] }
            }
            (_, outcome) => outcome,
        }
    }

    fn issued(&self, key: RecordKey) -> Option<LoginTicket> {
        self.memory().tickets.iter().find(|ticket| ticket.key() == key).cloned()
    }

    /// Issues a ticket with this key for the user of the login.
    fn issue(&self, key: RecordKey, login: &NewLogin) {
        let ticket =
            LoginTicket::new(Arc::clone(&login.user), login.at, login.at.plus(seconds(30)));
        now(self.below.issue_ticket(ticket.with_key(key)));
    }

    fn issue_again(&self, key: RecordKey) {
        self.issued(key).into_iter().for_each(|ticket| now(self.below.issue_ticket(ticket)));
    }

    /// Issues all tickets again, or voids them, after an end or an erasure.
    pub(super) fn after_end(&self) {
        let tickets: Vec<_> = self.memory().tickets.iter().map(LoginTicket::key).collect();
        match self.fault {
            Fault::EndsKeepTickets => tickets.into_iter().for_each(|key| self.issue_again(key)),
            Fault::EveryEndVoidsTickets => self.memory().spent.extend(tickets),
            _ => {}
        }
    }

    fn end_by_id(&self, id: PublicId, how: &Ended) {
        let open = now(self.below.list(Query::new().ended(false)));
        let found = open.iter().find(|record| record.id == id).map(SessionRecord::session_ref);
        found.into_iter().for_each(|session| {
            now(self.below.end(EndSessions::new(EndTarget::Session(session), how.clone())));
        });
    }

    pub(super) fn faulty_count_confirmation_attempt(
        &self,
        mut session: SessionRef,
        ended: Ended,
    ) -> Option<SessionRecord> {
        let record = self.record(&session).filter(|record| record.ended.is_none());
        let last = SessionRecord::MAX_CONFIRMATION_ATTEMPTS;
        match self.fault {
            Fault::ForgetsFailures => return record.map(|record| counted(record, ended)),
            Fault::FailuresEndNoSession if record.as_ref()?.confirmation_attempts == last => {
                return record.map(|record| counted(record, ended));
            }
            Fault::FailuresCountForAllSessions => {
                let mut others = self.records(&session.user, Some(false));
                others.retain(|record| record.id != session.id);
                for other in others {
                    let other = other.session_ref();
                    now(self.below.count_confirmation_attempt(other, ended.clone()));
                }
            }
            Fault::CountsFailuresOfAnyUser => {
                let all = now(self.below.list(Query::new()));
                let found = all.iter().find(|record| record.id == session.id);
                session = found.map_or(session, SessionRecord::session_ref);
            }
            _ => {}
        }
        now(self.below.count_confirmation_attempt(session, ended))
    }

    /// Counts as many failures as before a re-authentication.
    pub(super) fn fail_again(&self, before: &SessionRecord, id: PublicId, at: Timestamp) {
        let session = SessionRef::new(Arc::clone(&before.user), id);
        for _ in 0..before.confirmation_attempts {
            let ended = Ended::new(session_expire::Reason::Revoked, at);
            now(self.below.count_confirmation_attempt(session.clone(), ended));
        }
        let mut update = SessionUpdate::new(at);
        update.remembered = before.remembered;
        now(self.below.update(session, update));
    }
}

fn counted(mut record: SessionRecord, ended: Ended) -> SessionRecord {
    record.count_confirmation_attempt(ended);
    record
}
