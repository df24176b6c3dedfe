//! Work of the watch thread: the sessions to load, and the results of their loads.

use std::task::Waker;

use super::{
    health::Health,
    load_queue::{LoadQueue, Task},
    stream_end::StreamEnd,
    table::{Loaded, NewWatch, SessionNumber, WatchRef, WatchTable},
};
use crate::{registry::change::Change, time::Timestamp};

/// Largest number of sessions whose loads start together.
pub(super) const BATCH: usize = 64;

/// Largest number of running loads, so that loads do not accumulate if the registry hangs.
const MAX_RUNNING: usize = 4 * BATCH;

/// State that the watcher and its thread share.
#[derive(Default)]
pub(super) struct Work {
    pub(super) table: WatchTable,
    queue: LoadQueue,
    health: Health,
    /// `true` if the registry is unavailable and one load may check whether it still is.
    may_probe: bool,
    running: usize,
    /// Number of batches with a load that has succeeded.
    successes: u64,
    /// `true` while the thread runs.
    pub(super) has_thread: bool,
    /// `true` after a shutdown.
    pub(super) has_stopped: bool,
}

impl Work {
    /// Opens a watch, and adds its session, because it may have ended since it was loaded.
    pub(super) fn open(&mut self, watch: NewWatch, now: Timestamp) -> (WatchRef, Vec<Waker>) {
        let (watch, wakers) = self.table.open(watch, now);
        if let Some(number) = self.table.session(&watch) {
            self.add(number, false);
        }
        (watch, wakers)
    }

    /// Closes a watch.
    pub(super) fn close(&mut self, watch: &WatchRef) {
        if let Some(number) = self.table.session(watch) {
            self.change_table(number, |table| table.close(watch));
        }
    }

    /// Changes the watches of a session. If none are left, removes the session from the queue.
    fn change_table<T>(
        &mut self,
        number: SessionNumber,
        change: impl FnOnce(&mut WatchTable) -> T,
    ) -> T {
        let load = self.table.load(number).copied().unwrap_or_default();
        let changed = change(&mut self.table);
        if self.table.load(number).is_none() {
            self.queue.remove(number, &load);
        }
        changed
    }

