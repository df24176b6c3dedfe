//! Watch thread: loads sessions that have changed or whose deadline has passed.
//!
//! It has a runtime of its own, so it does not depend on the workers, and no handler delays it. It
//! sleeps until the next deadline. The clock may be set, so it also wakes every [`TICK`].

use std::{
    sync::{Arc, Weak},
    task::Waker,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::{error::Elapsed, timeout},
};

use super::{stream_end::StreamEnd, table::Loaded, watcher::Shared, work::Task};
use crate::{
    error::RegistryError,
    policy::limit::Limit,
    registry::{
        StoredSession,
        change::{ChangeListener, Subscription},
    },
    session::key::RecordKey,
    time::Timestamp,
};

/// Longest time until the thread notices that the clock was set.
const TICK: Duration = Duration::from_millis(250);

/// Time between two attempts to load sessions while the registry is unavailable.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Longest time of a load or of a check. Registries have shorter timeouts of their own.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between two heartbeats of an event stream. Many proxies close a connection that is silent
/// for 30 or 60 seconds.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Starts the thread. Returns `false`, and logs the error, if that fails.
pub(super) fn start(shared: Arc<Shared>) -> bool {
    let started = Builder::new_current_thread().enable_all().build().and_then(|runtime| {
        let run = move || run(&runtime, &shared);
        std::thread::Builder::new().name("session-watch".to_owned()).spawn(run)
    });
    if let Err(error) = &started {
        tracing::error!(event = "sys_watch_not_started", %error, "no thread for open streams");
    }
    started.is_ok()
}

/// Ends all watches when the thread ends. If a registry panics, no stream outlives its session.
struct EndOnExit<'a>(&'a Shared);

impl Drop for EndOnExit<'_> {
    fn drop(&mut self) {
        let wakers = self.0.work().stop(&StreamEnd::Unavailable);
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn run(runtime: &Runtime, shared: &Arc<Shared>) {
    let _exit = EndOnExit(shared);
    let mut thread = WatchThread {
        shared: Arc::clone(shared),
        subscription: None,
        checked_at: Instant::now(),
        retried_at: Instant::now(),
        beaten_at: shared.clock.now(),
        last_now: shared.clock.now(),
    };
    runtime.block_on(thread.run());
}

struct WatchThread {
    shared: Arc<Shared>,
    subscription: Option<Box<dyn Subscription>>,
    checked_at: Instant,
    retried_at: Instant,
    beaten_at: Timestamp,
    last_now: Timestamp,
}

impl WatchThread {
    async fn run(&mut self) {
        loop {
            self.wait().await;
            if self.shared.work().has_stopped {
                return;
            }
            self.update_subscription();
            self.add_due_work().await;
            while self.process_batch().await {}
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

    /// Returns the time until the next deadline; `None` if there are no watches.
    fn next_wake(&self) -> Option<Duration> {
        let now = self.shared.clock.now();
        let work = self.shared.work();
        if work.table.is_empty() {
            return None;
        }
        let next = work.table.next_deadline().map(|deadline| deadline.since(now));
        Some(next.map_or(TICK, |next| next.clamp(Duration::from_millis(1), TICK)))
    }

    /// Subscribes to the registry while there are watches.
    fn update_subscription(&mut self) {
        let is_needed = !self.shared.work().table.is_empty();
        if is_needed && self.subscription.is_none() {
            let Some(registry) = self.shared.registry.upgrade() else { return };
            let shared = Arc::downgrade(&self.shared);
            let listener = ChangeListener::new(move |change| {
                if let Some(shared) = Weak::upgrade(&shared) {
                    shared.report(&change);
                }
            });
            self.subscription = Some(registry.subscribe(listener));
            self.checked_at = Instant::now();
            // Sessions may have changed between the opening of their watches and this moment.
            self.shared.work().add_all(false);
        } else if !is_needed {
            self.subscription = None;
        }
    }

    async fn add_due_work(&mut self) {
        self.add_work_after_step_back();
        if is_due(&mut self.retried_at, RETRY_INTERVAL) {
            self.shared.work().probe();
        }
        self.beat();
        if let Limit::At(interval) = self.shared.check_interval
            && is_due(&mut self.checked_at, interval)
        {
            self.check_reports().await;
        }
    }

    /// Sends a heartbeat to all event streams if it is time.
    fn beat(&mut self) {
        let now = self.shared.clock.now();
        if now < self.beaten_at || now.since(self.beaten_at) >= HEARTBEAT {
            self.beaten_at = now;
            let wakers = self.shared.work().table.beat();
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// After the clock was set back, the deadlines are too late.
    fn add_work_after_step_back(&mut self) {
        let now = self.shared.clock.now();
        if now < self.last_now {
            self.shared.work().add_all(false);
        }
        self.last_now = now;
    }

    /// Loads all sessions again if reports were lost.
    async fn check_reports(&self) {
        let Some(subscription) = &self.subscription else { return };
        let is_complete = timeout(LOAD_TIMEOUT, subscription.check()).await;
        if !matches!(is_complete, Ok(Ok(true))) {
            self.shared.work().add_all(true);
        }
    }

    /// Loads the next sessions, and notifies their streams in order. Returns `false` if there is
    /// nothing left to do.
    async fn process_batch(&self) -> bool {
        let now = self.shared.clock.now();
        let batch = self.shared.work().take_batch(now);
        let loads: Vec<_> = batch.into_iter().map(|task| (task, self.load(task.key))).collect();
        let is_done = loads.is_empty();
        for (task, load) in loads {
            self.apply(task, load.outcome().await);
        }
        !is_done
    }

    fn load(&self, key: RecordKey) -> Load {
        let Some(registry) = self.shared.registry.upgrade() else { return Load::Ready(None) };
        match registry.load(key, false).try_ready() {
            Ok(outcome) => Load::Ready(Some(outcome)),
            // The future borrows from `registry`, so load again in a task that owns it.
            Err(_) => {
                let registry = Arc::clone(&registry);
                let load = async move { registry.load(key, false).await };
                // All loads of a batch start now, so their timeouts must not add up.
                Load::Pending(tokio::spawn(timeout(LOAD_TIMEOUT, load)))
            }
        }
    }

    fn apply(&self, task: Task, outcome: LoadOutcome) {
        let loaded = match outcome {
            Some(Ok(Some(stored))) => Loaded::Record(stored.record),
            Some(Ok(None)) => Loaded::Unknown,
            Some(Err(_)) | None => Loaded::Failed,
        };
        let now = self.shared.clock.now();
        let wakers = self.shared.work().apply(task, loaded, now);
        wakers.into_iter().for_each(Waker::wake);
    }
}

type LoadResult = Result<Option<StoredSession>, RegistryError>;

/// Result of a load; `None` if it has taken too long or the registry was dropped.
type LoadOutcome = Option<LoadResult>;

enum Load {
    Ready(LoadOutcome),
    Pending(JoinHandle<Result<LoadResult, Elapsed>>),
}

impl Load {
    async fn outcome(self) -> LoadOutcome {
        match self {
            Self::Ready(outcome) => outcome,
            Self::Pending(load) => load.await.ok()?.ok(),
        }
    }
}

/// Returns `true`, and starts the next interval, if `interval` has passed since `last`.
fn is_due(last: &mut Instant, interval: Duration) -> bool {
    let is_due = last.elapsed() >= interval;
    if is_due {
        *last = Instant::now();
    }
    is_due
}
