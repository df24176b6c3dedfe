//! Reports of changes while slots move and primaries fail.

use std::time::Duration;

use session_expire::registry::conformance::{PROMISES, Promise, Work};
use session_expire_tests::RedisCluster;
use tokio::runtime::Runtime;

use crate::watch::Watch;

/// Failed primaries are replaced within a few seconds, even on a busy machine.
const NODE_TIMEOUT: [&str; 2] = ["--cluster-node-timeout", "2000"];

fn start(cluster: &RedisCluster) -> Watch {
    let runtime = Runtime::new().unwrap();
    // The replica acknowledges each end. Otherwise, a failover may lose an end.
    let connect = || async { cluster.registry().await.wait_for_replicas(1) };
    let (here, there) = runtime.block_on(async { (connect().await, connect().await) });
    Watch::start(runtime, here, there)
}

fn run(work: Work<'_>) {
    Runtime::new().unwrap().block_on(work);
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn promises_about_reports_hold() {
    let (cluster, runtime) = (RedisCluster::start(), Runtime::new().unwrap());
    let registry = runtime.block_on(cluster.registry());
    let is_first = |(name, _): &(&str, Promise)| *name == "login_is_reported";
    let first = PROMISES.iter().position(is_first).unwrap();
    for (name, promise) in &PROMISES[first..] {
        println!("{name}");
        promise(&registry, run);
    }
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn no_end_is_lost_while_slots_move() {
    let mut cluster = RedisCluster::with_options(&NODE_TIMEOUT);
    let watch = start(&cluster);
    watch.phase("quiet", || std::thread::sleep(Duration::from_secs(2)));
    watch.phase("slots move to another primary", || cluster.move_slots(0..=400, 0, 1));
    watch.phase("slots move back", || cluster.move_slots(0..=400, 1, 0));
    let new = cluster.add_empty_primary();
    cluster.add_replica_of(new);
    watch.phase("slots move to a new primary", || cluster.move_slots(6_000..=6_400, 1, new));
    watch.finish();
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn no_end_is_lost_while_primaries_fail() {
    let mut cluster = RedisCluster::with_options(&NODE_TIMEOUT);
    let watch = start(&cluster);
    watch.phase("a primary is killed", || {
        cluster.kill(0);
        cluster.wait_for_failover_of(0);
        cluster.restart(0);
        cluster.wait_until_ok();
    });
    watch.phase("a primary is paused", || {
        cluster.signal(1, "STOP");
        cluster.wait_for_failover_of(1);
        cluster.signal(1, "CONT");
        cluster.wait_until_ok();
    });
    for _ in 0..3 {
        watch.phase("a primary hands over", || {
            let replica = cluster.replica_of(2);
            cluster.fail_over(replica);
            cluster.wait_until_ok();
            cluster.fail_over(2);
            cluster.wait_until_ok();
        });
    }
    watch.finish();
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn no_end_is_lost_with_a_connection() {
    let cluster = RedisCluster::start();
    let watch = start(&cluster);
    watch.phase("connections are closed", || {
        for round in 0..10 {
            let words = ["CLIENT", "KILL", "TYPE", "pubsub"];
            let _: u64 = cluster.command_on(round % 3, &words);
            watch.wait_for(50, 1);
        }
    });
    watch.finish();
}
