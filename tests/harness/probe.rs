//! A registry that counts what it is asked and can be taken away.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use session_expire::{
    EndSessions, Ended, KeyRotation, Loaded, LoginOutcome, MemoryRegistry, NewLogin, Query,
    RecordKey, Registry, RegistryError, RegistryFuture, Reservation, ReserveOutcome,
    RotationOutcome, SessionLimit, SessionRecord, SessionRef, SessionUpdate, Timestamp,
    UpdateOutcome, UserExport,
};

/// A [`MemoryRegistry`] that is watched.
#[derive(Clone, Default)]
pub struct Probe {
    below: Arc<MemoryRegistry>,
    down: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<&'static str>>>,
    keys: Arc<Mutex<Vec<RecordKey>>>,
    next_failure: Arc<Mutex<Option<&'static str>>>,
    unanswered: Arc<Mutex<Option<&'static str>>>,
    shared: bool,
}

impl Probe {
    /// One that several sites use at once.
    #[must_use]
    pub fn shared() -> Self {
        Self { shared: true, ..Self::default() }
    }

    /// Takes the registry away, or brings it back.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// The next operation of this name fails.
    pub fn fail_next(&self, what: &'static str) {
        *unpoisoned(&self.next_failure) = Some(what);
    }

    /// Operations of this name are done and never answered, until `None` is set.
    pub fn leave_unanswered(&self, what: Option<&'static str>) {
        *unpoisoned(&self.unanswered) = what;
    }

    /// What was asked since the last look.
    pub fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut unpoisoned(&self.asked))
    }

    /// The secret keys of all logins so far.
    #[must_use]
    pub fn keys(&self) -> Vec<RecordKey> {
        unpoisoned(&self.keys).clone()
    }

    /// How many records there are.
    #[must_use]
    pub fn records(&self) -> usize {
        self.below.len()
    }

    fn ask<'a, T: Send + 'a>(
        &self,
        what: &'static str,
        answer: impl FnOnce() -> RegistryFuture<'a, T>,
    ) -> RegistryFuture<'a, T> {
        unpoisoned(&self.asked).push(what);
        let fails = unpoisoned(&self.next_failure).take_if(|next| *next == what).is_some();
        if fails || self.down.load(Ordering::SeqCst) {
            let error = RegistryError::new(what, "the probe was told to be away, in all secrecy");
            return RegistryFuture::ready(Err(error));
        }
        let answer = answer();
        if *unpoisoned(&self.unanswered) == Some(what) {
            return RegistryFuture::boxed(async {
                drop(answer.await);
                std::future::pending().await
            });
        }
        answer
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry for Probe {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<Loaded>> {
        self.ask("load", || self.below.load(key, count_open))
    }

    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        self.ask("reserve", || self.below.reserve(reservation))
    }

    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        unpoisoned(&self.keys).push(login.key);
        self.ask("commit", || self.below.commit(login))
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        self.ask("cancel", || self.below.cancel(key, ended))
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        self.ask("update", || self.below.update(session, update))
    }

    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        self.ask("rotate", || self.below.rotate(rotation))
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.ask("end", || self.below.end(end))
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.ask("enforce_limit", || self.below.enforce_limit(session, limit, ended))
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.ask("list", || self.below.list(query))
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        self.ask("end_everyone", || self.below.end_everyone(ended))
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        self.ask("erase", || self.below.erase(user))
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        self.ask("export", || self.below.export(user))
    }

    fn enforces_limits(&self) -> bool {
        self.below.enforces_limits()
    }

    fn on_start(&self, now: Timestamp) {
        if !self.shared {
            self.below.on_start(now);
        }
    }

    fn is_shared(&self) -> bool {
        self.shared
    }
}
