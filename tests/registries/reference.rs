//! Reference registry: the rules of the trait on plain lists behind one lock.

mod logins;
mod reports;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use self::reports::Listeners;
use session_expire::{
    Reason,
    clock::Timestamp,
    registry::{
        Change, ChangeListener, EndSessions, EndTarget, Ended, KeyRotation, LoginOutcome,
        LoginTicket, NewLogin, Query, RecordKey, Registry, RegistryFuture, Reservation,
        ReserveOutcome, RotationOutcome, SessionData, SessionLimit, SessionRecord, SessionRef,
        SessionUpdate, StoredSession, Subscription, UpdateOutcome, UserExport,
    },
};

/// The reference registry. It deletes nothing but what is erased.
#[derive(Default)]
pub struct Reference {
    state: Mutex<State>,
    listeners: Listeners,
}

#[derive(Default, Clone)]
struct State {
    /// In the order of their logins.
    sessions: Vec<Session>,
    /// The records that rotated keys load.
    renewed: Vec<(RecordKey, SessionRecord)>,
    reservations: Vec<Reservation>,
    tickets: Vec<LoginTicket>,
    adoption_closed: HashMap<Arc<str>, Timestamp>,
    generation: u64,
}

#[derive(Clone)]
struct Session {
    key: RecordKey,
    record: SessionRecord,
    data: SessionData,
}

impl Session {
    fn is_open(&self) -> bool {
        self.record.ended.is_none()
    }

    fn end(&mut self, ended: &Ended) -> Option<SessionRecord> {
        let has_ended = self.record.end(ended.clone());
        self.data = SessionData::default();
        has_ended.then(|| self.record.clone())
    }

    /// Updates the record and its data, or neither.
    fn update(&mut self, update: &SessionUpdate) -> bool {
        let fits = self.data.apply(&update.data).is_ok();
        if fits {
            self.record.update(update);
        }
        fits
    }
}

