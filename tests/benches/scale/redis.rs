//! A hundred thousand sessions on a Redis server of its own, on this machine.

use std::time::{Duration, Instant};

use session_expire::{ActivityUpdate, NewLogin, Policy, Query, RedisRegistry, Registry, Timestamp};
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
            "{RECORDS} sessions of as many users in a RedisRegistry, one question after the other\n"
        );
        println!("{:<28}{:>12}{:>12}{:>16}", "", "p50 µs", "p99 µs", "round trips");
        let keys = fill(&server, &registry).await;
        let key = |n: usize| keys[n * 7_919 % keys.len()];
        let before = server.calls("evalsha");
        let loads = timed(async |n| drop(registry.load(key(n)).await.unwrap())).await;
        row("load", loads, server.calls("evalsha") - before);
        let caching = server.caching().await;
        let few = &keys[..100];
        let before = server.calls("evalsha");
        let loads = timed(async |n| drop(caching.load(few[n % few.len()]).await.unwrap())).await;
        row("load, kept at hand", loads, server.calls("evalsha") - before);
        let (before, change) =
            (server.calls("evalsha"), ActivityUpdate { seen: NOON, now: NOON, patch: None });
        let touches = timed(async |n| registry.touch(key(n), change.clone()).await.unwrap()).await;
        row("touch", touches, server.calls("evalsha") - before);
        let began = Instant::now();
        let page = registry.find(Query { limit: Some(50), ..Query::default() }).await.unwrap();
        println!(
            "\nfind, the newest {} of all users: {:.2} s",
            page.len(),
            began.elapsed().as_secs_f64()
        );
        let memory: String = server.ask(&["INFO", "memory"]);
        let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        println!(
            "memory of the server: {} bytes a session",
            used.parse::<usize>().unwrap() / RECORDS
        );
    });
}

async fn fill(server: &RedisServer, registry: &RedisRegistry) -> Vec<session_expire::RecordKey> {
    let before = server.calls("evalsha");
    let (mut keys, mut times) = (vec![], vec![]);
    for number in 0..RECORDS {
        let login = NewLogin::new(
            format!("user-{number}@example.org"),
            NOON,
            &Policy::new().max_sessions(5),
        );
        keys.push(login.key);
        let began = Instant::now();
        registry.login(login).await.unwrap();
        times.push(began.elapsed());
    }
    // The first one has taught the server its script.
    row("login", times, server.calls("evalsha") - before);
    keys
}

async fn timed(act: impl AsyncFn(usize)) -> Vec<Duration> {
    let mut times = Vec::with_capacity(SAMPLES);
    for n in 0..SAMPLES {
        let began = Instant::now();
        act(n).await;
        times.push(began.elapsed());
    }
    times
}

fn row(what: &str, times: Vec<Duration>, calls: u64) {
    let trips = calls as f64 / times.len() as f64;
    let (p50, p99) = quantiles(times);
    println!("{what:<28}{p50:>12.0}{p99:>12.0}{trips:>16.2}");
}
