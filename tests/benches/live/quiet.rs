//! Cost of 10,000 open streams without a change, and the time until all of them have ended.

use std::{
    fs,
    time::{Duration, Instant},
};

use actix_web::rt::{System, time::sleep};
use session_expire::{MemoryRegistry, SqliteRegistry};
use session_expire_tests::{RedisServer, TestRegistry};

use crate::{row, streams};

const STREAMS: usize = 10_000;
const QUIET: Duration = Duration::from_secs(60);

/// Prints the cost on each registry.
pub(crate) fn measure() {
    println!("{STREAMS} streams of different sessions, {QUIET:?} without a change\n");
    System::new().block_on(async {
        measure_registry("memory", TestRegistry::over(MemoryRegistry::new()), None).await;
        let folder = tempfile::tempdir().unwrap();
        let sqlite = SqliteRegistry::open(folder.path().join("db")).unwrap();
        measure_registry("SQLite", TestRegistry::over(sqlite), None).await;
        let server = RedisServer::start();
        let redis = TestRegistry::over(server.registry().await);
        measure_registry("Redis", redis, Some(&server)).await;
    });
}

async fn measure_registry(name: &str, registry: TestRegistry, server: Option<&RedisServer>) {
    let expire = streams::middleware(registry.clone());
    let cookies = streams::log_in(&expire, STREAMS).await;
    let open = streams::open(&expire, &cookies, 1).await;
    wait_until_quiet(&registry).await;
    if let Some(server) = server {
        let _: String = server.command(&["CONFIG", "RESETSTAT"]);
    }
    let cpu = cpu_time();
    sleep(QUIET).await;
    let cpu = cpu_time() - cpu;
    let operations = registry.take_operations();
    let checks = operations.iter().filter(|name| **name == "check").count();
    let others = (operations.len() - checks) as f64;
    row(&format!("{name}: operations per stream"), others / STREAMS as f64, 0.0, "");
    row(&format!("{name}: checks of the process"), checks as f64, 2.0, "");
    if let Some(server) = server {
        let (calls, words) = calls(server);
        println!("{name}: {calls} commands of the process on the server ({words})");
    }
    row(&format!("{name}: CPU time of the process"), cpu.as_secs_f64() * 1e3, 600.0, "ms");
    let began = Instant::now();
    expire.sessions().end_everyone().await.unwrap();
    let ended = began.elapsed();
    for end in open {
        assert_eq!(end.await.as_str(), "revoked");
    }
    let all = began.elapsed().as_secs_f64() * 1e3;
    println!("{name}: all streams had ended after {all:.0} ms, end_everyone took {ended:.0?}\n");
}

/// Waits until the registry has loaded the session of each stream.
async fn wait_until_quiet(registry: &TestRegistry) {
    let mut is_quiet = false;
    while !is_quiet {
        registry.take_operations();
        sleep(Duration::from_secs(2)).await;
        is_quiet = registry.take_operations().iter().all(|name| *name == "check");
    }
}

/// Returns the number of commands since the last `CONFIG RESETSTAT`, and their names.
fn calls(server: &RedisServer) -> (u64, String) {
    let stats: String = server.command(&["INFO", "commandstats"]);
    let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_"));
    let lines = lines.filter(|line| !line.starts_with("config") && !line.starts_with("info"));
    let calls = lines.filter_map(|line| {
        let (name, rest) = line.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse::<u64>().ok()?))
    });
    let calls: Vec<_> = calls.collect();
    let words: Vec<_> = calls.iter().map(|(name, count)| format!("{count} {name}")).collect();
    (calls.iter().map(|(_, count)| count).sum(), words.join(", "))
}

/// Returns the CPU time of this process.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("reads /proc, which needs Linux");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // User and system time, in hundredths of a second.
    let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
