//! Servers whose handshake is slow, for example with TLS to a distant server.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use session_expire::{Policy, RedisRegistry, registry::Registry};
use session_expire_tests::{RedisCluster, SentinelTrio};

use crate::{login, silent_nodes::wait_until};

/// Users whose records have slots of all nodes.
const USERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

/// Forwards connections to a local port, the first bytes of each after `delay`. Returns its port.
fn forward_late(port: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own_port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || forward(client, port, delay));
        }
    });
    own_port
}

fn forward(mut client: TcpStream, port: u16, delay: Duration) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    let (mut responses, mut back) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || io::copy(&mut responses, &mut back));
    let mut first = [0; 4_096];
    let count = client.read(&mut first)?;
    thread::sleep(delay);
    server.write_all(&first[..count])?;
    io::copy(&mut client, &mut server)?;
    Ok(())
}

/// Lets the nodes announce ports whose handshakes are late, and returns the ports.
async fn delay_handshakes(cluster: &RedisCluster, delay: Duration) -> [u16; 3] {
    let ports = [0, 1, 2].map(|n| forward_late(cluster.port_of(n), delay));
    for (n, port) in ports.iter().enumerate() {
        let words = ["CONFIG", "SET", "cluster-announce-port", &port.to_string()];
        let _: String = cluster.command_on(n, &words);
    }
    let knows_all = |n| {
        let nodes: String = cluster.command_on(n, &["CLUSTER", "NODES"]);
        ports.iter().all(|port| nodes.contains(&format!(":{port}@")))
    };
    wait_until(|| (0..3).all(knows_all)).await;
    ports
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshake_may_take_longer_than_half_of_the_timeout() {
    let cluster = RedisCluster::without_replicas(&[]);
    let ports = delay_handshakes(&cluster, Duration::from_millis(350)).await;
    let urls = ports.map(|port| format!("redis://127.0.0.1:{port}"));
    let registry = RedisRegistry::cluster(urls).await.unwrap().timeout(Duration::from_millis(500));
    let started = Instant::now();
    for user in USERS {
        let commit = || registry.commit(login(user, &Policy::new()));
        while let Err(error) = commit().await {
            assert!(started.elapsed() < Duration::from_secs(60), "{user}: {error}");
        }
    }
}

/// The other nodes respond at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinel_with_a_slow_handshake_is_connected_once() {
    let trio = SentinelTrio::start();
    let late = forward_late(trio.sentinel(2).port, Duration::from_millis(200));
    let mut urls = trio.urls();
    urls[2] = format!("redis://127.0.0.1:{late}/");
    let registry = RedisRegistry::sentinel(SentinelTrio::NAME, urls).await.unwrap();
    let connections = || {
        let stats: String = trio.sentinel(2).command(&["INFO", "stats"]);
        let count = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        count.unwrap().trim().parse::<u64>().unwrap()
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = connections();
    tokio::time::sleep(Duration::from_secs(5)).await;
    // One of them is the connection of the test.
    assert!(connections() - before <= 3, "{} new connections", connections() - before);
    drop(registry);
}
