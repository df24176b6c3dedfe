//! Tests of the servers that other tests use, without a registry.

use std::time::Instant;

use session_expire_tests::{RedisCluster, SentinelTrio};

/// Key in slot 12,182, which the third primary owns.
const KEY: &str = "foo";

#[tokio::test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
async fn registries_connect() {
    let registry = RedisCluster::without_replicas(&[]).registry().await;
    println!("{registry:?}");
    for trio in [SentinelTrio::start(), SentinelTrio::with_passwords(), SentinelTrio::with_tls()] {
        println!("{:?}", trio.registry().await);
    }
}

#[test]
fn cluster_serves_its_slots_and_replicates_them() {
    let started = Instant::now();
    let cluster = RedisCluster::start();
    println!("started in {:?}", started.elapsed());
    assert_eq!(cluster.primaries(), [0, 1, 2]);
    assert_eq!([0, 1, 2].map(|n| cluster.replica_of(n)), [3, 4, 5]);
    assert_eq!((cluster.slot_of(KEY), cluster.owner_of(12_182)), (12_182, 2));
    assert_eq!(cluster.command_on::<Option<String>>(2, &["GET", KEY]), None);
    assert_eq!(cluster.calls("get"), 1);
}

#[test]
fn key_moves_with_its_slot() {
    let mut cluster = RedisCluster::without_replicas(&[]);
    let (slot, empty) = (cluster.slot_of(KEY), cluster.add_empty_primary());
    assert_eq!((empty, cluster.primaries().len()), (3, 3));
    let _: String = cluster.command_on(2, &["SET", KEY, "bar"]);
    cluster.begin_migration(slot, 2, empty);
    assert_eq!(cluster.command_on::<String>(2, &["GET", KEY]), "bar");
    cluster.move_some_keys(&[KEY], 2, empty);
    let error = cluster.try_command_on::<String>(2, &["GET", KEY]).unwrap_err();
    assert_eq!(error.code(), Some("ASK"));
    cluster.move_keys(slot, 2, empty);
    cluster.finish_migration(slot, 2, empty);
    assert_eq!(cluster.owner_of(slot), empty);
    assert_eq!(cluster.command_on::<String>(empty, &["GET", KEY]), "bar");
    cluster.move_slots(10_923..=11_000, 2, empty);
    cluster.move_slots(slot..=slot, empty, 0);
    assert_eq!(cluster.command_on::<String>(0, &["GET", KEY]), "bar");
    assert_eq!((cluster.owner_of(11_000), cluster.owner_of(11_001)), (empty, 2));
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn killed_primary_is_replaced_and_returns_as_a_replica() {
    let mut cluster = RedisCluster::with_options(&RedisCluster::FAST_FAILOVER);
    let _: String = cluster.command_on(2, &["SET", KEY, "bar"]);
    assert_eq!(cluster.command_on::<u64>(2, &["WAIT", "1", "0"]), 1);
    cluster.kill(2);
    let killed = Instant::now();
    let replica = cluster.wait_for_failover_of(2);
    println!("replaced after {:?}", killed.elapsed());
    assert_eq!((replica, cluster.owner_of(12_182)), (5, 5));
    assert_eq!(cluster.command_on::<String>(5, &["GET", KEY]), "bar");
    cluster.restart(2);
    cluster.wait_until_ok();
    println!("complete after {:?}", killed.elapsed());
    assert_eq!((cluster.primaries(), cluster.replica_of(5)), (vec![0, 1, 5], 2));
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn paused_primary_is_replaced() {
    let mut cluster = RedisCluster::with_options(&RedisCluster::FAST_FAILOVER);
    cluster.signal(0, "STOP");
    assert_eq!(cluster.wait_for_failover_of(0), 3);
    cluster.signal(0, "CONT");
    cluster.wait_until_ok();
    assert_eq!((cluster.owner_of(0), cluster.replica_of(3)), (3, 0));
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn replica_takes_over_on_request() {
    let cluster = RedisCluster::start();
    cluster.fail_over(3);
    cluster.wait_until_ok();
    assert_eq!((cluster.owner_of(0), cluster.replica_of(3)), (3, 0));
    cluster.take_over(0, "TAKEOVER");
    assert_eq!(cluster.owner_of(0), 0);
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn killed_primary_of_a_trio_is_replaced() {
    let started = Instant::now();
    let mut trio = SentinelTrio::start();
    println!("started in {:?}", started.elapsed());
    assert_eq!(trio.primary(), 0);
    let _: String = trio.server(0).command(&["SET", KEY, "bar"]);
    trio.server(0).wait_for_replicas(2);
    let killed = (trio.kill_primary(), Instant::now());
    let primary = trio.wait_for_failover();
    println!("replaced after {:?}", killed.1.elapsed());
    assert_eq!(trio.server(primary).command::<String>(&["GET", KEY]), "bar");
    trio.restart(killed.0);
    trio.wait_until_ok();
    println!("complete after {:?}", killed.1.elapsed());
    assert_eq!(trio.primary(), primary);
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn trio_fails_over_on_request_and_without_a_sentinel() {
    let mut trio = SentinelTrio::start();
    trio.stop_sentinel(0);
    trio.fail_over();
    let second = trio.wait_for_failover();
    trio.wait_until_ok();
    let paused = trio.pause_primary();
    assert_eq!(paused, second);
    let third = trio.wait_for_failover();
    trio.resume(second);
    trio.restart_sentinel(0);
    trio.wait_until_ok();
    assert_eq!(trio.primary(), third);
}

/// Clients still reach the former primary.
#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn isolated_primary_is_replaced() {
    let mut trio = SentinelTrio::with_passwords();
    let isolated = trio.isolate_primary();
    let primary = trio.wait_for_failover();
    let info: String = trio.server(isolated).command(&["INFO", "replication"]);
    assert!(info.contains("role:master") && primary != isolated, "{info}");
    trio.reconnect(isolated);
    trio.wait_until_ok();
    let info: String = trio.server(isolated).command(&["INFO", "replication"]);
    assert!(info.contains("role:slave"), "{info}");
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn trio_with_passwords_or_tls_fails_over() {
    for mut trio in [SentinelTrio::with_passwords(), SentinelTrio::with_tls()] {
        let killed = trio.kill_primary();
        let primary = trio.wait_for_failover();
        trio.restart(killed);
        trio.wait_until_ok();
        assert_eq!(trio.primary(), primary);
    }
}
