//! Faults of logins: `reserve`, `commit` and `cancel`.

use std::sync::Arc;

use session_expire::{
    Limit, Overflow, Policy, Reason,
    clock::Timestamp,
    hours,
    registry::{
        EndSessions, EndTarget, Ended, LoginOutcome, NewLogin, Query, RecordKey, Registry,
        Reservation, ReserveOutcome, SessionData, SessionLimit, SessionRecord, SessionRef,
    },
    seconds,
};

use super::{
    Fault,
    registry::{Faulty, now, pause, unlimited},
};

impl Faulty {
    pub(super) fn faulty_reserve(&self, mut reservation: Reservation) -> ReserveOutcome {
        let open = self.records(&reservation.user, Some(false));
        match self.fault {
            Fault::IgnoresReservations => return ReserveOutcome::Reserved { generation: 0 },
            Fault::ReservationEvicts => {
                let evicted = Ended::new(Reason::Evicted, reservation.at);
                open.iter().for_each(|record| drop(self.end_one(record, &evicted)));
            }
            Fault::ReservesWithoutASlot => reservation.limit = unlimited(reservation.limit),
            Fault::ReservesForever => reservation.until = reservation.at.plus(hours(9)),
            Fault::AddsUpReservations => {
                let mut again = reservation.clone();
                again = again.with_key(RecordKey::random(&reservation.user));
                now(self.below.reserve(again));
            }
            Fault::ReservesForAllUsers => self.memory().reservations.push(reservation.clone()),
            Fault::ReservationReplacesNone => reservation.replaces = None,
            Fault::CountsUncountedReservations => reservation.uncounted = false,
            Fault::ReservationCountsExpired if open.len() >= reservation.limit.max() => {
                return ReserveOutcome::Refused { active: open };
            }
            Fault::ReservesInTwoSteps => {
                let outcome = now(self.below.reserve(reservation.clone()));
                now(self
                    .below
                    .cancel(reservation.key(), Ended::new(Reason::LoggedOut, reservation.at)));
                pause(20);
                reservation.limit = unlimited(reservation.limit);
                if matches!(outcome, ReserveOutcome::Reserved { .. }) {
                    now(self.below.reserve(reservation));
                }
                return outcome;
            }
            _ => {}
        }
        now(self.below.reserve(reservation))
    }

    pub(super) fn faulty_cancel(&self, key: RecordKey, ended: Ended) {
        let loaded = now(self.below.load(key, false));
        match self.fault {
            Fault::CancelsNothing => return,
            Fault::CancelEndsAgain if loaded.is_some() => {
                self.memory().last_ends.insert(key, ended.clone());
            }
            Fault::CancelForgets => {
                self.memory().cancelled.insert(key);
            }
            _ => {}
        }
        now(self.below.cancel(key, ended));
    }

    pub(super) fn faulty_commit(&self, mut login: NewLogin) -> LoginOutcome {
        self.change_login(&mut login);
        let is_known = now(self.below.load(login.key(), false)).is_some();
        match self.fault {
            Fault::CommitsAgain if is_known => login = with_new_key(login),
            Fault::CommitsInTwoSteps if !is_known && login.replaces.is_some() => {
                pause(50);
                if now(self.below.load(login.key(), false)).is_some() {
                    login = with_new_key(login);
                }
            }
            Fault::CancelForgets if self.memory().cancelled.contains(&login.key()) => {
                login = with_new_key(login);
            }
            Fault::ForgetsAdoptedLogins if is_known && login.adopted_until.is_some() => {
                return LoginOutcome::AdoptionClosed;
            }
            Fault::ReservesForAllUsers if self.is_reserved_elsewhere(&login) => {
                return LoginOutcome::Refused { active: vec![] };
            }
            _ => {}
        }
        let counted = self.commit_with_fault(login.clone());
        let outcome = counted.unwrap_or_else(|| self.commit_below(login.clone()));
        self.change_outcome(outcome, &login)
    }

    fn is_reserved_elsewhere(&self, login: &NewLogin) -> bool {
        let reservations = self.memory().reservations.clone();
        login.limit.overflow == Overflow::Refuse
            && reservations.iter().any(|other| other.key() != login.key() && login.at < other.until)
    }