impl Reference {
    /// Returns a registry with the same records, to try several continuations.
    pub fn copy(&self) -> Self {
        Self { state: Mutex::new(self.state().clone()), listeners: Listeners::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn open(&mut self, session: &SessionRef) -> Option<&mut Session> {
        let mut sessions = self.sessions.iter_mut();
        sessions.find(|other| other.is_open() && other.record.session_ref() == *session)
    }

    fn find(&self, key: RecordKey) -> Option<(&SessionRecord, SessionData)> {
        let renewed = self.renewed.iter().find(|(other, _)| *other == key);
        if let Some((_, record)) = renewed {
            return Some((record, SessionData::default()));
        }
        let session = self.sessions.iter().find(|session| session.key == key)?;
        Some((&session.record, session.data.clone()))
    }

    fn load(&self, key: RecordKey, count_open: bool) -> Option<StoredSession> {
        let (record, data) = self.find(key)?;
        let own = self.sessions.iter().filter(|other| other.record.user == record.user);
        let counted = own.filter(|other| other.is_open() && !other.record.uncounted).count();
        let open = count_open.then(|| counted.try_into().unwrap());
        Some(StoredSession::new(Arc::new(record.clone()), Arc::new(data), open))
    }

    fn update(&mut self, session: &SessionRef, update: &SessionUpdate) -> UpdateOutcome {
        match self.open(session).map(|session| session.update(update)) {
            None => UpdateOutcome::Ended,
            Some(true) => UpdateOutcome::Updated,
            Some(false) => UpdateOutcome::TooLarge,
        }
    }

    fn count_confirmation_attempt(
        &mut self,
        session: &SessionRef,
        ended: &Ended,
    ) -> Option<SessionRecord> {
        let session = self.open(session)?;
        session.record.count_confirmation_attempt(ended.clone());
        if !session.is_open() {
            session.data = SessionData::default();
        }
        Some(session.record.clone())
    }

    fn rotate(&mut self, rotation: &KeyRotation) -> RotationOutcome {
        let Some(session) = self.open(&rotation.session) else { return RotationOutcome::Ended };
        let mut renewed = session.record.clone();
        if !session.update(&rotation.update) {
            return RotationOutcome::TooLarge;
        }
        if session.key != rotation.old_key() {
            return RotationOutcome::Lost;
        }
        session.key = rotation.new_key();
        session.record.rotate_key(rotation.reauthenticated_as, rotation.update.now);
        renewed.id = session.record.id;
        renewed.end(Ended::new(Reason::Renewed, rotation.update.now));
        self.renewed.push((rotation.old_key(), renewed));
        RotationOutcome::Rotated
    }

    fn end(&mut self, end: &EndSessions) -> Vec<SessionRecord> {
        if let EndTarget::Others(kept) = &end.target
            && self.open(kept).is_none()
        {
            return vec![];
        }
        if let Some(until) = end.close_adoption_until {
            self.close_adoption(end.target.user(), until);
        }
        if !matches!(end.target, EndTarget::Session(_)) {
            self.void_tickets(end.target.user());
        }
        let targets = self.sessions.iter_mut().filter(|other| end.target.covers(&other.record));
        targets.filter_map(|session| session.end(&end.ended)).collect()
    }

    fn close_adoption(&mut self, user: &Arc<str>, until: Timestamp) {
        let closed = self.adoption_closed.entry(Arc::clone(user)).or_insert(until);
        *closed = (*closed).max(until);
    }

    fn enforce_limit(
        &mut self,
        session: &SessionRef,
        limit: SessionLimit,
        ended: &Ended,
    ) -> Vec<SessionRecord> {
        if self.open(session).is_none_or(|session| session.record.uncounted) {
            return vec![];
        }
        let others = self.others(&session.user, &[Some(session.id)], ended.at);
        self.evict(limit, others, ended)
    }

    fn list(&self, query: &Query) -> Vec<SessionRecord> {
        let records = self.sessions.iter().map(|session| &session.record);
        query.paginate(records.filter(|record| query.matches(record)).cloned().collect())
    }

    fn end_everyone(&mut self, ended: &Ended) -> u64 {
        self.generation += 1;
        (self.reservations, self.tickets) = (vec![], vec![]);
        let ended = self.sessions.iter_mut().filter_map(|session| session.end(ended));
        ended.count().try_into().unwrap()
    }

    /// Closes adoption: the cookie of an adopted session must not be adopted again without its
    /// tombstone.
    fn erase(&mut self, user: &Arc<str>) -> u64 {
        let own = self.sessions.iter().map(|session| &session.record);
        let own = own.filter(|record| record.user == *user);
        let count = own.clone().count();
        let renewed = self.renewed.iter().map(|(_, record)| record);
        let all = own.chain(renewed.filter(|record| record.user == *user));
        let adopted_until = all.filter_map(|record| record.tombstone_until).max();
        if let Some(until) = adopted_until {
            self.close_adoption(user, until);
        }
        self.sessions.retain(|session| session.record.user != *user);
        self.renewed.retain(|(_, record)| record.user != *user);
        self.reservations.retain(|reservation| reservation.user != *user);
        self.void_tickets(user);
        count.try_into().unwrap()
    }

    fn export(&self, user: &Arc<str>) -> UserExport {
        let mut export = UserExport::default();
        export.records = self.list(&Query::all(Arc::clone(user)));
        let open =
            self.sessions.iter().filter(|other| other.is_open() && other.record.user == *user);
        export.data =
            open.map(|session| (session.record.session_ref(), session.data.clone())).collect();
        export
    }
}

fn ready<'a, T>(outcome: T) -> RegistryFuture<'a, T> {
    RegistryFuture::ready(Ok(outcome))
}

impl Registry for Reference {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>> {
        ready(self.state().load(key, count_open))
    }

    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        ready(self.state().reserve(reservation))
    }

    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        let user = Arc::clone(&login.user);
        let outcome = self.state().commit(login);
        if let LoginOutcome::Committed { ended, .. } = &outcome {
            self.listeners.report_ends(ended);
            self.listeners.report(&Change::user(&user));
        }
        ready(outcome)
    }

    fn issue_ticket(&self, ticket: LoginTicket) -> RegistryFuture<'_, ()> {
        self.state().issue_ticket(ticket);
        ready(())
    }

    fn count_confirmation_attempt(
        &self,
        session: SessionRef,
        ended: Ended,
    ) -> RegistryFuture<'_, Option<SessionRecord>> {
        let record = self.state().count_confirmation_attempt(&session, &ended);
        let ended = record.iter().filter(|record| record.ended.is_some());
        self.listeners.report_ends(ended);
        ready(record)
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        let ended = self.state().cancel(key, &ended);
        self.listeners.report_ends(&ended);
        ready(())
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        let outcome = self.state().update(&session, &update);
        if outcome == UpdateOutcome::Updated && update.changes_policy() {
            self.listeners.report(&Change::session(&session));
        }
        ready(outcome)
    }

    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        let outcome = self.state().rotate(&rotation);
        if outcome == RotationOutcome::Rotated {
            self.listeners.report(&Change::session(&rotation.session));
        }
        ready(outcome)
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        let ended = self.state().end(&end);
        self.listeners.report_ends(&ended);
        ready(ended)
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        let ended = self.state().enforce_limit(&session, limit, &ended);
        self.listeners.report_ends(&ended);
        ready(ended)
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        ready(self.state().list(&query))
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        let count = self.state().end_everyone(&ended);
        self.listeners.report(&Change::Any);
        ready(count)
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        let count = self.state().erase(&user);
        self.listeners.report(&Change::user(&user));
        ready(count)
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        ready(self.state().export(&user))
    }

    fn subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        self.listeners.add(listener)
    }

    fn enforces_limits(&self) -> bool {
        true
    }

    fn on_start(&self, _now: Timestamp) {}

    fn is_shared(&self) -> bool {
        false
    }

    fn server_time(&self) -> Option<Timestamp> {
        None
    }
}
