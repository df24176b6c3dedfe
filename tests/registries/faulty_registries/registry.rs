//! A registry with a fault, made of one without.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use session_expire::{
    MemoryRegistry, Policy, PublicId, Reason,
    clock::Timestamp,
    error::RegistryError,
    registry::{
        ChangeListener, EndSessions, Ended, KeyRotation, LoginOutcome, LoginTicket, NewLogin,
        Query, RecordKey, Registry, RegistryFuture, Reservation, ReserveOutcome, RotationOutcome,
        SessionData, SessionLimit, SessionRecord, SessionRef, SessionUpdate, StoredSession,
        Subscription, UpdateOutcome, UserExport,
    },
};

use super::{Fault, reports::Reports};

pub struct Faulty {
    pub(super) fault: Fault,
    pub(super) below: MemoryRegistry,
    memory: Mutex<Memory>,
    pub(super) reports: Arc<Mutex<Reports>>,
}

/// What some faults have to remember.
#[derive(Default)]
pub(super) struct Memory {
    /// The current key of each session.
    pub(super) keys: HashMap<PublicId, RecordKey>,
    /// Keys that were rotated.
    pub(super) rotated: Vec<RecordKey>,
    /// The public id before the rotation of each rotated key.
    pub(super) old_ids: HashMap<RecordKey, PublicId>,
    /// The end of adoption of each session, by its key after a rotation.
    pub(super) adopted: HashMap<RecordKey, Timestamp>,
    /// Ends that overwrite the first ones.
    pub(super) last_ends: HashMap<RecordKey, Ended>,
    /// The last data of each record.
    pub(super) data: HashMap<RecordKey, SessionData>,
    pub(super) are_slots_taken: bool,
    pub(super) cancelled: HashSet<RecordKey>,
    pub(super) reservations: Vec<Reservation>,
    /// What rotated keys loaded before their user was erased.
    pub(super) erased: HashMap<RecordKey, StoredSession>,
    /// Tickets that were issued.
    pub(super) tickets: Vec<LoginTicket>,
    /// Tickets that are invalid.
    pub(super) spent: HashSet<RecordKey>,
}

/// Returns the outcome of an operation of the memory registry.
pub(super) fn now<T>(future: RegistryFuture<'_, T>) -> T {
    future.try_ready().unwrap().unwrap()
}

/// Gives the other threads a chance between two steps.
pub(super) fn pause(millis: u64) {
    thread::sleep(Duration::from_millis(millis));
}

fn ready<'a, T>(outcome: T) -> RegistryFuture<'a, T> {
    RegistryFuture::ready(Ok(outcome))
}

fn failed<'a, T>(operation: &'static str) -> RegistryFuture<'a, T> {
    RegistryFuture::ready(Err(RegistryError::new(operation, std::io::Error::other("a fault"))))
}

fn is_extreme(at: Timestamp) -> bool {
    [i64::MIN, i64::MAX].contains(&at.as_millis())
}

