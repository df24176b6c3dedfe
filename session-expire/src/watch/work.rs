//! Work of the watch thread: sessions to load, in the order of the reports.

use std::{
    collections::{BTreeSet, VecDeque},
    task::Waker,
};

use super::{
    stream_end::StreamEnd,
    table::{Loaded, SessionNumber, WatchTable},
};
use crate::{registry::change::Change, session::key::RecordKey, time::Timestamp};

/// Largest number of sessions that are loaded at the same time.
pub(super) const BATCH: usize = 64;

/// Largest number of waiting tasks. Instead of more, all sessions are loaded again.
const MAX_TASKS: usize = 100_000;

/// State that the watcher and its thread share.
#[derive(Default)]
pub(super) struct Work {
    pub(super) table: WatchTable,
    tasks: VecDeque<Task>,
    /// Sessions whose load has failed, or was not tried because another one had failed.
    failed: VecDeque<SessionNumber>,
    /// `true` after a shutdown, or if the thread has ended.
    pub(super) has_stopped: bool,
}

/// Session to load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Task {
    pub(super) number: SessionNumber,
    pub(super) key: RecordKey,
    /// `true` if its event streams get an event.
    pub(super) is_news: bool,
}

impl Work {
    /// Adds the sessions that a change concerns: first the changed session, then the others of the
    /// user that have an event stream.
    pub(super) fn add_change(&mut self, change: &Change) {
        match change {
            Change::Any => self.add_all(true),
            Change::User { partition } => {
                let sessions: Vec<_> = self.table.in_partition(partition).collect();
                sessions.into_iter().for_each(|number| self.add(number, true));
            }
            Change::Session { partition, id } => {
                let sessions = self.table.in_partition(partition);
                let (changed, others): (Vec<_>, Vec<_>) =
                    sessions.partition(|number| self.table.has_id(*number, *id));
                changed.into_iter().for_each(|number| self.add(number, true));
                let others = others.into_iter().filter(|number| self.table.has_page(*number));
                let others: Vec<_> = others.collect();
                others.into_iter().for_each(|number| self.add(number, true));
            }
        }
    }

    /// Adds all sessions. Tasks that wait would load some of them twice.
    pub(super) fn add_all(&mut self, is_news: bool) {
        let sessions: Vec<_> = self.table.all().collect();
        sessions.into_iter().for_each(|number| self.push(number, is_news));
    }

    /// Adds a session.
    pub(super) fn add(&mut self, number: SessionNumber, is_news: bool) {
        match self.tasks.len() < MAX_TASKS {
            true => self.push(number, is_news),
            false => {
                self.tasks.clear();
                self.add_all(true);
            }
        }
    }

    fn push(&mut self, number: SessionNumber, is_news: bool) {
        if let Some(key) = self.table.key(number) {
            self.tasks.push_back(Task { number, key, is_news });
        }
    }

    /// Adds the session whose load failed first, to find out whether the registry is available
    /// again.
    pub(super) fn probe(&mut self) {
        if let Some(number) = self.failed.pop_front() {
            self.push(number, true);
        }
    }

    /// Adds the sessions whose load has failed: the registry is available again.
    pub(super) fn retry(&mut self) {
        for number in std::mem::take(&mut self.failed) {
            self.push(number, true);
        }
    }

    /// Postpones a session whose load has failed, and all waiting tasks.
    pub(super) fn postpone(&mut self, number: SessionNumber) {
        let waiting = self.tasks.drain(..).map(|task| task.number);
        let mut failed: Vec<_> = self.failed.drain(..).chain(waiting).collect();
        failed.push(number);
        let mut known = BTreeSet::new();
        failed.retain(|number| known.insert(*number));
        self.failed = failed.into();
    }

    /// Removes and returns the next sessions to load: reported ones, then those whose deadline has
    /// passed.
    pub(super) fn take_batch(&mut self, now: Timestamp) -> Vec<Task> {
        let waiting = self.tasks.len().min(BATCH);
        let mut batch: Vec<_> = self.tasks.drain(..waiting).collect();
        if batch.is_empty() {
            let due = self.table.due(now).take(BATCH);
            let tasks = due.filter_map(|number| {
                Some(Task { number, key: self.table.key(number)?, is_news: false })
            });
            batch.extend(tasks);
        }
        batch
    }

    pub(super) fn has_tasks(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Applies the result of loading a session, and returns the wakers of the streams to notify.
    pub(super) fn apply(&mut self, task: Task, loaded: Loaded, now: Timestamp) -> Vec<Waker> {
        match loaded {
            Loaded::Failed => self.postpone(task.number),
            Loaded::Record(_) | Loaded::Unknown => self.retry(),
        }
        self.table.apply(task.number, task.key, loaded, task.is_news, now)
    }

    /// Ends all watches, and refuses further ones.
    pub(super) fn stop(&mut self, end: &StreamEnd) -> Vec<Waker> {
        self.has_stopped = true;
        self.table.end_all(end)
    }
}
