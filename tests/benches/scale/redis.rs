//! Many sessions on a Redis server of this machine.
//!
//! Times of the server are from `INFO commandstats`. They exclude the network and this process.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use session_expire::{
    Overflow, Policy, Reason, RedisRegistry,
    clock::Timestamp,
    registry::{
        Ended, NewLogin, Query, RecordKey, Registry, SessionLimit, SessionRef, SessionUpdate,
    },
};
use session_expire_tests::RedisServer;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::quantiles;

/// Numbers of sessions, each of a different user.
const RECORDS: [usize; 3] = [1_000, 100_000, 1_000_000];
/// Numbers of open sessions of one user.
const OPEN: [usize; 4] = [1, 10, 100, 1_000];
const SAMPLES: usize = 2_000;
const LOGINS: usize = 100;
const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

pub(crate) fn measure() {
    Runtime::new().unwrap().block_on(async {
        measure_sessions_of_a_user().await;
        for records in RECORDS {
            measure_records(records).await;
        }
    });
}

/// Prints the time of a login by the number of open sessions of its user.
async fn measure_sessions_of_a_user() {
    let server = RedisServer::start();
    let registry = Arc::new(server.registry().await);
    // Loads the script.
    registry.commit(login("first", NOON, SessionLimit::new(1, Overflow::Evict))).await.unwrap();
    println!("Logins in a RedisRegistry by the open sessions of the user\n");
    println!("{:<28}{:>12}{:>12}{:>18}{:>12}", "", "p50 µs", "p99 µs", "µs of the server", "× one");
    for is_evicting in [false, true] {
        let mut one = None;
        for open in OPEN {
            let (times, of_server) = time_logins(&server, &registry, open, is_evicting).await;
            let one = *one.get_or_insert(of_server);
            let (p50, p99) = quantiles(times);
            let what = format!("{open} open{}", if is_evicting { ", evicts one" } else { "" });
            let ratio = of_server / one;
            println!("{what:<28}{p50:>12.0}{p99:>12.0}{of_server:>18.1}{ratio:>12.2}");
        }
    }
    println!();
}

/// Returns the times of logins of users with `open` sessions, and the mean time of the server.
async fn time_logins(
    server: &RedisServer,
    registry: &Arc<RedisRegistry>,
    open: usize,
    is_evicting: bool,
) -> (Vec<Duration>, f64) {
    let users: Vec<_> = (0..LOGINS).map(|n| format!("{n} of {open} {is_evicting}")).collect();
    let max_sessions = if is_evicting { u32::try_from(open).unwrap() } else { 1_000_000 };
    let limit = SessionLimit::new(max_sessions, Overflow::Evict);
    // Users with many sessions sign in several times.
    let users = &users[..(LOGINS / open).max(10)];
    for user in users {
        let logins = (0..open).map(|n| (user.as_str(), at(n)));
        commit_all(registry, logins, limit).await;
    }
    reset_stats(server);
    let mut times = vec![];
    for n in 0..LOGINS {
        let login = login(&users[n % users.len()], at(open + n), limit);
        let began = Instant::now();
        registry.commit(login).await.unwrap();
        times.push(began.elapsed());
    }
    (times, server_time(server, "evalsha"))
}

/// Prints the cost of `records` sessions of as many users.
async fn measure_records(records: usize) {
    let server = RedisServer::start();
    let registry = Arc::new(server.registry().await);
    let before = used_memory(&server);
    let sessions = fill(&registry, records).await;
    let bytes = (used_memory(&server) - before) / records;
    println!("{records} sessions of as many users in a RedisRegistry\n");
    println!("{:<44}{:>12}{:>12}", "", "measured", "at most");
    // With few users, the keys of the tags need most of the memory.
    row("bytes per user", bytes as f64, if records < 100_000 { 2_000.0 } else { 800.0 });
    measure_loads(&server, &registry, &sessions).await;
    let session = |n: usize| sessions[n * 7_919 % sessions.len()].1.clone();
    let activity = SessionUpdate::new(at(records)).active(at(records));
    let updates = async |n| {
        registry.update(session(n), activity.clone()).await.unwrap();
    };
    println!("{:<44}{:>10.0} µs", "update, p50", quantiles(timed(SAMPLES, updates).await).0);
    let page = Query::new().limit(50);
    let lists = async |_| drop(registry.list(page.clone()).await.unwrap());
    row("list, the newest 50 of all, ms", quantiles(timed(9, lists).await).0 / 1e3, 20.0);
    let open = Query::new().ended(false).limit(50);
    let lists = async |_| drop(registry.list(open.clone()).await.unwrap());
    row("list, the newest 50 open, ms", quantiles(timed(9, lists).await).0 / 1e3, 20.0);
    let began = Instant::now();
    let ended = registry.end_everyone(Ended::new(Reason::Revoked, at(records))).await.unwrap();
    assert_eq!(ended, u64::try_from(records).unwrap());
    row("end of all sessions, ms", began.elapsed().as_secs_f64() * 1e3, 1_000.0);
    println!();
}