impl Faulty {
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            below: MemoryRegistry::new(),
            memory: Mutex::default(),
            reports: Arc::default(),
        }
    }

    pub(super) fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    /// Returns the records of `user`, newest login first.
    pub(super) fn records(&self, user: &Arc<str>, ended: Option<bool>) -> Vec<SessionRecord> {
        let query = Query::all(Arc::clone(user)).ended(ended);
        now(self.below.list(query))
    }

    pub(super) fn record(&self, session: &SessionRef) -> Option<SessionRecord> {
        let mut records = self.records(&session.user, None).into_iter();
        records.find(|record| record.id == session.id)
    }

    pub(super) fn is_open(&self, session: &SessionRef) -> bool {
        self.record(session).is_some_and(|record| record.ended.is_none())
    }

    pub(super) fn data(&self, session: &SessionRef) -> SessionData {
        let mut all = now(self.below.export(Arc::clone(&session.user))).data.into_iter();
        all.find(|(other, _)| other == session).map(|(_, data)| data).unwrap_or_default()
    }

    /// Remembers what an operation leaves behind.
    fn remember(&self) {
        let keys = self.memory().keys.clone();
        for (id, key) in keys {
            let Some(loaded) = now(self.below.load(key, false)) else { continue };
            if loaded.record.id == id && loaded.record.ended.is_none() {
                self.memory().data.insert(key, SessionData::clone(&loaded.data));
            }
        }
    }

    fn loaded(&self, key: RecordKey, count_open: bool) -> Option<StoredSession> {
        let memory = self.memory();
        let mut loaded = now(self.below.load(key, count_open || self.is(Fault::AlwaysCounts)));
        if let Some(erased) = memory.erased.get(&key) {
            return Some(erased.clone());
        }
        if self.is(Fault::ForgetsRotatedKeys) && memory.rotated.contains(&key) {
            return None;
        }
        if self.is(Fault::InventsRecords) && loaded.is_none() {
            let login = NewLogin::new("invented", Timestamp::from_millis(0), &Policy::new());
            let record = Arc::new(SessionRecord::new(&login));
            return Some(StoredSession::new(record, Arc::default(), None));
        }
        self.spoil(loaded.as_mut()?, key, &memory);
        loaded
    }

    fn spoil(&self, loaded: &mut StoredSession, key: RecordKey, memory: &Memory) {
        let record = Arc::make_mut(&mut loaded.record);
        match self.fault {
            Fault::CountsEndedAsOpen if loaded.open.is_some() => {
                loaded.open = self.records(&record.user, None).len().try_into().ok();
            }
            Fault::KeepsTheDataOfEnded => {
                loaded.data = Arc::new(memory.data.get(&key).cloned().unwrap_or_default());
            }
            Fault::SharesTheData if record.ended.is_none() => {
                let all = now(self.below.export(Arc::clone(&record.user))).data;
                loaded.data = Arc::new(all[0].1.clone());
            }
            Fault::RotatedKeysNameTheOldId => {
                record.id = memory.old_ids.get(&key).copied().unwrap_or(record.id);
            }
            Fault::RotationKeepsAdoption => {
                record.tombstone_until =
                    memory.adopted.get(&key).copied().or(record.tombstone_until);
            }
            Fault::DropsTheEvictingDevice => {
                let evicted = record.ended.iter_mut().filter(|e| e.reason == Reason::Evicted);
                evicted.for_each(|ended| ended.by = None);
            }
            _ => {}
        }
        if let Some(last) = memory.last_ends.get(&key) {
            record.ended = Some(last.clone());
        }
    }
}

impl Registry for Faulty {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>> {
        if self.is(Fault::KeepsTheDataOfEnded) {
            self.remember();
        }
        ready(self.loaded(key, count_open))
    }

    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        ready(self.faulty_reserve(reservation))
    }

    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        let is_empty_user = self.is(Fault::RefusesTheEmptyUser) && login.user.is_empty();
        if self.memory().are_slots_taken {
            return ready(LoginOutcome::Refused { active: vec![] });
        }
        if is_empty_user || self.is(Fault::FailsOnExtremeTimes) && is_extreme(login.at) {
            return failed("commit");
        }
        self.memory().keys.insert(login.id, login.key());
        let outcome = self.commit_with_ticket(login);
        if self.is(Fault::KeepsTheDataOfEnded) {
            self.remember();
        }
        ready(outcome)
    }

    fn issue_ticket(&self, ticket: LoginTicket) -> RegistryFuture<'_, ()> {
        self.faulty_issue_ticket(ticket);
        ready(())
    }

    fn count_confirmation_attempt(
        &self,
        session: SessionRef,
        ended: Ended,
    ) -> RegistryFuture<'_, Option<SessionRecord>> {
        ready(self.faulty_count_confirmation_attempt(session, ended))
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        self.faulty_cancel(key, ended);
        ready(())
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        self.before_update(&session, &update);
        let outcome = self.faulty_update(session, update);
        if self.is(Fault::KeepsTheDataOfEnded) {
            self.remember();
        }
        ready(outcome)
    }

    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        self.before_rotation(&rotation);
        ready(self.faulty_rotate(rotation))
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.before_end(&end);
        let ended = self.faulty_end(end);
        self.after_end();
        match self.is(Fault::FailsOnUnknownSessions) && ended.is_empty() {
            true => failed("end"),
            false => ready(ended),
        }
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        ready(self.faulty_enforce_limit(session, limit, ended))
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        ready(self.faulty_list(query))
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        let count = self.faulty_end_everyone(ended);
        self.after_end();
        ready(count)
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        self.before_erase(&user);
        let count = self.faulty_erase(user);
        self.after_end();
        ready(count)
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        let mut export = now(self.below.export(user));
        if self.is(Fault::ExportsOpenOnly) {
            export.records.retain(|record| record.ended.is_none());
        }
        ready(export)
    }

    fn subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        self.faulty_subscribe(listener)
    }

    fn enforces_limits(&self) -> bool {
        true
    }

    fn on_start(&self, now: Timestamp) {
        self.below.on_start(now);
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn server_time(&self) -> Option<Timestamp> {
        None
    }
}

/// The largest session limit, which evicts no session in a test.
pub(super) fn unlimited(limit: SessionLimit) -> SessionLimit {
    SessionLimit::new(u32::MAX, limit.overflow)
}
