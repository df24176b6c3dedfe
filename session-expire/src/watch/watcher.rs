//! Watcher of an application: opens watches and starts their thread.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    slot::{PageNews, Slot},
    stream_end::StreamEnd,
    table::SessionNumber,
    thread,
    work::Work,
};
pub(crate) use super::{table::NewWatch, watched_session::LimitsFn};
use crate::{
    policy::limit::Limit,
    registry::{Registry, change::Change},
    time::clock::MonotonicClock,
};

/// Watcher of the sessions of an application. Its thread starts with the first watch, and ends when
/// the watcher is dropped.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    /// `false` if the thread could not be started.
    is_running: OnceLock<bool>,
}

/// State that watches, the thread and the registry's reports share.
pub(super) struct Shared {
    /// The thread must not be the last owner: dropping a registry may wait for its files.
    pub(super) registry: Weak<dyn Registry>,
    pub(super) clock: Arc<MonotonicClock>,
    /// Time between two checks for lost reports.
    pub(super) check_interval: Limit<Duration>,
    work: Mutex<Work>,
    /// Wakes the thread.
    pub(super) wake: Notify,
}

/// Open watch of a session. Dropping it closes the watch.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    number: SessionNumber,
    slot: Arc<Slot>,
}

impl Watcher {
    pub(crate) fn new(
        registry: &Arc<dyn Registry>,
        clock: Arc<MonotonicClock>,
        check_interval: Limit<Duration>,
    ) -> Self {
        let (work, wake) = (Mutex::default(), Notify::new());
        let registry = Arc::downgrade(registry);
        let shared = Shared { registry, clock, check_interval, work, wake };
        Self { shared: Arc::new(shared), is_running: OnceLock::new() }
    }

    /// Opens a watch.
    ///
    /// The session may have ended since it was loaded, so the thread loads it once more.
    ///
    /// # Errors
    ///
    /// Returns the end of the stream if the watcher is shut down or has no thread.
    pub(crate) fn open(&self, watch: NewWatch) -> Result<Watch, StreamEnd> {
        if !self.is_running.get_or_init(|| thread::start(Arc::clone(&self.shared))) {
            return Err(StreamEnd::Unavailable);
        }
        let now = self.shared.clock.now();
        let mut work = self.shared.work();
        if work.has_stopped {
            return Err(StreamEnd::ShuttingDown);
        }
        let (number, slot, wakers) = work.table.open(watch, now);
        work.add(number, false);
        drop(work);
        self.shared.wake.notify_one();
        wakers.into_iter().for_each(std::task::Waker::wake);
        Ok(Watch { shared: Arc::clone(&self.shared), number, slot })
    }

    /// Ends all watches, and refuses further ones.
    pub(crate) fn shut_down(&self) {
        let wakers = self.shared.work().stop(&StreamEnd::ShuttingDown);
        self.shared.wake.notify_one();
        wakers.into_iter().for_each(std::task::Waker::wake);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Shared {
    pub(super) fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives a report of the registry.
    pub(super) fn report(&self, change: &Change) {
        let mut work = self.work();
        work.add_change(change);
        let has_tasks = work.has_tasks();
        drop(work);
        if has_tasks {
            self.wake.notify_one();
        }
    }
}

impl Watch {
    pub(crate) fn poll_end(&self, cx: &Context<'_>) -> Poll<StreamEnd> {
        self.slot.poll_end(cx)
    }

    pub(crate) fn poll_news(&self, cx: &Context<'_>) -> Poll<PageNews> {
        self.slot.poll_news(cx)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut work = self.shared.work();
        work.table.close(self.number, &self.slot);
        let is_last = work.table.is_empty();
        drop(work);
        if is_last {
            // The thread ends its subscription.
            self.shared.wake.notify_one();
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher(…)")
    }
}
