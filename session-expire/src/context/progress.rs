//! Progress of a request.
//!
//! A request is settled once. The response future and settling record it.

use std::cell::Cell;

use super::RequestContext;
use crate::time::Timestamp;

/// Progress of a request.
pub(super) struct Progress {
    is_settled: Cell<bool>,
    /// `true` if the handler has waited, so that time may have passed.
    is_waiting: Cell<bool>,
    completed_at: Cell<Timestamp>,
    /// `true` if the body has failed.
    has_body_failed: Cell<bool>,
}

impl Progress {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            is_settled: Cell::new(false),
            is_waiting: Cell::new(false),
            completed_at: Cell::new(now),
            has_body_failed: Cell::new(false),
        }
    }

    /// Returns when the handler completed, or the time of the request if it did not wait.
    pub(super) fn completed_at(&self) -> Timestamp {
        self.completed_at.get()
    }
}

impl RequestContext {
    /// Returns `true` once the response was settled. After that, nothing is stored.
    pub(crate) fn is_settled(&self) -> bool {
        self.progress.is_settled.get()
    }

    pub(crate) fn set_settled(&self) {
        self.progress.is_settled.set(true);
    }

    pub(crate) fn set_waiting(&self) {
        self.progress.is_waiting.set(true);
    }

    /// Records the completion of the handler. A long request counts as activity until its end.
    pub(crate) fn record_completion(&self) {
        if self.progress.is_waiting.get() {
            self.progress.completed_at.set(self.config().now().max(self.now));
        }
    }

    pub(crate) fn set_body_failed(&self) {
        self.progress.has_body_failed.set(true);
    }

    /// Returns `true` if the body has failed because the session has ended or could not be checked.
    pub(crate) fn has_body_failed(&self) -> bool {
        self.progress.has_body_failed.get()
    }
}