    /// Adds the sessions that a change concerns: the changed session, and after a pause the user's
    /// other sessions with an event stream.
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
                others.for_each(|number| self.queue.delay(number));
            }
        }
    }

    /// Adds all sessions.
    pub(super) fn add_all(&mut self, is_news: bool) {
        let all: Vec<_> = self.table.all().collect();
        all.into_iter().for_each(|number| self.add(number, is_news));
    }

    /// Adds a session, unless it waits already.
    pub(super) fn add(&mut self, number: SessionNumber, is_news: bool) {
        if let Some(load) = self.table.load_mut(number) {
            self.queue.add(number, load, is_news);
        }
    }

    /// Adds the sessions whose pause is over.
    pub(super) fn add_delayed(&mut self) {
        self.queue.take_delayed().into_iter().for_each(|number| self.add(number, true));
    }

    /// Adds the sessions whose loads have failed. In an outage, permits one load, which checks
    /// whether the registry is available again.
    pub(super) fn retry(&mut self) {
        match self.health {
            Health::Down => self.may_probe = true,
            Health::Up | Health::Suspect(_) => self.queue.retry(),
        }
    }

    /// Starts the next loads. Sessions whose deadline has passed get half of the batch. Then follow
    /// the sessions in the queue, and then further sessions whose deadline has passed.
    pub(super) fn take_batch(&mut self, now: Timestamp) -> Vec<Task> {
        let mut batch = vec![];
        let size = match self.health {
            Health::Down => return self.take_probe(now),
            Health::Suspect(_) => 1,
            Health::Up => BATCH,
        };
        let size = size.min(MAX_RUNNING.saturating_sub(self.running));
        self.take_due(&mut batch, size.div_ceil(2), now);
        while batch.len() < size
            && let Some(task) = self.queue.first().and_then(|number| self.start(number, false))
        {
            batch.push(task);
        }
        self.take_due(&mut batch, size, now);
        batch
    }

    fn take_due(&mut self, batch: &mut Vec<Task>, size: usize, now: Timestamp) {
        let due = self.table.due(now, size.saturating_sub(batch.len()));
        batch.extend(due.into_iter().filter_map(|number| self.start(number, false)));
    }

    /// Starts one load in an outage.
    fn take_probe(&mut self, now: Timestamp) -> Vec<Task> {
        let mut batch = vec![];
        if self.running == 0 {
            self.take_due(&mut batch, 1, now);
        }
        if self.running == 0
            && self.may_probe
            && let Some(number) = self.queue.probe()
        {
            self.may_probe = false;
            batch.extend(self.start(number, true));
        }
        batch
    }

    fn start(&mut self, number: SessionNumber, is_probe: bool) -> Option<Task> {
        let (key, successes) = (self.table.key(number)?, self.successes);
        let (ticket, is_news) = self.queue.start(number, self.table.load_mut(number)?);
        self.running += 1;
        Some(Task { number, key, is_news, is_probe, ticket, successes })
    }

    pub(super) fn has_tasks(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn has_delayed(&self) -> bool {
        self.queue.has_delayed()
    }

    /// Applies the results of loads in their order, and returns the wakers of the streams to
    /// notify.
    pub(super) fn apply(&mut self, results: Vec<(Task, Loaded)>, now: Timestamp) -> Vec<Waker> {
        let has_failed = self.update_health(&results);
        let mut wakers = vec![];
        for (task, loaded) in results {
            self.running = self.running.saturating_sub(1);
            wakers.extend(self.apply_one(&task, &loaded, now));
        }
        if has_failed && self.health == Health::Down {
            wakers.extend(self.end_due(now));
        }
        wakers
    }

    /// Returns `true` if loads have failed, and none has succeeded since they started.
    fn update_health(&mut self, results: &[(Task, Loaded)]) -> bool {
        let is_failed = |loaded: &Loaded| matches!(loaded, Loaded::Failed);
        let has_success = results.iter().any(|(_, loaded)| !is_failed(loaded));
        let failed = results
            .iter()
            .filter(|(task, loaded)| is_failed(loaded) && task.successes == self.successes);
        let failed: Vec<_> = failed.map(|(task, _)| task.number).collect();
        let former = self.health;
        self.health = former.after(has_success, &failed);
        self.successes += u64::from(has_success);
        if former == Health::Down && self.health == Health::Up {
            self.queue.retry();
        }
        !failed.is_empty()
    }

    fn apply_one(&mut self, task: &Task, loaded: &Loaded, now: Timestamp) -> Vec<Waker> {
        let load = self.table.load_mut(task.number);
        let Some(load) = load.filter(|load| load.running == Some(task.ticket)) else {
            // The watches of the session have closed since.
            return vec![];
        };
        if matches!(loaded, Loaded::Failed) {
            load.is_news |= task.is_news;
            self.queue.postpone(task.number, load, task.ticket);
        } else if task.is_probe {
            // The sessions before this one in the queue must be loaded first.
            load.is_news |= task.is_news;
            self.queue.restart(task.number, load, task.ticket);
            return vec![];
        } else {
            self.queue.finish(task.number, load);
        }
        self.change_table(task.number, |table| table.apply(task.number, loaded, task.is_news, now))
    }

    /// Ends the watches whose deadline has passed, because the registry is unavailable.
    fn end_due(&mut self, now: Timestamp) -> Vec<Waker> {
        let mut wakers = vec![];
        for number in self.table.due(now, usize::MAX) {
            let end = |table: &mut WatchTable| table.apply(number, &Loaded::Failed, false, now);
            wakers.extend(self.change_table(number, end));
        }
        wakers
    }

    /// Ends all watches, and refuses further ones.
    pub(super) fn stop(&mut self) -> Vec<Waker> {
        self.has_stopped = true;
        self.end_all(&StreamEnd::ShuttingDown)
    }

    /// Ends all watches.
    pub(super) fn end_all(&mut self, end: &StreamEnd) -> Vec<Waker> {
        let wakers = self.table.end_all(end);
        let (has_thread, has_stopped) = (self.has_thread, self.has_stopped);
        *self = Self { has_thread, has_stopped, ..Self::default() };
        wakers
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests;
