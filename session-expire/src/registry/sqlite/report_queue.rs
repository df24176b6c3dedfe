//! Subscriptions to the changes of sessions, and the rounds of the reporter for them.

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use super::{
    deadlines::Responder, error::FileError, operations::outcome, shared::Shared, unpoisoned,
};
use crate::{
    error::RegistryError,
    registry::{
        RegistryFuture,
        change::{Change, ChangeListener, Listeners, Subscription},
    },
};

/// Time between two rounds, which detect the changes by other processes.
const INTERVAL: Duration = Duration::from_millis(100);

/// Subscriptions of one registry.
#[derive(Default)]
pub(super) struct ReportQueue {
    listeners: Listeners,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Set if the reporter must read without waiting for the interval.
    is_due: bool,
    checks: Vec<Responder<bool>>,
    is_closed: bool,
    /// Set while the reporter waits for a subscription, until its next round.
    is_idle: bool,
}

/// One read by the reporter.
pub(super) struct Round {
    /// Set for the first round after a time without subscriptions.
    pub(super) is_first: bool,
    /// Checks that the round completes.
    pub(super) checks: Vec<Responder<bool>>,
}

impl ReportQueue {
    fn add(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        let listening = self.listeners.subscribe(listener, false);
        self.wake();
        listening
    }

    /// Reports a change to the listeners.
    pub(super) fn report(&self, change: Change) {
        self.listeners.report(|| change);
    }

    /// Wakes the reporter, which reads at once. Without subscriptions, this costs one atomic load.
    pub(super) fn wake(&self) {
        if !self.listeners.is_empty() {
            unpoisoned(&self.state).is_due = true;
            self.changed.notify_one();
        }
    }

    /// Adds a check, which the next round completes. The check fails if the reporter has ended.
    fn check(&self, check: Responder<bool>) {
        let mut state = unpoisoned(&self.state);
        if !state.is_closed {
            state.checks.push(check);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Waits until the reporter must read. Returns `None` if the registry was dropped.
    pub(super) fn next_round(&self) -> Option<Round> {
        let next = Instant::now() + INTERVAL;
        let mut state = unpoisoned(&self.state);
        while !state.is_closed {
            let left = next.saturating_duration_since(Instant::now());
            if self.listeners.is_empty() {
                state.is_idle = true;
                state.checks.clear();
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else if state.is_due || !state.checks.is_empty() || left.is_zero() {
                state.is_due = false;
                let is_first = mem::take(&mut state.is_idle);
                return Some(Round { is_first, checks: mem::take(&mut state.checks) });
            } else {
                let waited = self.changed.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        None
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        unpoisoned(&self.state).is_idle
    }

    /// Ends the reporter. Later checks fail.
    pub(super) fn close(&self) {
        let mut state = unpoisoned(&self.state);
        state.is_closed = true;
        state.checks.clear();
        drop(state);
        self.changed.notify_one();
    }
}

/// Subscription to a registry. It does not keep the registry open.
struct SqliteSubscription {
    shared: Weak<Shared>,
    /// Removes the listener when it is dropped.
    _listening: Box<dyn Subscription>,
}

/// Subscribes `listener` to the changes of the file.
pub(super) fn subscribe(shared: &Arc<Shared>, listener: ChangeListener) -> Box<dyn Subscription> {
    let listening = shared.report_queue.add(listener);
    Box::new(SqliteSubscription { shared: Arc::downgrade(shared), _listening: listening })
}

impl Subscription for SqliteSubscription {
    /// Waits for a round that begins after this call.
    fn check(&self) -> RegistryFuture<'_, bool> {
        const NAME: &str = "check for lost reports";
        let Some(shared) = self.shared.upgrade() else {
            return RegistryFuture::ready(Err(RegistryError::new(NAME, FileError::Stopped)));
        };
        let (responder, response) = shared.deadlines.responder(shared.options().timeout);
        shared.report_queue.check(responder);
        outcome(NAME, response)
    }
}
