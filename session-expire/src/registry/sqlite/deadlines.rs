//! Deadlines of operations.
//!
//! A thread that waits for the disk cannot report a timeout. A separate thread therefore fails the
//! operations whose deadline has passed. It uses no async runtime, so an operation can be awaited
//! on any runtime.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{error::FileError, unpoisoned};

/// Future outcome of an operation.
pub(super) type Response<T> = oneshot::Receiver<Result<T, FileError>>;

/// Sender of an outcome. The operation takes effect even if its future was dropped.
pub(super) struct Responder<T>(Arc<Slot<T>>);

/// Sender, which the outcome or the deadline takes, whichever comes first.
struct Slot<T>(Mutex<Option<oneshot::Sender<Result<T, FileError>>>>);

trait Expire: Send + Sync {
    fn expire(&self, error: FileError);
}

impl<T: Send> Expire for Slot<T> {
    fn expire(&self, error: FileError) {
        self.send(Err(error));
    }
}

impl<T> Slot<T> {
    fn send(&self, outcome: Result<T, FileError>) {
        if let Some(sender) = unpoisoned(&self.0).take() {
            // The receiver may have been dropped with its request.
            let _ = sender.send(outcome);
        }
    }
}

impl<T: Send + 'static> Responder<T> {
    pub(super) fn send(self, outcome: Result<T, FileError>) {
        self.0.send(outcome);
    }

    /// Returns `true` if the deadline has passed.
    pub(super) fn has_expired(&self) -> bool {
        unpoisoned(&self.0.0).is_none()
    }

    /// Returns `true` if the outcome can no longer be received.
    pub(super) fn is_abandoned(&self) -> bool {
        unpoisoned(&self.0.0).as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

/// Pending operations in the order of their deadlines.
#[derive(Default)]
pub(super) struct Deadlines {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pending: VecDeque<(Instant, Weak<dyn Expire>)>,
    /// When the thread wakes up; `None` if it waits without a deadline.
    wakes_at: Option<Instant>,
    is_closed: bool,
}

impl Deadlines {
    /// Returns a responder whose operation fails after `timeout`.
    pub(super) fn responder<T: Send + 'static>(
        &self,
        timeout: Duration,
    ) -> (Responder<T>, Response<T>) {
        let (sender, response) = oneshot::channel();
        let slot = Arc::new(Slot(Mutex::new(Some(sender))));
        let weak: Weak<Slot<T>> = Arc::downgrade(&slot);
        self.add(Instant::now() + timeout, weak);
        (Responder(slot), response)
    }

    fn add(&self, deadline: Instant, slot: Weak<dyn Expire>) {
        let mut state = unpoisoned(&self.state);
        while state.pending.front().is_some_and(|(_, slot)| slot.strong_count() == 0) {
            state.pending.pop_front();
        }
        state.pending.push_back((deadline, slot));
        if state.wakes_at.is_none_or(|at| deadline < at) {
            state.wakes_at = Some(deadline);
            self.changed.notify_one();
        }
    }

    /// Fails operations until [`close`](Self::close) is called. `error` returns their error.
    pub(super) fn run(&self, error: impl Fn() -> FileError) {
        let mut state = unpoisoned(&self.state);
        while !state.is_closed {
            let deadline = state.pending.front().map(|(deadline, _)| *deadline);
            state.wakes_at = deadline;
            let Some(deadline) = deadline else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left > Duration::ZERO {
                let waited = self.changed.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            } else if let Some((_, slot)) = state.pending.pop_front() {
                slot.upgrade().into_iter().for_each(|slot| slot.expire(error()));
            }
        }
    }

    /// Ends [`run`](Self::run).
    pub(super) fn close(&self) {
        unpoisoned(&self.state).is_closed = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_fails_at_its_deadline_unless_it_has_completed() {
        let deadlines = Deadlines::default();
        std::thread::scope(|scope| {
            scope.spawn(|| deadlines.run(|| FileError::Stopped));
            let (completed, outcome) = deadlines.responder(Duration::from_secs(3_600));
            completed.send(Ok(7));
            assert_eq!(outcome.blocking_recv().unwrap().unwrap(), 7);
            let (late, outcome) = deadlines.responder::<u32>(Duration::ZERO);
            outcome.blocking_recv().unwrap().unwrap_err();
            assert!(late.has_expired());
            late.send(Ok(7));
            deadlines.close();
        });
    }
}
