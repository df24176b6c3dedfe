//! Many requests at once, over few connections.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use session_expire::registry::{RecordKey, Registry};
use session_expire_tests::RedisCluster;
use tokio::task::JoinSet;

use crate::hash_key;

/// Far more requests than the queue of a redis-rs connection holds by default.
const REQUESTS: usize = 2_000;

/// The cluster client asks for the new owner of the slot over a connection with waiting requests.
#[tokio::test]
async fn moved_slot_does_not_stall_other_requests() {
    let cluster = RedisCluster::without_replicas(&[]);
    let timeout = Duration::from_secs(60);
    let registry = Arc::new(cluster.registry().await.timeout(timeout));
    registry.load(RecordKey::random("alice"), false).await.unwrap();
    let slot = cluster.slot_of(&hash_key("alice"));
    let from = cluster.owner_of(slot);
    cluster.move_slots(slot..=slot, from, (from + 1) % 3);
    let users = std::iter::once("alice".to_owned()).chain((1..REQUESTS).map(|n| n.to_string()));
    let started = Instant::now();
    let mut loads = JoinSet::new();
    for user in users {
        let registry = Arc::clone(&registry);
        loads.spawn(async move { registry.load(RecordKey::random(&user), false).await.unwrap() });
    }
    assert!(loads.join_all().await.iter().all(Option::is_none));
    // A stalled request for the owner would fail after half of the timeout.
    assert!(started.elapsed() < timeout / 3, "{:?}", started.elapsed());
}
