//! Watcher of an application, which opens watches and starts their thread.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::Notify;

use super::{slot::PageNews, stream_end::StreamEnd, table::WatchRef, thread, work::Work};
pub(crate) use super::{table::NewWatch, watched_session::LimitsFn};
use crate::{
    policy::limit::Limit,
    registry::{Registry, change::Change},
    time::clock::MonotonicClock,
};

/// Watcher of the sessions of an application. Its thread starts with the first watch, and ends when
/// the watcher is dropped. If the thread panics, the next watch starts a new one.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
}

/// State that the watches, the thread and the registry's listener share.
pub(super) struct Shared {
    /// Weak, because the thread must not be the last owner. Dropping a registry may wait for its
    /// files.
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
    watch: WatchRef,
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
        Self { shared: Arc::new(shared) }
    }

    /// Opens a watch.
    ///
    /// The session may have ended since it was loaded, so the thread loads it once more.
    ///
    /// # Errors
    ///
    /// Returns the end of the stream if the watcher is shut down or has no thread.
    pub(crate) fn open(&self, watch: NewWatch) -> Result<Watch, StreamEnd> {
        let shared = Arc::clone(&self.shared);
        let now = shared.clock.now();
        let mut work = shared.work();
        if work.has_stopped {
            return Err(StreamEnd::ShuttingDown);
        }
        work.has_thread = work.has_thread || thread::start(Arc::clone(&shared), now);
        if !work.has_thread {
            return Err(StreamEnd::Unavailable);
        }
        let (watch, wakers) = work.open(watch, now);
        drop(work);
        shared.wake.notify_one();
        wakers.into_iter().for_each(std::task::Waker::wake);
        Ok(Watch { shared, watch })
    }

    /// Ends all watches, and refuses further ones.
    pub(crate) fn shut_down(&self) {
        let wakers = self.shared.work().stop();
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
        self.watch.slot.poll_end(cx)
    }

    pub(crate) fn poll_news(&self, cx: &Context<'_>) -> Poll<PageNews> {
        self.watch.slot.poll_news(cx)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut work = self.shared.work();
        work.close(&self.watch);
        let is_last = work.table.is_empty();
        drop(work);
        if is_last {
            // The thread must notice that its subscription is unused.
            self.shared.wake.notify_one();
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher(…)")
    }
}
