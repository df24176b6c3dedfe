//! A registry that counts what it is asked and can be taken away.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use session_expire::{
    ActivityUpdate, EndTarget, Ended, Loaded, LoginOutcome, MemoryRegistry, NewLogin, Query,
    RecordKey, Registry, RegistryError, RegistryFuture, SessionLimit, SessionRecord, Timestamp,
};

/// A [`MemoryRegistry`] that is watched.
#[derive(Clone, Default)]
pub struct Probe {
    below: Arc<MemoryRegistry>,
    down: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<&'static str>>>,
    keys: Arc<Mutex<Vec<RecordKey>>>,
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
        if self.down.load(Ordering::SeqCst) {
            let error = RegistryError::new(what, "the probe was told to be away, in all secrecy");
            return Box::pin(std::future::ready(Err(error)));
        }
        answer()
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry for Probe {
    fn login(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        unpoisoned(&self.keys).push(login.key);
        self.ask("login", || self.below.login(login))
    }

    fn load(&self, key: RecordKey) -> RegistryFuture<'_, Option<Loaded>> {
        self.ask("load", || self.below.load(key))
    }

    fn touch(&self, key: RecordKey, change: ActivityUpdate) -> RegistryFuture<'_, ()> {
        self.ask("touch", || self.below.touch(key, change))
    }

    fn end(&self, target: EndTarget, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.ask("end", || self.below.end(target, ended))
    }

    fn make_room(
        &self,
        key: RecordKey,
        room: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.ask("make_room", || self.below.make_room(key, room, ended))
    }

    fn find(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.ask("find", || self.below.find(query))
    }

    fn begin(&self, now: Timestamp) {
        if !self.shared {
            self.below.begin(now);
        }
    }

    fn shared(&self) -> bool {
        self.shared
    }
}
