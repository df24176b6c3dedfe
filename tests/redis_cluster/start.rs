//! Start of an application while a primary of its Cluster is not available.

use std::time::{Duration, Instant};

use session_expire::{Policy, RedisRegistry, registry::Registry};
use session_expire_tests::RedisCluster;

use crate::{committed, hash_key, login};

/// Returns a Cluster whose other primaries serve their users when one fails.
fn start_cluster() -> RedisCluster {
    RedisCluster::without_replicas(&["--cluster-require-full-coverage", "no"])
}

/// Returns a user for each of the nodes.
fn users(cluster: &RedisCluster) -> [String; 3] {
    [0, 1, 2].map(|node| {
        let owns = |user: &String| cluster.owner_of(cluster.slot_of(&hash_key(user))) == node;
        (0..).map(|n| format!("user {n}")).find(owns).unwrap()
    })
}

/// Connects, and signs a user in.
async fn assert_starts(urls: &[String], user: &str) {
    let began = Instant::now();
    let registry = RedisRegistry::cluster(urls).await.unwrap();
    println!("started within {:?}", began.elapsed());
    assert!(registry.server_time().is_some());
    let registry = registry.timeout(Duration::from_secs(10));
    let login = login(user, &Policy::new());
    committed(registry.commit(login.clone()).await.unwrap());
    assert!(registry.load(login.key(), false).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn application_starts_while_any_primary_is_down() {
    for down in 0..3 {
        let mut cluster = start_cluster();
        let (urls, users) = (cluster.urls(), users(&cluster));
        cluster.kill(down);
        assert_starts(&urls, &users[(down + 1) % 3]).await;
        let reversed: Vec<_> = urls.into_iter().rev().collect();
        assert_starts(&reversed, &users[(down + 2) % 3]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn application_starts_while_any_primary_is_silent() {
    for silent in 0..3 {
        let mut cluster = start_cluster();
        let (urls, users) = (cluster.urls(), users(&cluster));
        cluster.signal(silent, "STOP");
        assert_starts(&urls, &users[(silent + 1) % 3]).await;
    }
}

/// The first slots have moved: their owner is not the node of the other slots of the first range.
#[tokio::test(flavor = "multi_thread")]
async fn application_starts_without_a_primary_of_scattered_slots() {
    let mut cluster = start_cluster();
    let (urls, users) = (cluster.urls(), users(&cluster));
    cluster.move_slots(0..=5, 0, 1);
    cluster.wait_until_ok();
    cluster.kill(0);
    assert_starts(&urls, &users[2]).await;
}
