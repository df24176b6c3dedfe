//! Watch thread: loads sessions that have changed or whose deadline has passed.
//!
//! The thread has a runtime of its own, so a handler that blocks a worker does not delay it. It
//! sleeps until the next deadline, at most for [`TICK`], because the clock may be set.

use std::{
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

use super::{
    running_loads::RunningLoads,
    stream_end::StreamEnd,
    watched_changes::{WatchedChanges, is_due},
    watcher::Shared,
};
use crate::time::Timestamp;

/// Longest time until the thread notices that the clock was set.
const TICK: Duration = Duration::from_millis(250);

/// Time between two attempts to load the sessions whose loads have failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Shortest time between two loads of a session because of changes of the user's other sessions.
const PAGE_INTERVAL: Duration = Duration::from_millis(250);

/// Time between two heartbeats of an event stream. Many proxies close a connection that is silent
/// for 30 or 60 seconds.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Starts the thread for the first watch. If the start fails, logs the error and returns `false`.
pub(super) fn start(shared: Arc<Shared>, now: Timestamp) -> bool {
    let started = Builder::new_current_thread().enable_all().build().and_then(|runtime| {
        let run = move || run(&runtime, &shared, now);
        std::thread::Builder::new().name("session-watch".to_owned()).spawn(run)
    });
    if let Err(error) = &started {
        tracing::error!(event = "sys_watch_not_started", %error, "no thread for open streams");
    }
    started.is_ok()
}

/// Ends all watches when the thread ends, for example after a panic of the registry. Otherwise,
/// streams could outlive their sessions. The next watch starts a new thread.
struct EndOnExit<'a>(&'a Shared);

impl Drop for EndOnExit<'_> {
    fn drop(&mut self) {
        let mut work = self.0.work();
        let wakers = work.end_all(&StreamEnd::Unavailable);
        work.has_thread = false;
        drop(work);
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn run(runtime: &Runtime, shared: &Arc<Shared>, now: Timestamp) {
    let _exit = EndOnExit(shared);
    let mut thread = WatchThread {
        shared: Arc::clone(shared),
        loads: RunningLoads::default(),
        changes: WatchedChanges::new(Arc::clone(shared)),
        retried_at: Instant::now(),
        delayed_at: None,
        heartbeat_at: now,
        last_now: now,
    };
    runtime.block_on(thread.run());
}

struct WatchThread {
    shared: Arc<Shared>,
    loads: RunningLoads,
    changes: WatchedChanges,
    retried_at: Instant,
    /// Time at which delayed sessions were added last.
    delayed_at: Option<Instant>,
    heartbeat_at: Timestamp,
    last_now: Timestamp,
}

impl WatchThread {
    async fn run(&mut self) {
        let mut is_idle = true;
        loop {
            if is_idle {
                self.wait().await;
            }
            if self.shared.work().has_stopped {
                return;
            }
            self.changes.update_subscription();
            self.do_periodic_work().await;
            is_idle = !self.process_batch().await;
        }
    }

    /// Waits for work, for the next deadline or for the next tick.
    async fn wait(&self) {
        let woken = self.shared.wake.notified();
        match self.next_wake() {
            None => woken.await,
            Some(after) => drop(timeout(after, woken).await),
        }
    }

    /// Returns the time until the next deadline; `None` if there is nothing to do.
    fn next_wake(&self) -> Option<Duration> {
        let now = self.shared.clock.now();
        let work = self.shared.work();
        if work.table.is_empty() {
            return self.changes.is_subscribed().then_some(TICK);
        }
        let next = match work.table.next_deadline() {
            Some(deadline) if deadline > now => deadline.since(now).max(Duration::from_millis(1)),
            // The deadline has just passed, or too many loads are running.
            Some(_) => Duration::from_millis(10),
            None => TICK,
        };
        let delayed = work.has_delayed().then(|| self.until_delayed());
        Some(next.min(TICK).min(delayed.unwrap_or(TICK)))
    }

    /// Returns the time until delayed sessions are added.
    fn until_delayed(&self) -> Duration {
        let elapsed = self.delayed_at.map_or(PAGE_INTERVAL, |at| at.elapsed());
        PAGE_INTERVAL.saturating_sub(elapsed)
    }

    async fn do_periodic_work(&mut self) {
        self.add_work_after_step_back();
        if is_due(&mut self.retried_at, RETRY_INTERVAL) {
            self.shared.work().retry();
        }
        self.add_delayed();
        self.send_heartbeats();
        self.changes.check_reports().await;
    }

    fn add_delayed(&mut self) {
        if self.until_delayed().is_zero() && self.shared.work().has_delayed() {
            self.delayed_at = Some(Instant::now());
            self.shared.work().add_delayed();
        }
    }

    /// Sends a heartbeat to all event streams if one is due.
    fn send_heartbeats(&mut self) {
        let now = self.shared.clock.now();
        if now < self.heartbeat_at || now.since(self.heartbeat_at) >= HEARTBEAT {
            self.heartbeat_at = now;
            let wakers = self.shared.work().table.send_heartbeats();
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// Loads all sessions after the clock was set back, because their deadlines are then too late.
    fn add_work_after_step_back(&mut self) {
        let now = self.shared.clock.now();
        if now < self.last_now {
            self.shared.work().add_all(false);
        }
        self.last_now = now;
    }

    /// Loads the next sessions, and notifies the streams in order. Returns `false` if there was
    /// nothing to do.
    async fn process_batch(&mut self) -> bool {
        let now = self.shared.clock.now();
        let batch = self.shared.work().take_batch(now);
        let has_started = !batch.is_empty();
        let results = self.loads.run(batch, &self.shared).await;
        let has_results = !results.is_empty();
        let now = self.shared.clock.now();
        let wakers = self.shared.work().apply(results, now);
        wakers.into_iter().for_each(Waker::wake);
        has_started || has_results
    }
}
