//! Handler policies that are unknown when the application is mounted.
//!
//! `#[session_policy]` adds an extractor to some handlers, and actix does not mount extractors. The
//! first request to such a handler reveals its policy. All workers of a process share the known
//! policies.

use std::{
    collections::HashSet,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Id of the combination of handler policies that apply to a request; 0 for none. It depends on the
/// content of the policies.
pub(crate) type PolicyId = u64;

/// Handler policies that are known since the start of the process.
#[derive(Debug)]
pub(crate) struct HandlerPolicies {
    known: RwLock<HashSet<PolicyId>>,
    /// Shortest write interval of these policies, in microseconds.
    write_interval: AtomicU64,
    /// `true` if one of these policies limits the number of sessions.
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
    /// Adds a combination of handler policies.
    pub(crate) fn insert(&self, id: PolicyId, write_interval: Duration, counts_sessions: bool) {
        let micros = u64::try_from(write_interval.as_micros()).unwrap_or(u64::MAX);
        self.write_interval.fetch_min(micros, Ordering::Relaxed);
        self.counts_sessions.fetch_or(counts_sessions, Ordering::Relaxed);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// Returns `true` if this process knows the combination. The empty combination is always known.
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
