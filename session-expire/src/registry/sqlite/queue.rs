//! Bounded queue of tasks for the threads of the registry.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
};

use super::unpoisoned;

/// Maximum number of waiting tasks.
pub(super) const CAPACITY: usize = 10_000;

/// Order in which tasks are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// Logins, ends and data.
    High,
    /// Activity of sessions.
    Low,
}

/// Queue with two priorities.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

struct State<T> {
    high: VecDeque<T>,
    low: VecDeque<T>,
    is_closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let state = State { high: VecDeque::new(), low: VecDeque::new(), is_closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new() }
    }

    /// Adds a task. Returns it if the queue is full.
    pub(super) fn push(&self, task: T, priority: Priority) -> Result<(), T> {
        let mut state = unpoisoned(&self.state);
        let queue = match priority {
            Priority::High => &mut state.high,
            Priority::Low => &mut state.low,
        };
        if queue.len() >= CAPACITY {
            return Err(task);
        }
        queue.push_back(task);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for a task and returns it; `None` if the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = unpoisoned(&self.state);
        loop {
            match state.high.pop_front().or_else(|| state.low.pop_front()) {
                None if !state.is_closed => {
                    state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                task => return task,
            }
        }
    }

    /// Returns more tasks without waiting: up to `high` and `low` of each priority.
    pub(super) fn take(&self, high: usize, low: usize) -> Vec<T> {
        let mut state = unpoisoned(&self.state);
        let (high, low) = (high.min(state.high.len()), low.min(state.low.len()));
        let mut taken: Vec<_> = state.high.drain(..high).collect();
        taken.extend(state.low.drain(..low));
        taken
    }

    /// Returns `true` if no task waits and the queue is open.
    pub(super) fn is_idle(&self) -> bool {
        let state = unpoisoned(&self.state);
        state.high.is_empty() && state.low.is_empty() && !state.is_closed
    }

    /// Lets the threads end after the waiting tasks.
    pub(super) fn close(&self) {
        unpoisoned(&self.state).is_closed = true;
        self.filled.notify_all();
    }
}