    fn commit_below(&self, login: NewLogin) -> LoginOutcome {
        now(self.below.commit(login))
    }

    /// Drops or changes something of a login.
    fn change_login(&self, login: &mut NewLogin) {
        let has_limits = login.idle != Limit::Off || login.absolute != Limit::Off;
        match self.fault {
            Fault::DropsTheAddress => login.client.ip = None,
            Fault::DropsTheUserPolicy => login.user_policy = None,
            Fault::DropsTheLimits if !has_limits => {
                (login.idle, login.absolute) = (Policy::new().idle, Policy::new().absolute);
            }
            Fault::DropsTheLongestTimeouts => {
                (login.longest_idle, login.longest_absolute) = (login.idle, login.absolute);
            }
            Fault::DropsTheLimits if login.absolute == Limit::Off => login.idle = Limit::Off,
            Fault::StartsIn1970 => login.at = login.at.max(Timestamp::from_millis(0)),
            Fault::DropsTheData => login.data = SessionData::default(),
            Fault::DropsLargeData if login.data.bytes() > 60_000 => {
                login.data = SessionData::default();
            }
            Fault::DropsTheActor => login.actor = None,
            Fault::DropsTheStamp => login.stamp = None,
            Fault::NeverRemembers => login.remembered = false,
            Fault::TrimsUserNames => {
                login.user = login.user.trim().into();
                let key = RecordKey::with_secret(&login.user, login.key().secret()).unwrap();
                *login = login.clone().with_key(key);
            }
            Fault::ReplacesNone => login.replaces = None,
            Fault::IgnoresLastSeen => login.limit = by_age(login.limit),
            Fault::AllowsOneLess => login.limit = one_less(login.limit),
            Fault::HasNoMaximum if login.limit.max_sessions == Limit::Off => {
                login.limit = unlimited(login.limit);
            }
            Fault::CountsUncounted => login.uncounted = false,
            _ => {}
        }
    }

    /// Commits a login by a rule of the fault's own.
    fn commit_with_fault(&self, mut login: NewLogin) -> Option<LoginOutcome> {
        let user = Arc::clone(&login.user);
        let (open, all) = (self.records(&user, Some(false)), self.records(&user, None));
        if now(self.below.load(login.key(), false)).is_some() {
            return None;
        }
        match self.fault {
            Fault::ReplacedTakesASlot => {
                let (id, reason) = login.replaces.take()?;
                let how = Ended::new(reason, login.at);
                let outcome = self.commit_below(login);
                now(self
                    .below
                    .end(EndSessions::new(EndTarget::Session(SessionRef::new(user, id)), how)));
                Some(outcome)
            }
            Fault::ReplacesAnyUser | Fault::RefusalReplaces => {
                let (id, reason) = login.replaces?;
                let everyone = self.is(Fault::ReplacesAnyUser);
                let records = if everyone { now(self.below.list(Query::default())) } else { open };
                let replaced = records.iter().filter(|record| record.id == id);
                replaced
                    .for_each(|record| drop(self.end_one(record, &Ended::new(reason, login.at))));
                None
            }
            Fault::EvictsTheNewest => {
                Some(self.commit_by_count(login, open.len(), open, usize::MAX))
            }
            Fault::CountsAllUsers => {
                let everyone = Query::new().ended(false);
                let mut everyone = now(self.below.list(everyone));
                everyone.reverse();
                let count = everyone.len();
                Some(self.commit_by_count(login, count, everyone, usize::MAX))
            }
            Fault::CountsEndedSessions => {
                Some(self.commit_by_count(login, all.len(), oldest_first(open), usize::MAX))
            }
            Fault::CountsExpiredSessions if login.limit.overflow == Overflow::Refuse => {
                Some(self.commit_by_count(login, open.len(), oldest_first(open), usize::MAX))
            }
            Fault::EvictsExpiredLast => {
                let at = login.at;
                let mut victims = oldest_first(open);
                victims.sort_by_key(|record| record.expiry_reason(at).is_some());
                Some(self.commit_by_count(login, victims.len(), victims, usize::MAX))
            }
            Fault::EvictsOne => {
                Some(self.commit_by_count(login, open.len(), oldest_first(open), 1))
            }
            Fault::EnforcesTheLimitInTwoSteps if login.limit.max_sessions != Limit::Off => {
                pause(20);
                Some(self.commit_by_count(login, open.len(), oldest_first(open), usize::MAX))
            }
            Fault::ZeroAllowsNone if login.limit.max_sessions == Limit::At(0) => {
                login.limit.max_sessions = Limit::At(1);
                login.limit.overflow = Overflow::Evict;
                Some(self.commit_below(login))
            }
            _ => None,
        }
    }

