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
    MemoryRegistry, Policy, Reason,
    clock::{Clock, ManualClock},
    hours, minutes,
    registry::{Ended, NewLogin, Query, RecordKey, Registry},
};

const RECORDS: usize = 1_000_000;
const USERS: usize = 300_000;
const FEW: usize = 1_000;

/// Operations that are timed together, and how often.
const BATCH: usize = 1_000;
const ROUNDS: usize = 60;

/// Prints the cost of a million sessions in memory, and of users with many sessions.
pub(crate) fn measure() {
    // Kept, because the memory of freed records would be reused.
    let kept = measure_users();
    measure_million();
    drop(kept);
}

/// Prints the cost of users with 1 to 1,000 sessions. Returns the filled registries.
fn measure_users() -> Vec<Filled> {
    println!("{:<24}{:>12}{:>12}{:>14}", "100,000 open sessions", "bytes each", "login", "load");
    let mut kept = vec![];
    for sessions in [1, 10, 100, 1_000] {
        let before = resident();
        let filled = fill_limited(100_000, 100_000 / sessions, sessions);
        let keys = filled.keys.len() * size_of::<RecordKey>();
        let each = resident().saturating_sub(before).saturating_sub(keys) / filled.keys.len();
        let (login, load) = (time_login(&filled), time_load(&filled));
        println!("{sessions:>5} per user {:>9}{each:>12}{login:>9.0} ns{load:>11.0} ns", "");
        kept.push(filled);
    }
    kept
}

fn measure_million() {
    let few = fill(FEW, FEW * USERS / RECORDS);
    let (few_login, few_load) = (time_login(&few), time_load(&few));
    let before = resident();
    let many = fill(RECORDS, USERS);
    let keys = RECORDS * size_of::<RecordKey>();
    let each = resident().saturating_sub(before).saturating_sub(keys) / RECORDS;
    let (login, load) = (time_login(&many), time_load(&many));
    let (few_bare, many_bare) = (time_bare_map(&few), time_bare_map(&many));
    let (newest, everyone) = (time_newest(&many), time_end_everyone());
    let pause = longest_pause(&many);
    println!("{RECORDS} open sessions of {USERS} users in a MemoryRegistry\n");
    println!("{:<44}{:>12}{:>12}", "", "measured", "at most");
    row("bytes per session", each as f64, 450.0, "");
    row("login, relative to 1,000 sessions", login / few_login, 2.0, "×");
    row("load, relative to 1,000 sessions", load / few_load, 2.0, "×");
    row("load, relative to a plain HashMap", load / many_bare, 2.0, "×");
    row("newest 50 of all users", newest, 20.0, " ms");
    row("end of all sessions", everyone, 20.0, " ms");
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
    max_sessions: usize,
    clock: ManualClock,
}

impl Filled {
    fn login(&self, number: usize) -> NewLogin {
        login(number, self.users, self.max_sessions, &self.clock)
    }
}

/// Returns the outcome of a registry that does not wait.
fn outcome<T>(operation: impl Future<Output = T>) -> T {
    match pin!(operation).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("a memory registry does not wait"),
    }
}

/// Returns a login of a user by number, on one of 40 devices.
fn login(number: usize, users: usize, max_sessions: usize, clock: &ManualClock) -> NewLogin {
    let user = format!("user-{}@example.org", number % users);
    let policy = Policy::new().max_sessions(u32::try_from(max_sessions).unwrap());
    let mut login = NewLogin::new(user, clock.now(), &policy);
    login.client.ip = Some([192, 0, 2, 7].into());
    login.client.device = format!("Firefox {} on Linux", number % 40).into();
    login
}

fn fill(records: usize, users: usize) -> Filled {
    fill_limited(records, users, 5)
}

/// Returns a registry in which every user may have `max_sessions` sessions.
fn fill_limited(records: usize, users: usize, max_sessions: usize) -> Filled {
    let (registry, clock) = (MemoryRegistry::new(), ManualClock::default());
    let mut keys = Vec::with_capacity(records);
    for number in 0..records {
        let login = login(number, users, max_sessions, &clock);
        keys.push(login.key());
        outcome(registry.commit(login)).unwrap();
    }
    Filled { registry, keys, users, max_sessions, clock }
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
        numbers.map(|number| filled.login(number)).collect()
    };
    fastest(logins, |login| drop(outcome(filled.registry.commit(login))))
}

/// Returns the milliseconds of a list of the newest 50 sessions of all users.
fn time_newest(filled: &Filled) -> f64 {
    let query = || Query::new().ended(false).limit(50);
    let began = Instant::now();
    let listed = outcome(filled.registry.list(query())).unwrap();
    assert_eq!(listed.len(), 50);
    began.elapsed().as_secs_f64() * 1e3
}

/// Returns the milliseconds of `end_everyone`.
fn time_end_everyone() -> f64 {
    let filled = fill(RECORDS / 2, USERS / 2);
    let ended = Ended::new(Reason::Revoked, filled.clock.now());
    let began = Instant::now();
    let count = outcome(filled.registry.end_everyone(ended)).unwrap();
    let took = began.elapsed().as_secs_f64() * 1e3;
    assert_eq!(count as usize, RECORDS / 2);
    took
}

/// Returns the time of the longest login that purges the records of some hours. Of five
/// measurements the shortest counts, as other load only adds to it.
fn longest_pause(filled: &Filled) -> Duration {
    let pauses = (0..5).map(|_| {
        filled.clock.advance(hours(1) + minutes(1));
        let logins = (0..20_000).map(|number| filled.login(number));
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
    let last = filled.login(0);
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
