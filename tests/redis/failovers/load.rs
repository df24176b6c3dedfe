//! Requests of many users, without a pause.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use session_expire::RedisRegistry;

use super::user::{Request, User};

/// How long the requests of a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// State of the requests during one failover.
#[derive(Default)]
pub struct Load {
    is_over: AtomicBool,
    /// Successful requests.
    requests: AtomicU64,
    /// Successful logins and ends.
    changes: AtomicU64,
    pub promoted: OnceLock<Instant>,
    first_request: OnceLock<Duration>,
    first_change: OnceLock<Duration>,
}

/// Sets the flag when it is dropped, also if the test panics.
pub struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Load {
    pub fn stop_on_drop(&self) -> StopOnDrop<'_> {
        StopOnDrop(&self.is_over)
    }

    /// Sends requests of these users, one after the other.
    pub async fn run(&self, users: &mut [User], registry: &RedisRegistry) {
        while !self.is_over.load(Ordering::SeqCst) {
            for user in &mut *users {
                let started = Instant::now();
                match user.send_one(registry).await {
                    Ok(request) => self.count(request, started),
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        }
    }

    fn count(&self, request: Request, started: Instant) {
        let promoted = self.promoted.get().filter(|promoted| started >= **promoted);
        let since = promoted.map(Instant::elapsed);
        if let Some(since) = since {
            let _ = self.first_request.set(since);
        }
        self.requests.fetch_add(1, Ordering::SeqCst);
        if request == Request::Change {
            self.changes.fetch_add(1, Ordering::SeqCst);
            if let Some(since) = since {
                let _ = self.first_change.set(since);
            }
        }
    }

    /// Waits for so many more successful requests.
    pub fn wait_for_requests(&self, count: u64) {
        self.wait(&self.requests, count);
    }

    /// Waits for so many more successful logins and ends.
    pub fn wait_for_changes(&self, count: u64) {
        self.wait(&self.changes, count);
    }

    fn wait(&self, counter: &AtomicU64, count: u64) {
        let (start, before) = (Instant::now(), counter.load(Ordering::SeqCst));
        while counter.load(Ordering::SeqCst) < before + count {
            assert!(start.elapsed() < PATIENCE, "requests do not succeed any more");
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn resumed(&self) -> Resumed {
        let [request, change] =
            [&self.first_request, &self.first_change].map(|at| *at.get().unwrap());
        Resumed { request, change }
    }
}

/// Time from a promotion to the first successful request that began after it, and to the first login
/// or end.
#[derive(Clone, Copy, Default)]
pub struct Resumed {
    request: Duration,
    change: Duration,
}

impl Resumed {
    pub fn max(self, other: Self) -> Self {
        let (request, change) = (self.request.max(other.request), self.change.max(other.change));
        Self { request, change }
    }
}

impl fmt::Display for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, change } = self;
        write!(f, "{request:.1?} without a request, {change:.1?} without a login or an end")
    }
}
