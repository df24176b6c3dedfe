//! Cost of reports on a Cluster: channels, subscriptions and messages.

use std::sync::Arc;

use redis::ConnectionLike;
use session_expire::registry::{ChangeListener, Registry};
use session_expire_tests::RedisCluster;

use super::{browser_login, number, row};
use crate::redis::{at, commit_logins};

const MESSAGES: usize = 10_000;
const SUBSCRIBERS: usize = 10;
const USERS: usize = 1_000;

pub(super) async fn measure() {
    println!("Reports on a Cluster of three primaries\n");
    let cluster = RedisCluster::without_replicas(&[]);
    print_spread(&cluster);
    let node = cluster.owner_of(cluster.slot_of("sx3:{00}"));
    let channels = channels_of(&cluster, node);
    let idle = measure_connections(&cluster, node, &[]);
    row("idle connection", idle.1, "bytes");
    for (count, micros) in measure_messages(&cluster, node, &channels[0]) {
        row(&format!("SPUBLISH with {count} subscribers"), micros, "µs");
    }
    let (first, further) = measure_connections(&cluster, node, &channels);
    row(&format!("subscription to {} channels, the first", channels.len()), first, "bytes");
    row("the same for each further process", further, "bytes");
    measure_processes().await;
    println!();
}

/// Prints the connections of a process to each node.
async fn measure_processes() {
    let cluster = RedisCluster::start();
    let before = clients(&cluster);
    let print = |what: &str| {
        for (nodes, of_nodes) in [("primary", 0..3), ("replica", 3..6)] {
            let added = of_nodes.map(|n| clients(&cluster)[n] - before[n]).sum::<f64>() / 3.0;
            row(&format!("connections to a {nodes}{what}"), added, "");
        }
    };
    let registry = Arc::new(cluster.registry().await);
    let login = |n| browser_login(&format!("user {n}"), at(n), 0);
    commit_logins(&registry, (0..USERS).map(login).collect()).await;
    print("");
    let registry = Arc::into_inner(registry).unwrap().wait_for_replicas(1);
    let registry = Arc::new(registry);
    commit_logins(&registry, (0..USERS).map(login).collect()).await;
    print(", with wait_for_replicas");
    let (sender, reports) = std::sync::mpsc::channel();
    let listener = ChangeListener::new(move |_| _ = sender.send(()));
    let _subscription = registry.subscribe(listener);
    reports.recv().unwrap();
    print(", and a subscription");
}

/// Returns the number of connections to each node.
fn clients(cluster: &RedisCluster) -> Vec<f64> {
    let count = |n| {
        let info: String = cluster.command_on(n, &["INFO", "clients"]);
        number(&info, "connected_clients")
    };
    (0..6).map(count).collect()
}

/// Prints the largest number of tags of a primary, if each primary has the same number of slots.
fn print_spread(cluster: &RedisCluster) {
    let slots: Vec<_> = keys_of_tags().map(|key| usize::from(cluster.slot_of(&key))).collect();
    for primaries in [1, 8, 77] {
        let mut tags = vec![0.0_f64; primaries];
        slots.iter().for_each(|slot| tags[slot * primaries / 16_384] += 1.0);
        let most = tags.into_iter().fold(0.0, f64::max);
        row(&format!("tags of the primary with the most, of {primaries}"), most, "");
    }
}

fn keys_of_tags() -> impl Iterator<Item = String> {
    let letters = || ('0'..='9').chain('A'..='Z').chain('a'..='z');
    letters().flat_map(move |a| letters().map(move |b| format!("sx3:{{{a}{b}}}")))
}

/// Returns the channels of the tags whose slots a node owns.
fn channels_of(cluster: &RedisCluster, node: usize) -> Vec<String> {
    let owned = |key: &String| cluster.owner_of(cluster.slot_of(key)) == node;
    keys_of_tags().filter(owned).map(|key| format!("{key}:changes")).collect()
}

/// Returns the bytes of the first connection to a node, and those of each further one.
fn measure_connections(cluster: &RedisCluster, node: usize, channels: &[String]) -> (f64, f64) {
    let mut connections = vec![];
    let mut memory = vec![used_memory(cluster, node)];
    for _ in 0..=SUBSCRIBERS {
        connections.push(subscribe(cluster, node, channels));
        memory.push(used_memory(cluster, node));
    }
    let further = (memory[SUBSCRIBERS + 1] - memory[1]) / SUBSCRIBERS as f64;
    (memory[1] - memory[0], further)
}

fn subscribe(cluster: &RedisCluster, node: usize, channels: &[String]) -> redis::Connection {
    let client = redis::Client::open(cluster.urls()[node].clone()).unwrap();
    let mut connection = client.get_connection().unwrap();
    for channel in channels {
        let mut command = redis::cmd("SSUBSCRIBE");
        connection.req_command(command.arg(channel)).unwrap();
    }
    connection
}

/// Returns the microseconds per message for each number of subscribers.
fn measure_messages(cluster: &RedisCluster, node: usize, channel: &String) -> Vec<(usize, f64)> {
    let client = redis::Client::open(cluster.urls()[node].clone()).unwrap();
    let mut publisher = client.get_connection().unwrap();
    let mut subscribers = vec![];
    let mut measured = vec![];
    for count in [0, 1, SUBSCRIBERS] {
        while subscribers.len() < count {
            subscribers.push(subscribe(cluster, node, std::slice::from_ref(channel)));
        }
        let _: String = cluster.command_on(node, &["CONFIG", "RESETSTAT"]);
        let mut messages = redis::pipe();
        for _ in 0..MESSAGES {
            let text = "0123456789abcdefghijkl 0123456789abcdefghijkl *";
            messages.cmd("SPUBLISH").arg(channel).arg(text).ignore();
        }
        messages.exec(&mut publisher).unwrap();
        measured.push((count, micros_per_call(cluster, node, "spublish")));
    }
    measured
}

/// Returns the mean time of a command on a node since `CONFIG RESETSTAT`.
pub(super) fn micros_per_call(cluster: &RedisCluster, node: usize, command: &str) -> f64 {
    let stats: String = cluster.command_on(node, &["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let time = line.and_then(|line| line.split("usec_per_call=").nth(1)?.split(',').next());
    time.map_or(0.0, |time| time.parse().unwrap())
}

fn used_memory(cluster: &RedisCluster, node: usize) -> f64 {
    number(&cluster.command_on::<String>(node, &["INFO", "memory"]), "used_memory")
}
