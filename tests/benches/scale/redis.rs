//! 100,000 sessions on a Redis server of this machine.

use std::time::{Duration, Instant};

use session_expire::{
    Policy, RedisRegistry,
    clock::Timestamp,
    registry::{NewLogin, Query, RecordKey, Registry, SessionRef, SessionUpdate},
};
use session_expire_tests::RedisServer;
use tokio::runtime::Runtime;

use crate::quantiles;

const RECORDS: usize = 100_000;
const SAMPLES: usize = 20_000;
const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

pub(crate) fn measure() {
    Runtime::new().unwrap().block_on(async {
        let server = RedisServer::start();
        let registry = server.registry().await;
        println!(
            "{RECORDS} sessions of as many users in a RedisRegistry, one operation after the other\n"
        );
        println!("{:<28}{:>12}{:>12}{:>16}", "", "p50 µs", "p99 µs", "round trips");
        let sessions = fill(&server, &registry).await;
        let key = |n: usize| sessions[n * 7_919 % sessions.len()].0;
        let before = server.calls("evalsha");
        let loads = timed(async |n| drop(registry.load(key(n), true).await.unwrap())).await;
        row("load", loads, server.calls("evalsha") - before);
        let caching = server.caching().await;
        let few = &sessions[..100];
        let before = server.calls("evalsha");
        let loads =
            timed(async |n| drop(caching.load(few[n % few.len()].0, true).await.unwrap())).await;
        row("load, cached", loads, server.calls("evalsha") - before);
        let (before, activity) = (server.calls("evalsha"), SessionUpdate::new(NOON).active(NOON));
        let session = |n: usize| sessions[n * 7_919 % sessions.len()].1.clone();
        let update = async |n| {
            registry.update(session(n), activity.clone()).await.unwrap();
        };
        let updates = timed(update).await;
        row("update", updates, server.calls("evalsha") - before);
        let began = Instant::now();
        let page = registry.list(Query::new().limit(50)).await.unwrap();
        println!(
            "\nlist, the newest {} of all users: {:.2} s",
            page.len(),
            began.elapsed().as_secs_f64()
        );
        let memory: String = server.command(&["INFO", "memory"]);
        let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        println!(
            "memory of the server: {} bytes per session",
            used.parse::<usize>().unwrap() / RECORDS
        );
    });
}

async fn fill(server: &RedisServer, registry: &RedisRegistry) -> Vec<(RecordKey, SessionRef)> {
    let before = server.calls("evalsha");
    let (mut sessions, mut times) = (vec![], vec![]);
    for number in 0..RECORDS {
        let login = NewLogin::new(
            format!("user-{number}@example.org"),
            NOON,
            &Policy::new().max_sessions(5),
        );
        sessions.push((login.key(), SessionRef::new(login.user.clone(), login.id)));
        let began = Instant::now();
        registry.commit(login).await.unwrap();
        times.push(began.elapsed());
    }
    // The first login has loaded the script.
    row("login", times, server.calls("evalsha") - before);
    sessions
}

async fn timed(run: impl AsyncFn(usize)) -> Vec<Duration> {
    let mut times = Vec::with_capacity(SAMPLES);
    for n in 0..SAMPLES {
        let began = Instant::now();
        run(n).await;
        times.push(began.elapsed());
    }
    times
}

fn row(what: &str, times: Vec<Duration>, calls: u64) {
    let trips = calls as f64 / times.len() as f64;
    let (p50, p99) = quantiles(times);
    println!("{what:<28}{p50:>12.0}{p99:>12.0}{trips:>16.2}");
}
