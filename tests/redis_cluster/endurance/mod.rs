//! One fault after another, under load. `ENDURANCE` sets the seconds per run: see `tests/endure`.

mod report;

use std::{
    env, thread,
    time::{Duration, Instant},
};

use session_expire::RedisRegistry;
use session_expire_tests::{Counts, Load, Progress, RedisCluster, SentinelTrio};
use tokio::runtime::Runtime;

use self::report::Report;
use crate::hash_key;

const USERS: usize = 100;

/// Number of logins and ends before and after a fault.
const CHANGES: u64 = 200;

/// Timeout of operations: longer than requests usually take, and shorter than a failover.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A name, and a function that breaks and repairs the servers.
type Fault<T> = (&'static str, fn(&mut T, &Progress));

/// Returns users of two processes that wait for this number of replicas.
fn load(connect: impl AsyncFn() -> RedisRegistry, replicas: u32) -> Load {
    let runtime = Runtime::new().unwrap();
    let connect = || runtime.block_on(connect()).timeout(TIMEOUT).wait_for_replicas(replicas);
    let registries = [(); 2].map(|()| connect());
    Load::new(runtime, registries, USERS, replicas > 0).users_per_task(1)
}

/// Causes one fault after another until the time is over, and each fault at least once.
fn endure<T>(name: &str, servers: &mut T, mut load: Load, faults: &[Fault<T>]) -> Counts {
    let time = env::var("ENDURANCE").map_or(30, |time| time.parse().unwrap());
    let (start, mut report) = (Instant::now(), Report::default());
    for (n, (fault, break_servers)) in faults.iter().cycle().enumerate() {
        if n >= faults.len() && start.elapsed() > Duration::from_secs(time) {
            break;
        }
        let measured = load.measure(fault, |progress| {
            progress.wait_for_changes(CHANGES);
            break_servers(servers, progress);
            progress.wait_for_changes(CHANGES);
        });
        report.add(fault, &measured);
    }
    println!("{name}, {:.0?}: {report}", start.elapsed());
    report.counts
}

fn random_primary(cluster: &RedisCluster) -> usize {
    let primaries = cluster.primaries();
    primaries[fastrand::usize(..primaries.len())]
}

/// Moves the slots of some users to other primaries.
fn move_slots(cluster: &mut RedisCluster, _: &Progress) {
    for _ in 0..40 {
        let slot = cluster.slot_of(&hash_key(&format!("user {}", fastrand::usize(..USERS))));
        let from = cluster.owner_of(slot);
        let mut others = cluster.primaries();
        others.retain(|n| *n != from);
        cluster.move_slots(slot..=slot, from, others[fastrand::usize(..others.len())]);
    }
    cluster.wait_until_agreed();
}

fn kill_primary(cluster: &mut RedisCluster, _: &Progress) {
    replace_primary(cluster, random_primary(cluster));
}

fn replace_primary(cluster: &mut RedisCluster, primary: usize) {
    cluster.kill(primary);
    cluster.wait_for_failover_of(primary);
    cluster.restart(primary);
    cluster.wait_until_agreed();
}

/// The replica lacks the last changes.
fn kill_primary_without_replica(cluster: &mut RedisCluster, progress: &Progress) {
    let primary = random_primary(cluster);
    cluster.cut_off_replicas(primary);
    progress.wait_for_requests(CHANGES);
    replace_primary(cluster, primary);
}

fn hand_over(cluster: &mut RedisCluster, _: &Progress) {
    for primary in cluster.primaries() {
        cluster.fail_over(cluster.replica_of(primary));
        cluster.wait_until_agreed();
    }
}

fn pause_primary(cluster: &mut RedisCluster, progress: &Progress) {
    let primary = random_primary(cluster);
    cluster.signal(primary, "STOP");
    cluster.wait_for_failover_of(primary);
    progress.wait_for_requests(CHANGES);
    cluster.signal(primary, "CONT");
    cluster.wait_until_agreed();
}

/// Halts the primary for less time than a node needs to count as failed.
fn halt_primary(cluster: &mut RedisCluster, _: &Progress) {
    let primary = random_primary(cluster);
    cluster.signal(primary, "STOP");
    thread::sleep(Duration::from_millis(500));
    cluster.signal(primary, "CONT");
    cluster.wait_until_agreed();
}

fn kill_replica(cluster: &mut RedisCluster, progress: &Progress) {
    let replica = cluster.replica_of(random_primary(cluster));
    cluster.kill(replica);
    progress.wait_for_requests(CHANGES);
    cluster.restart(replica);
    cluster.wait_until_agreed();
}

const CLUSTER_FAULTS: [Fault<RedisCluster>; 7] = [
    ("slots move", move_slots),
    ("a primary is killed", kill_primary),
    ("replicas take over by hand", hand_over),
    ("a primary is paused and replaced", pause_primary),
    ("a primary is halted for 0.5 s", halt_primary),
    ("a primary without a replica is killed", kill_primary_without_replica),
    ("a replica is killed", kill_replica),
];

fn endure_on_a_cluster(name: &str, replicas: u32) -> Counts {
    let mut cluster = RedisCluster::with_options(&["--cluster-node-timeout", "2000"]);
    let load = load(async || cluster.registry().await, replicas);
    endure(name, &mut cluster, load, &CLUSTER_FAULTS)
}

fn kill_watched_primary(trio: &mut SentinelTrio, _: &Progress) {
    let killed = trio.kill_primary();
    trio.wait_for_failover();
    trio.restart(killed);
    trio.wait_until_ok();
}

fn pause_watched_primary(trio: &mut SentinelTrio, progress: &Progress) {
    let paused = trio.pause_primary();
    trio.wait_for_failover();
    progress.wait_for_requests(CHANGES);
    trio.resume(paused);
    trio.wait_until_ok();
}

fn fail_over(trio: &mut SentinelTrio, _: &Progress) {
    trio.fail_over();
    trio.wait_for_failover();
    trio.wait_until_ok();
}

fn pause_sentinel(trio: &mut SentinelTrio, _: &Progress) {
    let paused = fastrand::usize(..3);
    trio.pause_sentinel(paused);
    trio.fail_over();
    trio.wait_for_failover();
    trio.resume_sentinel(paused);
    trio.wait_until_ok();
}

const SENTINEL_FAULTS: [Fault<SentinelTrio>; 4] = [
    ("the primary is killed", kill_watched_primary),
    ("Sentinel fails over on request", fail_over),
    ("the primary is paused and replaced", pause_watched_primary),
    ("a Sentinel is paused, another fails over", pause_sentinel),
];

fn endure_behind_sentinel(name: &str, replicas: u32) -> Counts {
    let mut trio = SentinelTrio::start();
    let load = load(async || trio.registry().await, replicas);
    endure(name, &mut trio, load, &SENTINEL_FAULTS)
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn waiting_registries_of_a_cluster_lose_nothing() {
    endure_on_a_cluster("Cluster, waiting for the replica", 1).assert_durable();
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn registries_of_a_cluster_keep_the_limits() {
    endure_on_a_cluster("Cluster, not waiting", 0).assert_exact();
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn waiting_registries_behind_sentinel_lose_nothing() {
    endure_behind_sentinel("Sentinel, waiting for both replicas", 2).assert_durable();
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn registries_behind_sentinel_keep_the_limits() {
    endure_behind_sentinel("Sentinel, not waiting", 0).assert_exact();
}
