//! Nodes that do not respond.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use session_expire::{
    Policy, RedisRegistry,
    registry::{RecordKey, Registry},
};
use session_expire_tests::RedisCluster;

use crate::{hash_key, login};

/// Loads of one user by many registries.
#[derive(Default)]
struct Loads {
    succeeded: AtomicU64,
    failed: AtomicU64,
    /// Longest time of a load in milliseconds.
    longest: AtomicU64,
}

impl Loads {
    async fn repeat(self: Arc<Self>, registry: Arc<RedisRegistry>, key: RecordKey) {
        loop {
            let started = Instant::now();
            let loaded = registry.load(key, false).await;
            let counter = if loaded.is_ok() { &self.succeeded } else { &self.failed };
            counter.fetch_add(1, SeqCst);
            let millis = u64::try_from(started.elapsed().as_millis()).unwrap();
            self.longest.fetch_max(millis, SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn values(&self) -> [u64; 3] {
        [&self.succeeded, &self.failed, &self.longest].map(|value| value.load(SeqCst))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute; run by `tests/run --all`"]
async fn silent_zone_fails_no_load_of_other_nodes() {
    let mut cluster = RedisCluster::with_nodes(3, 2, &[]);
    let zone = [0, 4, 8];
    let mut loads = vec![];
    for _ in 0..20 {
        let registry = Arc::new(RedisRegistry::cluster(cluster.urls()).await.unwrap());
        for node in [0, 2] {
            let is_owned =
                |user: &String| cluster.owner_of(cluster.slot_of(&hash_key(user))) == node;
            let user = (0..).map(|n| format!("user {n}")).find(is_owned).unwrap();
            let (key, count) = (login(&user, &Policy::new()).key(), Arc::<Loads>::default());
            for _ in 0..2 {
                let load = Arc::clone(&count).repeat(Arc::clone(&registry), key);
                tokio::spawn(load);
            }
            loads.push((node, count));
        }
    }
    let healthy = || loads.iter().filter(|(node, _)| *node == 2).map(|(_, count)| count.values());
    let reaches = |loads: u64| healthy().all(|[succeeded, failed, _]| succeeded + failed >= loads);
    wait_until(|| reaches(20)).await;
    zone.iter().for_each(|n| cluster.signal(*n, "STOP"));
    wait_until(|| reaches(200)).await;
    let all: Vec<_> = healthy().collect();
    zone.iter().for_each(|n| cluster.signal(*n, "CONT"));
    println!("loads of another node: succeeded, failed, longest in ms: {all:?}");
    assert!(all.iter().all(|[_, failed, _]| *failed == 0), "{all:?}");
}

pub async fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
