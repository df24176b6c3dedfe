//! Watched sessions: a listener loads them again after each report, as the middleware does.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use session_expire::{
    Policy, PublicId, RedisRegistry,
    registry::{
        Change, ChangeListener, EndSessions, EndTarget, NewLogin, RecordKey, Registry,
        Subscription, partition_key,
    },
};
use tokio::{
    runtime::Runtime,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use crate::{committed, login, revoked, session};

/// Pause between two checks.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Longest wait, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Number of threads that sign users in and out.
const WRITERS: usize = 8;

enum Message {
    Change(Change),
    /// A check has failed.
    Failed,
    /// A check that began at this time has succeeded.
    Checked(Instant),
}

struct Watched {
    key: RecordKey,
    partition: String,
    /// Time at which the end was acknowledged.
    ended_at: Option<Instant>,
}

/// Sessions that a listener has not yet seen as ended, and statistics.
#[derive(Default)]
struct Shared {
    sessions: Mutex<HashMap<PublicId, Watched>>,
    delays: Mutex<Vec<Duration>>,
    lost: AtomicU64,
    ends: AtomicU64,
    reports: AtomicU64,
    reports_of_any: AtomicU64,
    checks: AtomicU64,
    failed_checks: AtomicU64,
    is_over: AtomicBool,
}

/// Registry whose reports are compared with the ends by another registry.
pub struct Watch {
    runtime: Runtime,
    shared: Arc<Shared>,
}

impl Watch {
    /// Begins to listen to `here`, and to sign users in and out with `there`.
    pub fn start(runtime: Runtime, here: RedisRegistry, there: RedisRegistry) -> Self {
        let (shared, (sender, messages)) = (Arc::<Shared>::default(), unbounded_channel());
        let (here, there) = (Arc::new(here), Arc::new(there));
        let (to_load, counts) = (sender.clone(), Arc::clone(&shared));
        let listener = ChangeListener::new(move |change| {
            let is_any = u64::from(change == Change::Any);
            counts.reports.fetch_add(1 - is_any, Ordering::Relaxed);
            counts.reports_of_any.fetch_add(is_any, Ordering::Relaxed);
            let _ = to_load.send(Message::Change(change));
        });
        let subscription = here.subscribe(listener);
        runtime.spawn(check(Arc::clone(&shared), subscription, sender));
        runtime.spawn(load(Arc::clone(&shared), here, messages));
        for writer in 0..WRITERS {
            runtime.spawn(write(Arc::clone(&shared), Arc::clone(&there), writer));
        }
        Self { runtime, shared }
    }

    /// Waits for acknowledged ends, and for checks that succeed.
    pub fn wait_for(&self, ends: u64, checks: u64) {
        let [ends_before, checks_before] =
            [&self.shared.ends, &self.shared.checks].map(|count| count.load(Ordering::Relaxed));
        wait_until("sessions end, and checks succeed", || {
            self.shared.ends.load(Ordering::Relaxed) >= ends_before + ends
                && self.shared.checks.load(Ordering::Relaxed) >= checks_before + checks
        });
    }

    /// Runs a phase between two quiet periods, and prints its statistics.
    pub fn phase(&self, name: &str, run: impl FnOnce()) {
        self.wait_for(100, 3);
        self.shared.take_statistics();
        let began = Instant::now();
        run();
        self.wait_for(100, 3);
        let took = began.elapsed();
        println!("{name}, {took:.1?}: {}", self.shared.take_statistics());
        assert_eq!(self.shared.lost.load(Ordering::SeqCst), 0, "{name}: ends were not reported");
    }

    /// Stops the writers, and waits until the listener has seen every end.
    pub fn finish(self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        wait_until("every end has been seen", || {
            !self.shared.sessions().values().any(|watched| watched.ended_at.is_some())
        });
        self.wait_for(0, 1);
        assert_eq!(self.shared.lost.load(Ordering::SeqCst), 0, "ends were not reported");
        self.runtime.shutdown_background();
    }
}

impl Shared {
    fn sessions(&self) -> MutexGuard<'_, HashMap<PublicId, Watched>> {
        self.sessions.lock().unwrap()
    }

    fn take_statistics(&self) -> String {
        let mut delays = mem::take(&mut *self.delays.lock().unwrap());
        delays.sort();
        let delay = |part: f64| {
            let n = (delays.len().saturating_sub(1) as f64 * part) as usize;
            delays.get(n).copied().unwrap_or_default()
        };
        let [median, rare, longest] = [0.5, 0.99, 1.0].map(delay);
        let counts = [&self.reports, &self.reports_of_any, &self.failed_checks];
        let [reports, any, failed] = counts.map(|count| count.swap(0, Ordering::Relaxed));
        format!(
            "{} ends, seen after {median:.1?} (median), {rare:.1?} (99 %), {longest:.1?} (longest); \
             {reports} reports, {any} of any change, {failed} failed checks",
            delays.len()
        )
    }

    /// Counts sessions that ended before a check if the listener has not seen their ends after it.
    fn compare(&self, checked_at: Instant) {
        let is_lost = |watched: &&Watched| watched.ended_at.is_some_and(|at| at < checked_at);
        let lost = self.sessions().values().filter(is_lost).count();
        self.lost.fetch_add(lost as u64, Ordering::SeqCst);
        self.checks.fetch_add(1, Ordering::Relaxed);
    }
}

