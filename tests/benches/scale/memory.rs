//! A million sessions in memory: bytes for each, time for each operation, and the longest pause.
//!
//! The times are those of one thread; each is the fastest of some rounds, since whatever else the
//! machine does only adds to it.

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

/// As many operations are timed together, as often.
const BATCH: usize = 1_000;
const ROUNDS: usize = 60;

/// Prints what a million sessions in memory cost.
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
    row("bytes of a session, all told", each as f64, 400.0, "");
    row("login, as many times that at 1,000 sessions", login / few_login, 2.0, "×");
    row("load, as many times that at 1,000 sessions", load / few_load, 2.0, "×");
    row("load, as many times a bare HashMap of them", load / many_bare, 2.0, "×");
    row("longest login, while the old are swept out", pause.as_secs_f64() * 1e3, 5.0, " ms");
    println!("\nlogin {few_login:.0} ns at 1,000, {login:.0} ns at 1,000,000");
    println!("load  {few_load:.0} ns at 1,000, {load:.0} ns at 1,000,000");
    println!(
        "get   {few_bare:.0} ns at 1,000, {many_bare:.0} ns at 1,000,000 from a bare HashMap of shared \
         records: what the caches of this machine cost any table ({:.1}×)",
        many_bare / few_bare
    );
}

fn row(what: &str, measured: f64, target: f64, unit: &str) {
    let verdict = if measured <= target { "pass" } else { "MISS" };
    println!("{what:<44}{measured:>10.1}{unit:<3}{target:>9.0}{unit:<3} {verdict}");
}

/// A registry with its sessions, and what is needed to go on.
struct Filled {
    registry: MemoryRegistry,
    keys: Vec<RecordKey>,
    users: usize,
    clock: ManualClock,
}

/// The answer of a registry that doesn't wait.
fn answer<T>(asked: impl Future<Output = T>) -> T {
    match pin!(asked).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("memory is there at once"),
    }
}

/// A login as it comes: a user by number, and one of forty devices.
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
        keys.push(login.key);
        answer(registry.commit(login)).unwrap();
    }
    Filled { registry, keys, users, clock }
}

/// Nanoseconds of one of `ways`, the fastest round.
fn fastest<T>(mut ways: impl FnMut(usize) -> Vec<T>, act: impl Fn(T)) -> f64 {
    let mut best = Duration::MAX;
    for round in 0..ROUNDS {
        let batch = ways(round);
        let began = Instant::now();
        batch.into_iter().for_each(&act);
        best = best.min(began.elapsed());
    }
    best.as_secs_f64() * 1e9 / BATCH as f64
}

/// Keys in no order that a cache could foresee.
fn some_keys(filled: &Filled, round: usize) -> Vec<RecordKey> {
    let places = (0..BATCH).map(|n| (round * BATCH + n) * 7_919 % filled.keys.len());
    places.map(|place| filled.keys[place]).collect()
}

fn time_load(filled: &Filled) -> f64 {
    let keys = |round| some_keys(filled, round);
    fastest(keys, |key| drop(answer(filled.registry.load(key, true))))
}

/// The measure of the measure: the same records in a map and nothing else.
fn time_bare_map(filled: &Filled) -> f64 {
    let loaded = filled
        .keys
        .iter()
        .filter_map(|key| Some((*key, answer(filled.registry.load(*key, true)).unwrap()?)));
    let map: HashMap<_, _> = loaded.map(|(key, loaded)| (key, loaded.record)).collect();
    fastest(|round| some_keys(filled, round), |key| drop(map.get(&key).cloned()))
}

fn time_login(filled: &Filled) -> f64 {
    // The times go on, so that every login finds the same: room, or one that has to yield.
    let logins = |round: usize| {
        let numbers = (0..BATCH).map(|n| (round * BATCH + n) * 7_919);
        numbers.map(|number| login(number, filled.users, &filled.clock)).collect()
    };
    fastest(logins, |login| drop(answer(filled.registry.commit(login))))
}

/// The longest of the logins that find hours of old records to sweep out, all shards in turn; of
/// five such times the shortest, since the machine may do something else meanwhile.
fn longest_pause(filled: &Filled) -> Duration {
    let pauses = (0..5).map(|_| {
        filled.clock.advance(hours(1) + minutes(1));
        let logins = (0..20_000).map(|number| login(number, filled.users, &filled.clock));
        let logins: Vec<_> = logins.collect();
        let took = logins.into_iter().map(|login| {
            let began = Instant::now();
            drop(answer(filled.registry.commit(login)));
            began.elapsed()
        });
        took.max().unwrap_or_default()
    });
    let kept = pauses.min().unwrap_or_default();
    filled.clock.advance(hours(24 * 91));
    let last = login(0, filled.users, &filled.clock);
    let began = Instant::now();
    drop(answer(filled.registry.commit(last)));
    // The one time when everything in a shard is forgotten at once.
    let forgotten = began.elapsed();
    println!("swept and kept: {kept:.1?}; swept and forgotten: {forgotten:.1?}\n");
    kept.max(forgotten)
}

/// Bytes that the process holds in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("this measure needs Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1_024
}