async fn measure_loads(
    server: &RedisServer,
    registry: &Arc<RedisRegistry>,
    sessions: &[(RecordKey, SessionRef)],
) {
    let key = |n: usize| sessions[n * 7_919 % sessions.len()].0;
    reset_stats(server);
    let loads = timed(SAMPLES, async |n| drop(registry.load(key(n), false).await.unwrap())).await;
    let load = server_time(server, "hmget");
    println!("{:<44}{:>10.0} µs", "load, p50", quantiles(loads).0);
    let counting = timed(SAMPLES, async |n| drop(registry.load(key(n), true).await.unwrap())).await;
    println!("{:<44}{:>10.0} µs", "load with a count, p50", quantiles(counting).0);
    reset_stats(server);
    get_records(server, SAMPLES);
    let get = server_time(server, "hget");
    println!("{:<44}{load:>10.2} µs", "load, time of the server");
    println!("{:<44}{get:>10.2} µs", "HGET of a record, time of the server");
    row("load, relative to HGET", load / get, 2.0);
}

/// Reads records with `HGET`, as the cheapest load would.
fn get_records(server: &RedisServer, count: usize) {
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let tags: Vec<String> = redis::cmd("KEYS").arg("*}").query(&mut connection).unwrap();
    let names = |tag: &String, connection: &mut redis::Connection| {
        let names: Vec<String> = redis::cmd("HKEYS").arg(tag).query(connection).unwrap();
        names.into_iter().filter(|name| name.len() == 22).map(|name| (tag.clone(), name)).collect()
    };
    let fields = |tag| -> Vec<(String, String)> { names(tag, &mut connection) };
    let fields: Vec<_> = tags.iter().flat_map(fields).collect();
    for n in 0..count {
        let (tag, name) = &fields[n * 7_919 % fields.len()];
        let text: String = redis::cmd("HGET").arg(tag).arg(name).query(&mut connection).unwrap();
        assert!(text.contains("user="));
    }
}

async fn fill(registry: &Arc<RedisRegistry>, records: usize) -> Vec<(RecordKey, SessionRef)> {
    let users: Vec<_> = (0..records).map(|number| format!("user-{number}@example.org")).collect();
    let logins = users.iter().enumerate().map(|(n, user)| (user.as_str(), at(n)));
    commit_all(registry, logins, SessionLimit::new(5, Overflow::Evict)).await
}

/// Commits logins, many at once.
pub(crate) async fn commit_all<'a>(
    registry: &Arc<RedisRegistry>,
    logins: impl Iterator<Item = (&'a str, Timestamp)>,
    limit: SessionLimit,
) -> Vec<(RecordKey, SessionRef)> {
    commit_logins(registry, logins.map(|(user, at)| login(user, at, limit)).collect()).await
}

pub(crate) async fn commit_logins(
    registry: &Arc<RedisRegistry>,
    logins: Vec<NewLogin>,
) -> Vec<(RecordKey, SessionRef)> {
    let mut sessions = vec![];
    for logins in logins.chunks(100) {
        let mut commits = JoinSet::new();
        for login in logins {
            let (registry, login) = (Arc::clone(registry), login.clone());
            commits.spawn(async move { registry.commit(login).await.unwrap() });
        }
        commits.join_all().await;
        let session = |login: &NewLogin| SessionRef::new(login.user.clone(), login.id);
        sessions.extend(logins.iter().map(|login| (login.key(), session(login))));
    }
    sessions
}

/// Returns the time of the login with this number.
pub(crate) fn at(number: usize) -> Timestamp {
    NOON.plus(Duration::from_millis(number.try_into().unwrap()))
}

pub(crate) fn login(user: &str, at: Timestamp, limit: SessionLimit) -> NewLogin {
    let mut login = NewLogin::new(user, at, &Policy::new());
    login.limit = limit;
    login
}

pub(crate) async fn timed(samples: usize, run: impl AsyncFn(usize)) -> Vec<Duration> {
    let mut times = Vec::with_capacity(samples);
    for n in 0..samples {
        let began = Instant::now();
        run(n).await;
        times.push(began.elapsed());
    }
    times
}

pub(crate) fn reset_stats(server: &RedisServer) {
    let _: String = server.command(&["CONFIG", "RESETSTAT"]);
}

/// Returns the mean time that the server needs for a command, in microseconds.
pub(crate) fn server_time(server: &RedisServer, command: &str) -> f64 {
    let stats: String = server.command(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let time = line.unwrap().split("usec_per_call=").nth(1).unwrap().split(',').next();
    time.unwrap().parse().unwrap()
}

fn used_memory(server: &RedisServer) -> usize {
    let memory: String = server.command(&["INFO", "memory"]);
    memory.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse().unwrap()
}

fn row(what: &str, measured: f64, target: f64) {
    let verdict = if measured <= target { "pass" } else { "MISS" };
    println!("{what:<44}{measured:>12.1}{target:>12.0}  {verdict}");
}
