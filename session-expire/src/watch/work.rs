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
    /// Tasks whose load has failed, in their order.
    failed: VecDeque<Task>,
    /// `true` if the last load has failed. Until the next [`probe`](Self::probe), only sessions
    /// whose deadline has passed are loaded.
    is_down: bool,
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

    /// Adds all sessions that are not waiting already.
    pub(super) fn add_all(&mut self, is_news: bool) {
        self.tasks.iter_mut().for_each(|task| task.is_news |= is_news);
        let waiting: BTreeSet<_> = self.tasks.iter().map(|task| task.number).collect();
        let all = self.table.all().filter(|number| !waiting.contains(number));
        all.collect::<Vec<_>>().into_iter().for_each(|number| self.push(number, is_news));
    }

    /// Adds a session.
    pub(super) fn add(&mut self, number: SessionNumber, is_news: bool) {
        match self.tasks.len() < self.table.len() + MAX_TASKS {
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

    /// Lets the next batch find out whether the registry is available again. It starts with the
    /// sessions whose load has failed.
    pub(super) fn probe(&mut self) {
        self.is_down = false;
        self.failed.append(&mut self.tasks);
        std::mem::swap(&mut self.failed, &mut self.tasks);
    }

    /// Postpones a session whose load has failed.
    fn postpone(&mut self, task: Task) {
        self.is_down = true;
        self.failed.push_back(task);
    }

    /// Removes and returns the next sessions to load: reported ones, then those whose deadline has
    /// passed.
    pub(super) fn take_batch(&mut self, now: Timestamp) -> Vec<Task> {
        let mut batch = vec![];
        while !self.is_down
            && batch.len() < BATCH
            && let Some(task) = self.tasks.pop_front()
        {
            if self.table.key(task.number) == Some(task.key) {
                batch.push(task);
            }
        }
        if self.tasks.is_empty() {
            // Many streams that open at once leave a large queue.
            self.tasks.shrink_to(BATCH);
        }
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
            Loaded::Failed => self.postpone(task),
            Loaded::Record(_) | Loaded::Unknown if self.is_down => self.probe(),
            Loaded::Record(_) | Loaded::Unknown => {}
        }
        self.table.apply(task.number, task.key, loaded, task.is_news, now)
    }

    /// Ends all watches, and refuses further ones.
    pub(super) fn stop(&mut self, end: &StreamEnd) -> Vec<Waker> {
        self.has_stopped = true;
        self.tasks.clear();
        self.failed.clear();
        self.table.end_all(end)
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;
    use crate::{
        session::{key::PublicId, record::SessionRecord},
        time::minutes,
        watch::{
            slot::{Slot, WatchKind},
            table::tests::{NOON, login, watch},
        },
    };
    use std::sync::Arc;

    type Login = (RecordKey, SessionRecord);

    /// Opens a stream that expires after this number of minutes.
    fn open(work: &mut Work, login: &Login, kind: WatchKind, minute: u64) -> Arc<Slot> {
        work.table.open(watch(login, kind, minutes(minute)), NOON).1
    }

    /// Returns work with streams of this number of users.
    fn with_sessions(count: usize) -> Work {
        let mut work = Work::default();
        for number in 0..count {
            open(&mut work, &login(&format!("user {number}")), WatchKind::Guard, 10);
        }
        work
    }

    fn take(work: &mut Work) -> Vec<Task> {
        work.take_batch(NOON)
    }

    fn numbers(tasks: &[Task]) -> Vec<SessionNumber> {
        tasks.iter().map(|task| task.number).collect()
    }

    fn fail(work: &mut Work, tasks: Vec<Task>) {
        tasks.into_iter().for_each(|task| drop(work.apply(task, Loaded::Failed, NOON)));
    }

    #[test]
    fn sessions_are_loaded_in_the_order_of_the_reports() {
        let mut work = with_sessions(3);
        [2, 0, 1, 2].into_iter().for_each(|number| work.add(number, true));
        assert_eq!(numbers(&take(&mut work)), [2, 0, 1, 2]);
        assert_eq!(take(&mut work), []);
    }

    #[test]
    fn changed_session_is_loaded_before_pages_of_its_user() {
        let mut work = Work::default();
        let logins = [(); 4].map(|()| login("alice"));
        let kinds = [WatchKind::Page, WatchKind::Guard, WatchKind::Page, WatchKind::Guard];
        for (login, kind) in logins.iter().zip(kinds) {
            open(&mut work, login, kind, 10);
        }
        open(&mut work, &login("bob"), WatchKind::Page, 10);
        work.add_change(&Change::session(&logins[3].1.session_ref()));
        assert_eq!(numbers(&take(&mut work)), [3, 0, 2]);
        let unknown = SessionRecord { id: PublicId::random(), ..logins[0].1.clone() };
        work.add_change(&Change::session(&unknown.session_ref()));
        assert_eq!(numbers(&take(&mut work)), [0, 2]);
        work.add_change(&Change::user("alice"));
        assert_eq!(numbers(&take(&mut work)), [0, 1, 2, 3]);
        work.add_change(&Change::Any);
        assert_eq!(numbers(&take(&mut work)), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn reported_sessions_are_loaded_before_due_ones() {
        let mut work = Work::default();
        for minute in [3, 1, 2, 9] {
            open(&mut work, &login("alice"), WatchKind::Guard, minute);
        }
        work.add(3, true);
        let now = NOON.plus(minutes(3));
        assert_eq!(numbers(&work.take_batch(now)), [3]);
        assert_eq!(numbers(&work.take_batch(now)), [1, 2, 0], "the earliest deadline first");
    }

    #[test]
    fn failed_load_keeps_its_place() {
        let mut work = with_sessions(4);
        [2, 0].into_iter().for_each(|number| work.add(number, true));
        let batch = take(&mut work);
        work.add(1, true);
        fail(&mut work, batch);
        work.add(3, true);
        assert_eq!(take(&mut work), [], "the registry is unavailable");
        work.probe();
        assert_eq!(numbers(&take(&mut work)), [2, 0, 1, 3]);
    }

    #[test]
    fn successful_load_ends_the_outage() {
        let mut work = with_sessions(3);
        [0, 1].into_iter().for_each(|number| work.add(number, true));
        let batch = take(&mut work);
        work.add(2, true);
        fail(&mut work, vec![batch[0]]);
        drop(work.apply(batch[1], Loaded::Unknown, NOON));
        assert_eq!(numbers(&take(&mut work)), [0, 2]);
    }

    #[test]
    fn due_sessions_are_loaded_in_an_outage() {
        let mut work = with_sessions(2);
        work.add(1, true);
        let batch = take(&mut work);
        fail(&mut work, batch);
        assert_eq!(numbers(&work.take_batch(NOON.plus(minutes(10)))), [0, 1]);
    }

    /// In an outage, many streams end at their deadlines.
    #[test]
    fn probe_skips_closed_sessions() {
        let mut work = with_sessions(200);
        let last = login("last");
        open(&mut work, &last, WatchKind::Guard, 60);
        (0..=200).for_each(|number| work.add(number, true));
        for _ in 0..4 {
            work.probe();
            let batch = take(&mut work);
            fail(&mut work, batch);
        }
        let now = NOON.plus(minutes(10));
        loop {
            let due = work.take_batch(now);
            if due.is_empty() {
                break;
            }
            due.into_iter().for_each(|task| drop(work.apply(task, Loaded::Failed, now)));
        }
        assert_eq!(work.table.len(), 1);
        work.probe();
        let keys: Vec<_> = work.take_batch(now).into_iter().map(|task| task.key).collect();
        assert_eq!(keys, [last.0]);
    }

    #[test]
    fn task_of_a_closed_session_is_dropped() {
        let (mut work, alice, bob) = (Work::default(), login("alice"), login("bob"));
        let slot = open(&mut work, &alice, WatchKind::Guard, 10);
        work.add(0, true);
        work.table.close(0, &slot);
        open(&mut work, &bob, WatchKind::Guard, 10);
        assert_eq!(take(&mut work), [], "the number is in use for another session");
    }

    #[test]
    fn all_sessions_are_added_once() {
        let mut work = with_sessions(3);
        work.add(2, false);
        work.add_all(false);
        work.add_all(true);
        let batch = take(&mut work);
        assert_eq!(numbers(&batch), [2, 0, 1], "a session that waits keeps its place");
        assert!(batch.iter().all(|task| task.is_news));
    }

    #[test]
    fn too_many_tasks_become_one_for_each_session() {
        let mut work = with_sessions(2);
        (0..MAX_TASKS + 3).for_each(|_| work.add(1, false));
        assert_eq!(numbers(&take(&mut work)), [0, 1]);
    }

    #[test]
    fn stop_leaves_no_task() {
        let mut work = with_sessions(3);
        work.add_all(true);
        work.stop(&StreamEnd::ShuttingDown);
        assert!(work.has_stopped && !work.has_tasks() && work.table.is_empty());
    }
}
