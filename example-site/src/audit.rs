//! Audit log: the last events of all sessions, in memory.
//!
//! The asynchronous observer adds the events, and the audit page shows them. All workers share the
//! log. A real site writes the events to a database instead.

use std::{
    collections::VecDeque,
    future::{Ready, ready},
    sync::{Arc, Mutex, PoisonError},
};

use session_expire::event::OwnedEvent;

/// Largest number of events in the log.
pub(crate) const CAPACITY: usize = 100;

/// Last events of all sessions. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct AuditLog(Arc<Mutex<VecDeque<OwnedEvent>>>);

impl AuditLog {
    /// Adds an event. If the log is full, deletes the oldest event.
    pub(crate) fn push(&self, event: OwnedEvent) {
        self.with(|events| {
            events.truncate(CAPACITY - 1);
            events.push_front(event);
        });
    }

    /// Returns an asynchronous observer that adds the events.
    pub(crate) fn observer(&self) -> impl Fn(OwnedEvent) -> Ready<()> + Send + Sync + 'static {
        let log = self.clone();
        move |event| {
            log.push(event);
            ready(())
        }
    }

    /// Returns the events, newest first.
    pub(crate) fn events(&self) -> Vec<OwnedEvent> {
        self.with(|events| events.iter().cloned().collect())
    }

    fn with<T>(&self, action: impl FnOnce(&mut VecDeque<OwnedEvent>) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use session_expire::{clock::Timestamp, event::Event};

    use super::*;

    #[test]
    fn full_log_keeps_newest_events() {
        let log = AuditLog::default();
        for count in 0..150 {
            log.push(OwnedEvent::new(&Event::everyone_ended(count), Timestamp::from_millis(0)));
        }
        let counts: Vec<_> = log.clone().events().iter().filter_map(|event| event.count).collect();
        assert_eq!(counts, (50..150).rev().collect::<Vec<_>>());
    }
}
