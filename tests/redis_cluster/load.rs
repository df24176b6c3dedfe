//! Requests of many users at the same time, while a test breaks the servers.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt, mem,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use session_expire::error::RegistryError;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::user::{Counts, Registries, Request, User};

/// Longest wait for requests on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Number of users whose requests one task sends.
const USERS_PER_TASK: usize = 20;

/// Users, and the registries of two processes.
pub struct Load {
    pub runtime: Runtime,
    registries: Arc<Registries>,
    users: Vec<User>,
    users_per_task: usize,
}

/// Responses to users during one fault.
pub struct Measured {
    pub counts: Counts,
    /// Number of errors by their text.
    pub errors: BTreeMap<String, u64>,
    /// Longest time without a response, for each user.
    pub gaps: Vec<Duration>,
}

/// Progress of the requests during one fault.
#[derive(Default)]
pub struct Progress {
    is_over: AtomicBool,
    requests: AtomicU64,
    changes: AtomicU64,
    fault: OnceLock<Fault>,
    first_read: OnceLock<Duration>,
    first_change: OnceLock<Duration>,
    longest: Mutex<Duration>,
    gaps: Mutex<Vec<Duration>>,
    errors: Mutex<BTreeMap<String, u64>>,
}

struct Fault {
    began: Instant,
    is_affected: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

/// Sets the flag when it is dropped, even if the test panics.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Load {
    /// Returns users. Half of them may have one session, and the others three.
    pub fn new(runtime: Runtime, registries: Registries, users: usize, is_durable: bool) -> Self {
        let max_sessions = |n| if n % 2 == 0 { 1 } else { 3 };
        let new_user = |n| User::new(format!("user {n}"), max_sessions(n), is_durable);
        let users = (0..users).map(new_user).collect();
        let registries = Arc::new(registries);
        Self { runtime, registries, users, users_per_task: USERS_PER_TASK }
    }

    /// Sends the requests of each user in a separate task.
    pub fn with_task_per_user(self) -> Self {
        Self { users_per_task: 1, ..self }
    }

    /// Sends requests while `break_servers` runs, and then checks all sessions.
    pub fn run(&mut self, name: &str, break_servers: impl FnOnce(&Progress)) -> Counts {
        self.measure(name, break_servers).counts
    }

    /// Like [`run`](Self::run), but returns all measurements.
    pub fn measure(&mut self, name: &str, break_servers: impl FnOnce(&Progress)) -> Measured {
        let progress = Arc::<Progress>::default();
        let mut users = mem::take(&mut self.users);
        let mut tasks = JoinSet::new();
        while !users.is_empty() {
            let users = users.split_off(users.len().saturating_sub(self.users_per_task));
            let (progress, registries) = (Arc::clone(&progress), Arc::clone(&self.registries));
            tasks.spawn_on(send_requests(users, registries, progress), self.runtime.handle());
        }
        {
            let _stop = StopOnDrop(&progress.is_over);
            break_servers(&progress);
        }
        self.users = self.runtime.block_on(tasks.join_all()).into_iter().flatten().collect();
        let counts = self.check();
        println!("{name}: {counts}{progress}");
        let errors = mem::take(&mut *progress.errors.lock().unwrap());
        let gaps = mem::take(&mut *progress.gaps.lock().unwrap());
        Measured { counts, errors, gaps }
    }

    /// Compares all sessions with the models of their users.
    fn check(&mut self) -> Counts {
        let mut counts = Counts::default();
        for user in &mut self.users {
            self.runtime.block_on(user.check(&self.registries[0]));
            counts.add(&mem::take(&mut user.counts));
        }
        counts
    }
}

/// Sends requests of these users, one after another.
async fn send_requests(
    mut users: Vec<User>,
    registries: Arc<Registries>,
    progress: Arc<Progress>,
) -> Vec<User> {
    let mut answered = vec![Instant::now(); users.len()];
    let mut gaps = vec![Duration::ZERO; users.len()];
    while !progress.is_over.load(Ordering::SeqCst) {
        for (n, user) in users.iter_mut().enumerate() {
            let started = Instant::now();
            match user.send_one(&registries).await {
                Ok(request) => {
                    progress.count(request, started, &user.name);
                    let since = mem::replace(&mut answered[n], Instant::now());
                    gaps[n] = since.elapsed().max(gaps[n]);
                }
                Err(error) => {
                    progress.count_error(&error, started);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }
    progress.gaps.lock().unwrap().extend(gaps);
    users
}

impl Progress {
    /// Starts to measure the recovery of the affected users.
    pub fn begin_fault(&self, is_affected: impl Fn(&str) -> bool + Send + Sync + 'static) {
        let (began, is_affected) = (Instant::now(), Box::new(is_affected));
        assert!(self.fault.set(Fault { began, is_affected }).is_ok(), "one fault per run");
    }

    fn count(&self, request: Request, started: Instant, user: &str) {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.add_duration(started);
        let fault = self.fault.get().filter(|fault| started >= fault.began);
        let since = fault.filter(|fault| (fault.is_affected)(user));
        let since = since.map(|fault| fault.began.elapsed());
        if request == Request::Change {
            self.changes.fetch_add(1, Ordering::SeqCst);
            since.map(|since| self.first_change.set(since));
        } else {
            since.map(|since| self.first_read.set(since));
        }
    }

    fn count_error(&self, error: &RegistryError, started: Instant) {
        self.add_duration(started);
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        *self.errors.lock().unwrap().entry(without_address(&source)).or_default() += 1;
    }

    fn add_duration(&self, started: Instant) {
        let mut longest = self.longest.lock().unwrap();
        *longest = started.elapsed().max(*longest);
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
        if let (Some(read), Some(change)) = (self.first_read.get(), self.first_change.get()) {
            write!(f, "; {read:.1?} without a read, {change:.1?} without a login or an end")?;
        }
        for (error, count) in &*self.errors.lock().unwrap() {
            write!(f, "\n    {count} × {error}")?;
        }
        Ok(())
    }
}
