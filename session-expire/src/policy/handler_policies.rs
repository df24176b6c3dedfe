//! Policies of handlers that are not known at start.
//!
//! `#[session_policy]` checks some handlers by an extractor, and actix announces no extractor when it
//! mounts a handler. The workers of a process therefore share what the first request to such a
//! handler tells: how strict its policy is, and that this is its policy today.

use std::{
    collections::HashSet,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Identifies the handler policies that a request has met, with their content; 0 for none.
pub(crate) type PolicyId = u64;

/// The handler policies that were met since the start.
#[derive(Debug)]
pub(crate) struct HandlerPolicies {
    known: RwLock<HashSet<PolicyId>>,
    /// The shortest write interval that one of them needs, in microseconds.
    write_interval: AtomicU64,
    /// `true` if one of them limits the number of sessions.
    counts_sessions: AtomicBool,
}

impl Default for HandlerPolicies {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            write_interval: AtomicU64::new(u64::MAX),
            counts_sessions: AtomicBool::new(false),
        }
    }
}

impl HandlerPolicies {
    /// Adds what the first request to a handler has met.
    pub(crate) fn insert(&self, id: PolicyId, write_interval: Duration, counts_sessions: bool) {
        let micros = u64::try_from(write_interval.as_micros()).unwrap_or(u64::MAX);
        self.write_interval.fetch_min(micros, Ordering::Relaxed);
        self.counts_sessions.fetch_or(counts_sessions, Ordering::Relaxed);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// Returns `true` if a handler of this process has these policies; `true` for none.
    pub(crate) fn contains(&self, id: PolicyId) -> bool {
        id == 0 || self.known.read().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    pub(crate) fn write_interval(&self) -> Duration {
        Duration::from_micros(self.write_interval.load(Ordering::Relaxed))
    }

    pub(crate) fn counts_sessions(&self) -> bool {
        self.counts_sessions.load(Ordering::Relaxed)
    }
}