    /// Commits a login where `count` sessions are taken to be open.
    fn commit_by_count(
        &self,
        login: NewLogin,
        count: usize,
        victims: Vec<SessionRecord>,
        most: usize,
    ) -> LoginOutcome {
        if login.limit.may_refuse() && count >= login.limit.max() {
            return LoginOutcome::Refused { active: victims };
        }
        let surplus = (count + 1).saturating_sub(login.limit.max()).min(most);
        let ended: Vec<_> = victims
            .iter()
            .take(surplus)
            .flat_map(|one| self.end_one(one, &login.eviction()))
            .collect();
        let mut login = login;
        login.limit = unlimited(login.limit);
        match self.commit_below(login) {
            LoginOutcome::Committed { record, ended: replaced } => {
                LoginOutcome::Committed { record, ended: [replaced, ended].concat() }
            }
            other => other,
        }
    }

    fn end_one(&self, record: &SessionRecord, how: &Ended) -> Vec<SessionRecord> {
        now(self.below.end(EndSessions::new(EndTarget::Session(record.session_ref()), how.clone())))
    }

    fn change_outcome(&self, outcome: LoginOutcome, login: &NewLogin) -> LoginOutcome {
        match (self.fault, outcome) {
            (Fault::ReturnsAnotherDevice, LoginOutcome::Committed { mut record, ended }) => {
                record.client.device = "another".into();
                LoginOutcome::Committed { record, ended }
            }
            (Fault::ReopensEnded, LoginOutcome::Committed { mut record, ended }) => {
                record.ended = None;
                LoginOutcome::Committed { record, ended }
            }
            (Fault::ReplacesEnded, LoginOutcome::Committed { record, mut ended }) => {
                let all = self.records(&login.user, Some(true));
                let replaced = all
                    .into_iter()
                    .filter(|old| login.replaces.is_some_and(|(id, _)| id == old.id));
                ended.extend(replaced);
                LoginOutcome::Committed { record, ended }
            }
            (Fault::CommitKeepsTheReservation, committed @ LoginOutcome::Committed { .. }) => {
                let mut rest = login.reservation(login.at.plus(seconds(30)));
                rest = rest.with_key(RecordKey::random(&login.user));
                rest.limit = unlimited(rest.limit);
                now(self.below.reserve(rest));
                committed
            }
            (Fault::RefusalCreatesARecord, LoginOutcome::Refused { active }) => {
                let mut login = login.clone();
                login.limit = unlimited(login.limit);
                self.commit_below(login);
                LoginOutcome::Refused { active }
            }
            (Fault::ReturnsActiveInAnyOrder, LoginOutcome::Refused { mut active }) => {
                active.reverse();
                LoginOutcome::Refused { active }
            }
            (_, outcome) => outcome,
        }
    }
}

fn oldest_first(mut newest_first: Vec<SessionRecord>) -> Vec<SessionRecord> {
    newest_first.reverse();
    newest_first
}

pub(super) fn by_age(limit: SessionLimit) -> SessionLimit {
    match limit.overflow {
        Overflow::LeastRecent => SessionLimit::new(limit.max_sessions, Overflow::Evict),
        _ => limit,
    }
}

pub(super) fn one_less(limit: SessionLimit) -> SessionLimit {
    match limit.max_sessions {
        Limit::At(max @ 2..) => SessionLimit::new(max - 1, limit.overflow),
        _ => limit,
    }
}

fn with_new_key(login: NewLogin) -> NewLogin {
    let key = RecordKey::random(&login.user);
    login.with_key(key)
}
