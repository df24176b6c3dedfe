//! Failovers of a Cluster and of a trio with Sentinels, under the load of many users.

use std::sync::Arc;

use session_expire::{Policy, RedisRegistry, registry::Registry};
use session_expire_tests::{Counts, Load, Progress, RedisCluster, SentinelTrio};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{committed, hash_key, login};

const USERS: usize = 200;

/// Number of logins and ends before and after a fault.
const CHANGES: u64 = 300;

/// A primary counts as failed after two seconds, even on a busy machine.
const NODE_TIMEOUT: [&str; 2] = ["--cluster-node-timeout", "2000"];

fn load(connect: impl AsyncFn() -> RedisRegistry, replicas: u32) -> Load {
    let runtime = Runtime::new().unwrap();
    let registries = [(); 2].map(|()| runtime.block_on(connect()).wait_for_replicas(replicas));
    Load::new(runtime, registries, USERS, replicas > 0)
}

fn load_of(cluster: &RedisCluster, waits: bool) -> Load {
    load(async || cluster.registry().await, waits.into())
}

/// Waits for both replicas.
fn load_of_trio(trio: &SentinelTrio, waits: bool) -> Load {
    load(async || trio.registry().await, 2 * u32::from(waits))
}

fn run(load: &mut Load, name: &str, fail: impl FnOnce(&Progress)) -> Counts {
    load.run(name, |progress| {
        progress.wait_for_changes(CHANGES);
        progress.begin_fault(|_| true);
        fail(progress);
        progress.wait_for_changes(CHANGES);
    })
}

#[test]
fn manual_failovers_fail_no_request() {
    for waits in [true, false] {
        let cluster = RedisCluster::start();
        let mut load = load_of(&cluster, waits);
        let counts = run(&mut load, "manual failovers", |progress| {
            for replica in [3, 4, 5, 0] {
                cluster.fail_over(replica);
                progress.wait_for_changes(CHANGES);
            }
        });
        counts.assert_durable();
        assert_eq!(counts.failures, 0, "{counts}");
    }
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn paused_primary_is_left_and_its_changes_are_kept() {
    let mut cluster = RedisCluster::with_options(&NODE_TIMEOUT);
    let mut load = load_of(&cluster, true);
    let counts = run(&mut load, "a primary is paused and resumed", |progress| {
        cluster.signal(0, "STOP");
        cluster.wait_for_failover_of(0);
        progress.wait_for_requests(CHANGES);
        cluster.signal(0, "CONT");
        cluster.wait_until_ok();
    });
    counts.assert_durable();
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn forced_failover_keeps_acknowledged_changes() {
    let mut cluster = RedisCluster::with_options(&NODE_TIMEOUT);
    let mut load = load_of(&cluster, true);
    let counts = run(&mut load, "a replica takes over by force", |_| {
        cluster.signal(1, "STOP");
        cluster.take_over(4, "TAKEOVER");
        cluster.signal(1, "CONT");
        cluster.wait_until_ok();
    });
    counts.assert_durable();
}

fn fail_trio_over(waits: bool) -> Counts {
    let mut trio = SentinelTrio::start();
    let mut load = load_of_trio(&trio, waits);
    let mut total = Counts::default();
    total.add(&run(&mut load, "the primary is killed", |_| {
        let killed = trio.kill_primary();
        trio.wait_for_failover();
        trio.restart(killed);
        trio.wait_until_ok();
    }));
    total.add(&run(&mut load, "Sentinel fails over on request", |_| {
        trio.fail_over();
        trio.wait_for_failover();
        trio.wait_until_ok();
    }));
    total.add(&run(&mut load, "the primary is paused and resumed", |_| {
        let paused = trio.pause_primary();
        trio.wait_for_failover();
        trio.resume(paused);
        trio.wait_until_ok();
    }));
    println!("in total: {total}");
    total
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn waiting_registries_lose_nothing_behind_sentinel() {
    fail_trio_over(true).assert_durable();
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn failovers_by_sentinel_keep_the_limits() {
    fail_trio_over(false).assert_exact();
}

/// Clients still reach the former primary, which no longer has a replica.
#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn isolated_primary_acknowledges_nothing() {
    let mut trio = SentinelTrio::with_passwords();
    let mut load = load_of_trio(&trio, true);
    let counts = run(&mut load, "the primary is isolated", |progress| {
        let isolated = trio.isolate_primary();
        trio.wait_for_failover();
        // Each login takes the whole timeout.
        progress.wait_for_requests(20);
        trio.reconnect(isolated);
        trio.wait_until_ok();
    });
    counts.assert_durable();
}

/// The connection to the former primary is open, but silent.
#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn requests_leave_a_silent_primary_after_half_of_their_timeout() {
    let mut cluster = RedisCluster::with_options(&NODE_TIMEOUT);
    let runtime = Runtime::new().unwrap();
    let registry = runtime.block_on(cluster.registry());
    let is_of_first = |user: &String| cluster.owner_of(cluster.slot_of(&hash_key(user))) == 0;
    let users: Vec<_> = (0..).map(|n| format!("user {n}")).filter(is_of_first).take(10).collect();
    let logins = users.iter().map(|user| login(user, &Policy::new()));
    let logins: Vec<_> = logins.collect();
    for login in &logins {
        committed(runtime.block_on(registry.commit(login.clone())).unwrap());
    }
    cluster.command_on::<u64>(0, &["WAIT", "1", "0"]);
    cluster.signal(0, "STOP");
    cluster.wait_for_failover_of(0);
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        let registry = Arc::new(registry);
        for login in &logins {
            let (registry, key) = (Arc::clone(&registry), login.key());
            tasks.spawn(
                async move { registry.load(key, false).await.map(|loaded| loaded.is_some()) },
            );
        }
        let again = login(&users[0], &Policy::new());
        committed(registry.commit(again).await.unwrap());
        for loaded in tasks.join_all().await {
            assert!(loaded.unwrap());
        }
    });
}
