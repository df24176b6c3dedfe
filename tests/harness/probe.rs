//! A registry that counts what it is asked and can be taken away.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use session_expire::{
    Answer, Ended, Login, MemoryRegistry, Record, RecordKey, Registry, RegistryError, Timestamp,
};

/// A [`MemoryRegistry`] that is watched.
#[derive(Clone, Default)]
pub struct Probe {
    below: Arc<MemoryRegistry>,
    down: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<&'static str>>>,
    keys: Arc<Mutex<Vec<RecordKey>>>,
}

impl Probe {
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
        answer: impl FnOnce() -> Answer<'a, T>,
    ) -> Answer<'a, T> {
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
    fn login(&self, login: Login) -> Answer<'_, Record> {
        unpoisoned(&self.keys).push(login.key);
        self.ask("login", || self.below.login(login))
    }

    fn load(&self, key: RecordKey) -> Answer<'_, Option<Record>> {
        self.ask("load", || self.below.load(key))
    }

    fn touch(&self, key: RecordKey, seen: Timestamp, now: Timestamp) -> Answer<'_, ()> {
        self.ask("touch", || self.below.touch(key, seen, now))
    }

    fn end(&self, key: RecordKey, ended: Ended) -> Answer<'_, bool> {
        self.ask("end", || self.below.end(key, ended))
    }
}
