//! Connections and commands of a subscription to a Cluster.

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use session_expire::{
    RedisRegistry,
    registry::{Change, ChangeListener, Registry, Subscription},
};
use session_expire_tests::RedisCluster;

use crate::revoked;

/// Longest wait, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Subscription with its reports.
pub struct Reports {
    receiver: Receiver<Change>,
    pub subscription: Box<dyn Subscription>,
}

impl Reports {
    /// Subscribes, and waits until a check succeeds.
    pub async fn connected(registry: &RedisRegistry) -> Self {
        let (sender, receiver) = channel();
        let listener = ChangeListener::new(move |change| _ = sender.send(change));
        let reports = Self { receiver, subscription: registry.subscribe(listener) };
        reports.checked().await;
        reports
    }

    /// Waits until a check succeeds.
    pub async fn checked(&self) {
        let began = Instant::now();
        while !self.subscription.check().await.unwrap() {
            assert!(began.elapsed() < PATIENCE, "no check succeeds");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn next(&self) -> Change {
        self.receiver.recv_timeout(PATIENCE).unwrap()
    }

    /// Returns the reports so far.
    fn taken(&self) -> Vec<Change> {
        self.receiver.try_iter().collect()
    }
}

/// Returns the calls of all commands on all nodes, without those of the nodes and of the test.
fn calls(cluster: &RedisCluster, nodes: usize) -> BTreeMap<String, u64> {
    let others = ["config|resetstat", "info", "client|setinfo", "hello", "ping", "replconf"];
    let mut calls = BTreeMap::new();
    for n in 0..nodes {
        let stats: String = cluster.command_on(n, &["INFO", "commandstats"]);
        for line in stats.lines() {
            let Some((name, rest)) =
                line.strip_prefix("cmdstat_").and_then(|line| line.split_once(":calls="))
            else {
                continue;
            };
            if !others.contains(&name) {
                let count: u64 = rest.split(',').next().unwrap().parse().unwrap();
                *calls.entry(name.to_owned()).or_default() += count;
            }
        }
    }
    calls
}

#[tokio::test]
async fn quiet_subscription_asks_one_node_per_second_and_a_check_all_primaries() {
    let cluster = RedisCluster::start();
    let registry = cluster.registry().await;
    let reports = Reports::connected(&registry).await;
    let reset = || (0..6).for_each(|n| cluster.command_on(n, &["CONFIG", "RESETSTAT"]));
    let measure = async || {
        reset();
        tokio::time::sleep(Duration::from_secs(3)).await;
        calls(&cluster, 6)
    };
    let mut quiet = measure().await;
    for _ in 0..4 {
        // On a busy machine, the registry may have replaced a connection, and identified its node.
        if !quiet.contains_key("cluster|myid") {
            break;
        }
        quiet = measure().await;
    }
    let names: Vec<_> = quiet.keys().map(String::as_str).collect();
    assert_eq!(names, ["cluster|info", "cluster|nodes"]);
    assert!(quiet.values().all(|calls| (1..=4).contains(calls)), "{quiet:?}");
    reset();
    assert!(reports.subscription.check().await.unwrap());
    let checked = calls(&cluster, 6);
    assert_eq!(checked["get"], 1);
    // The comparison of owners, once a second, may run during the check.
    assert!((3..=5).contains(&checked["cluster|nodes"]), "{checked:?}");
    assert_eq!(checked.len(), 3, "{checked:?}");
}

#[tokio::test]
async fn lost_report_of_the_end_of_all_sessions_is_detected() {
    let cluster = RedisCluster::start();
    let registry = cluster.registry().await;
    let reports = Reports::connected(&registry).await;
    let epoch = "sx3:{00}:epoch";
    let owner = cluster.owner_of(cluster.slot_of(epoch));
    for words in [&["SET", epoch, "other"][..], &["DEL", epoch], &["FLUSHALL"]] {
        let _: redis::Value = cluster.command_on(owner, words);
        reports.taken();
        assert!(!reports.subscription.check().await.unwrap());
        assert_eq!(reports.next(), Change::Any);
        reports.checked().await;
    }
    registry.end_everyone(revoked()).await.unwrap();
    assert!(reports.subscription.check().await.unwrap());
    assert_eq!(reports.taken().last(), Some(&Change::Any));
}

/// Loads may have read from a former primary between the failure of the connection and the first
/// report.
#[tokio::test]
async fn replaced_connection_is_reported_twice() {
    let cluster = RedisCluster::without_replicas(&[]);
    let registry = cluster.registry().await;
    let reports = Reports::connected(&registry).await;
    reports.taken();
    let closed: u64 = cluster.command_on(1, &["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(closed, 1);
    assert_eq!([reports.next(), reports.next()], [Change::Any, Change::Any]);
    reports.checked().await;
    assert_eq!(reports.taken(), []);
}

/// Every node has one connection, and the last dropped subscription closes all of them.
#[tokio::test]
async fn dropped_subscription_closes_its_connections() {
    let cluster = RedisCluster::start();
    let registry = cluster.registry().await;
    let subscribers = || -> usize {
        let clients = |n| {
            cluster.command_on::<String>(n, &["CLIENT", "LIST", "TYPE", "pubsub"]).lines().count()
        };
        (0..6).map(clients).sum()
    };
    let first = Reports::connected(&registry).await;
    let second = Reports::connected(&registry).await;
    assert_eq!(subscribers(), 3);
    drop(first);
    drop(registry);
    second.checked().await;
    drop(second);
    let began = Instant::now();
    while subscribers() > 0 {
        assert!(began.elapsed() < PATIENCE, "the connections are still open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