async fn check(
    shared: Arc<Shared>,
    subscription: Box<dyn Subscription>,
    sender: UnboundedSender<Message>,
) {
    loop {
        let began = Instant::now();
        let message = match subscription.check().await {
            Ok(true) => Message::Checked(began),
            _ => {
                shared.failed_checks.fetch_add(1, Ordering::Relaxed);
                Message::Failed
            }
        };
        if sender.send(message).is_err() {
            return;
        }
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}

/// Loads the sessions of each report.
async fn load(
    shared: Arc<Shared>,
    registry: Arc<RedisRegistry>,
    mut messages: UnboundedReceiver<Message>,
) {
    while let Some(message) = messages.recv().await {
        let is_of = |watched: &Watched| match &message {
            Message::Change(Change::Session { partition, .. } | Change::User { partition }) => {
                *partition == watched.partition
            }
            Message::Change(_) | Message::Failed => true,
            Message::Checked(_) => false,
        };
        let sessions: Vec<_> = shared
            .sessions()
            .iter()
            .filter(|(_, watched)| is_of(watched))
            .map(|(id, watched)| (*id, watched.key))
            .collect();
        join_all(sessions.into_iter().map(|(id, key)| load_one(&shared, &registry, id, key))).await;
        if let Message::Checked(at) = message {
            shared.compare(at);
        }
    }
}

async fn load_one(shared: &Shared, registry: &RedisRegistry, id: PublicId, key: RecordKey) {
    let loaded = loop {
        if let Ok(loaded) = registry.load(key, false).await {
            break loaded;
        }
    };
    let is_ended = loaded.is_some_and(|loaded| loaded.record.ended.is_some());
    if is_ended && let Some(watched) = shared.sessions().remove(&id) {
        let delay = watched.ended_at.map_or(Duration::ZERO, |at| at.elapsed());
        shared.delays.lock().unwrap().push(delay);
    }
}

/// Signs users in and out.
async fn write(shared: Arc<Shared>, registry: Arc<RedisRegistry>, writer: usize) {
    for n in 0_u64.. {
        if shared.is_over.load(Ordering::SeqCst) {
            return;
        }
        let login = login(&format!("{writer} {n}"), &Policy::new());
        if registry.commit(login.clone()).await.map(committed).is_ok() {
            end(&shared, &registry, &login).await;
        }
    }
}

async fn end(shared: &Shared, registry: &RedisRegistry, login: &NewLogin) {
    let partition = partition_key(&login.user);
    let watched = Watched { key: login.key(), partition, ended_at: None };
    shared.sessions().insert(login.id, watched);
    let target = EndTarget::Session(session(login));
    match registry.end(EndSessions::new(target, revoked())).await {
        Ok(_) => {
            let now = Instant::now();
            if let Some(watched) = shared.sessions().get_mut(&login.id) {
                watched.ended_at = Some(now);
            }
            shared.ends.fetch_add(1, Ordering::Relaxed);
        }
        // The end may be lost.
        Err(_) => _ = shared.sessions().remove(&login.id),
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
