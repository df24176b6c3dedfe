//! Requests of many users at the same time, while a test breaks the servers.

mod counts;
mod progress;
mod user;

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, task::JoinHandle};

use self::user::{Registries, User};
pub use self::{
    counts::Counts,
    progress::{Progress, Recovery},
};

/// Users, and the registries of two processes.
///
/// Each user compares all responses with a model of its sessions.
pub struct Load {
    runtime: Runtime,
    registries: Arc<Registries>,
    users: Vec<User>,
    users_per_task: usize,
}

/// Responses to users during one fault.
pub struct Measured {
    /// Numbers of requests and of violated guarantees.
    pub counts: Counts,
    /// Number of errors by their text.
    pub errors: BTreeMap<String, u64>,
    /// Longest time without a response, for each user.
    pub gaps: Vec<Duration>,
    /// `None` if the test has marked no fault.
    pub recovery: Option<Recovery>,
}

/// Sets the flag when it is dropped, even if the test panics.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Load {
    /// Returns users with a limit of one to three sessions. If `is_durable` is set, no acknowledged
    /// change may be lost.
    pub fn new(runtime: Runtime, registries: Registries, users: usize, is_durable: bool) -> Self {
        let new_user = |n| User::new(format!("user {n}"), n % 3 + 1, is_durable);
        let users = (0..users).map(new_user).collect();
        let registries = Arc::new(registries);
        Self { runtime, registries, users, users_per_task: 20 }
    }

    /// Sets the number of users whose requests are sent one after another. The default is 20.
    pub fn users_per_task(self, users_per_task: usize) -> Self {
        Self { users_per_task, ..self }
    }

    /// Lets the first users only load after their login.
    pub fn only_loading(mut self, users: usize) -> Self {
        self.users[..users].iter_mut().for_each(|user| user.only_loads = true);
        self
    }

    /// Sends requests while `break_servers` runs, and then checks all sessions.
    pub fn run(&mut self, name: &str, break_servers: impl FnOnce(&Progress)) -> Counts {
        self.measure(name, break_servers).counts
    }

    /// Like [`run`](Self::run), but returns all measurements.
    pub fn measure(&mut self, name: &str, break_servers: impl FnOnce(&Progress)) -> Measured {
        let progress = Arc::<Progress>::default();
        let tasks = self.spawn(&progress);
        {
            let _stop = StopOnDrop(&progress.is_over);
            break_servers(&progress);
        }
        for task in tasks {
            self.users.extend(self.runtime.block_on(task).unwrap());
        }
        let counts = self.check();
        println!("{name}: {counts}{progress}");
        let errors = mem::take(&mut *progress.errors.lock().unwrap());
        let gaps = mem::take(&mut *progress.gaps.lock().unwrap());
        Measured { counts, errors, gaps, recovery: progress.recovery() }
    }

    /// Starts to send requests. The tasks return their users.
    fn spawn(&mut self, progress: &Arc<Progress>) -> Vec<JoinHandle<Vec<User>>> {
        let mut tasks = vec![];
        while !self.users.is_empty() {
            let count = self.users_per_task.min(self.users.len());
            let users = self.users.drain(..count).collect();
            let (registries, progress) = (Arc::clone(&self.registries), Arc::clone(progress));
            tasks.push(self.runtime.spawn(send_requests(users, registries, progress)));
        }
        tasks
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
