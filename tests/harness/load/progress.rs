//! Progress of requests during one fault.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use session_expire::error::RegistryError;

use super::user::Request;

/// Longest wait for requests on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Progress of the requests during one fault.
#[derive(Default)]
pub struct Progress {
    pub(super) is_over: AtomicBool,
    requests: AtomicU64,
    changes: AtomicU64,
    fault: OnceLock<Fault>,
    first_request: OnceLock<Duration>,
    first_change: OnceLock<Duration>,
    longest: Mutex<Duration>,
    pub(super) gaps: Mutex<Vec<Duration>>,
    pub(super) errors: Mutex<BTreeMap<String, u64>>,
}

struct Fault {
    began: Instant,
    is_affected: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

/// Times from a fault to the first successful request that began after it, and to the first login
/// or end.
#[derive(Clone, Copy, Default)]
pub struct Recovery {
    request: Duration,
    change: Duration,
}

impl Progress {
    /// Starts to measure the recovery of the affected users.
    pub fn begin_fault(&self, is_affected: impl Fn(&str) -> bool + Send + Sync + 'static) {
        let (began, is_affected) = (Instant::now(), Box::new(is_affected));
        assert!(self.fault.set(Fault { began, is_affected }).is_ok(), "one fault per run");
    }

    pub(super) fn count(&self, request: Request, started: Instant, user: &str) {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.add_duration(started);
        let fault = self.fault.get().filter(|fault| started >= fault.began);
        let since = fault.filter(|fault| (fault.is_affected)(user));
        let since = since.map(|fault| fault.began.elapsed());
        since.map(|since| self.first_request.set(since));
        if request == Request::Change {
            self.changes.fetch_add(1, Ordering::SeqCst);
            since.map(|since| self.first_change.set(since));
        }
    }

    pub(super) fn count_error(&self, error: &RegistryError, started: Instant) {
        self.add_duration(started);
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        *self.errors.lock().unwrap().entry(without_address(&source)).or_default() += 1;
    }

    fn add_duration(&self, started: Instant) {
        let mut longest = self.longest.lock().unwrap();
        *longest = started.elapsed().max(*longest);
    }

    /// Returns `None` before the first login or end.
    pub(super) fn recovery(&self) -> Option<Recovery> {
        let (request, change) = (*self.first_request.get()?, *self.first_change.get()?);
        Some(Recovery { request, change })
    }

    /// Waits for this number of further successful requests.
    pub fn wait_for_requests(&self, count: u64) {
        wait(&self.requests, count);
    }

    /// Waits for this number of further successful logins and ends.
    pub fn wait_for_changes(&self, count: u64) {
        wait(&self.changes, count);
    }

    /// Waits until an affected user has changed sessions after the fault.
    pub fn wait_for_recovery(&self) {
        let start = Instant::now();
        while self.first_change.get().is_none() {
            assert!(start.elapsed() < PATIENCE, "changes no longer succeed");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn wait(counter: &AtomicU64, count: u64) {
    let (start, before) = (Instant::now(), counter.load(Ordering::SeqCst));
    while counter.load(Ordering::SeqCst) < before + count {
        assert!(start.elapsed() < PATIENCE, "requests no longer succeed");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the text of an error without the port of a node.
fn without_address(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.starts_with("127.0.0.1:") {
        true => "a node:",
        false => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "; longest request {:.1?}", self.longest.lock().unwrap())?;
        if let Some(recovery) = self.recovery() {
            write!(f, "; {recovery}")?;
        }
        for (error, count) in &*self.errors.lock().unwrap() {
            write!(f, "\n    {count} × {error}")?;
        }
        Ok(())
    }
}

impl Recovery {
    /// Returns the longest times.
    pub fn max(self, other: Self) -> Self {
        let (request, change) = (self.request.max(other.request), self.change.max(other.change));
        Self { request, change }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, change } = self;
        write!(f, "{request:.1?} without a request, {change:.1?} without a login or an end")
    }
}
