//! Emission of events to the log, the metrics and the observers.

use super::{Event, Observer, OwnedEvent, queue::EventQueue};
use crate::time::Timestamp;

/// Receivers of events.
#[derive(Default)]
pub(crate) struct Emitter {
    pub(crate) observer: Option<Observer>,
    pub(crate) queue: Option<EventQueue>,
    /// `true` if log lines name user, actor, address and device.
    pub(crate) logs_users: bool,
}

impl Emitter {
    pub(crate) fn emit(&self, event: &Event<'_>, now: impl FnOnce() -> Timestamp) {
        event.trace(self.logs_users);
        #[cfg(feature = "metrics")]
        event.count();
        if let Some(observer) = &self.observer {
            observer(event);
        }
        if let Some(queue) = &self.queue {
            queue.push(OwnedEvent::new(event, now()));
        }
    }

    pub(crate) fn has_observer(&self) -> bool {
        self.observer.is_some() || self.queue.is_some()
    }
}
