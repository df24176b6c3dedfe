//! A million sessions in memory: bytes per session, time per operation, and the longest pause.
//!
//! One thread runs all operations. Each time is that of the fastest round, as other load only adds
//! to it.

use std::{
    collections::HashMap,
    fs,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use session_expire::{
    MemoryRegistry, Policy,
    clock::{Clock, ManualClock},
    hours, minutes,
    registry::{NewLogin, RecordKey, Registry},
};

const RECORDS: usize = 1_000_000;
const USERS: usize = 300_000;
const FEW: usize = 1_000;

/// Operations that are timed together, and how often.
const BATCH: usize = 1_000;
const ROUNDS: usize = 60;

/// Prints the cost of a million sessions in memory.
pub(crate) fn measure() {
    let few = fill(FEW, FEW * USERS / RECORDS);
    let (few_login, few_load) = (time_login(&few), time_load(&few));
    let before = resident();
    let many = fill(RECORDS, USERS);
    let keys = RECORDS * size_of::<RecordKey>();
    let each = resident().saturating_sub(before).saturating_sub(keys) / RECORDS;
    let (login, load) = (time_login(&many), time_load(&many));
    let (few_bare, many_bare) = (time_bare_map(&few), time_bare_map(&many));
    let pause = longest_pause(&many);
    println!("{RECORDS} open sessions of {USERS} users in a MemoryRegistry\n");
    println!("{:<44}{:>12}{:>12}", "", "measured", "at most");
    row("bytes per session", each as f64, 400.0, "");
    row("login, relative to 1,000 sessions", login / few_login, 2.0, "×");
    row("load, relative to 1,000 sessions", load / few_load, 2.0, "×");
    row("load, relative to a plain HashMap", load / many_bare, 2.0, "×");
    row("longest login, with a purge", pause.as_secs_f64() * 1e3, 5.0, " ms");
    println!("\nlogin {few_login:.0} ns at 1,000, {login:.0} ns at 1,000,000");
    println!("load  {few_load:.0} ns at 1,000, {load:.0} ns at 1,000,000");
    println!(
        "get   {few_bare:.0} ns at 1,000, {many_bare:.0} ns at 1,000,000 from a plain HashMap of shared \
         records: the cost of cache misses in any table ({:.1}×)",
        many_bare / few_bare
    );
}

fn row(what: &str, measured: f64, target: f64, unit: &str) {
    let verdict = if measured <= target { "pass" } else { "MISS" };
    println!("{what:<44}{measured:>10.1}{unit:<3}{target:>9.0}{unit:<3} {verdict}");
}

/// A registry with its sessions.
struct Filled {
    registry: MemoryRegistry,
    keys: Vec<RecordKey>,
    users: usize,
    clock: ManualClock,
}

/// Returns the outcome of a registry that does not wait.
fn outcome<T>(operation: impl Future<Output = T>) -> T {
    match pin!(operation).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("a memory registry does not wait"),
    }
}

/// Returns a login of a user by number, on one of 40 devices.
fn login(number: usize, users: usize, clock: &ManualClock) -> NewLogin {
    let user = format!("user-{}@example.org", number % users);
    let mut login = NewLogin::new(user, clock.now(), &Policy::new().max_sessions(5));
    login.client.ip = Some([192, 0, 2, 7].into());
    login.client.device = format!("Firefox {} on Linux", number % 40).into();
    login
}

fn fill(records: usize, users: usize) -> Filled {
    let (registry, clock) = (MemoryRegistry::new(), ManualClock::default());
    let mut keys = Vec::with_capacity(records);
    for number in 0..records {
        let login = login(number, users, &clock);
        keys.push(login.key());
        outcome(registry.commit(login)).unwrap();
    }
    Filled { registry, keys, users, clock }
}

/// Returns the nanoseconds per operation of the fastest round. `inputs` returns those of a round.
fn fastest<T>(mut inputs: impl FnMut(usize) -> Vec<T>, run: impl Fn(T)) -> f64 {
    let mut best = Duration::MAX;
    for round in 0..ROUNDS {
        let batch = inputs(round);
        let began = Instant::now();
        batch.into_iter().for_each(&run);
        best = best.min(began.elapsed());
    }
    best.as_secs_f64() * 1e9 / BATCH as f64
}

/// Returns keys in an order that no cache predicts.
fn some_keys(filled: &Filled, round: usize) -> Vec<RecordKey> {
    let indices = (0..BATCH).map(|n| (round * BATCH + n) * 7_919 % filled.keys.len());
    indices.map(|index| filled.keys[index]).collect()
}

fn time_load(filled: &Filled) -> f64 {
    let keys = |round| some_keys(filled, round);
    fastest(keys, |key| drop(outcome(filled.registry.load(key, true))))
}

/// Returns the time of a lookup in a map with the same records, for comparison.
fn time_bare_map(filled: &Filled) -> f64 {
    let loaded = filled
        .keys
        .iter()
        .filter_map(|key| Some((*key, outcome(filled.registry.load(*key, true)).unwrap()?)));
    let map: HashMap<_, _> = loaded.map(|(key, loaded)| (key, loaded.record)).collect();
    fastest(|round| some_keys(filled, round), |key| drop(map.get(&key).cloned()))
}

fn time_login(filled: &Filled) -> f64 {
    // The numbers continue, so that every round finds the same number of sessions per user.
    let logins = |round: usize| {
        let numbers = (0..BATCH).map(|n| (round * BATCH + n) * 7_919);
        numbers.map(|number| login(number, filled.users, &filled.clock)).collect()
    };
    fastest(logins, |login| drop(outcome(filled.registry.commit(login))))
}

/// Returns the time of the longest login that purges the records of some hours. Of five
/// measurements the shortest counts, as other load only adds to it.
fn longest_pause(filled: &Filled) -> Duration {
    let pauses = (0..5).map(|_| {
        filled.clock.advance(hours(1) + minutes(1));
        let logins = (0..20_000).map(|number| login(number, filled.users, &filled.clock));
        let logins: Vec<_> = logins.collect();
        let took = logins.into_iter().map(|login| {
            let began = Instant::now();
            drop(outcome(filled.registry.commit(login)));
            began.elapsed()
        });
        took.max().unwrap_or_default()
    });
    let kept = pauses.min().unwrap_or_default();
    filled.clock.advance(hours(24 * 91));
    let last = login(0, filled.users, &filled.clock);
    let began = Instant::now();
    drop(outcome(filled.registry.commit(last)));
    // This login deletes all records of its shard.
    let deleted = began.elapsed();
    println!("purge that keeps all: {kept:.1?}; purge that deletes all: {deleted:.1?}\n");
    kept.max(deleted)
}

/// Returns the resident memory in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status")
        .expect("the memory is read from /proc, which needs Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1_024
}
