//! `end_everyone` while nodes fail, are full or are slow, and after a migration that has failed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use session_expire::{
    Policy, RedisRegistry,
    registry::{ChangeListener, EndSessions, EndTarget, NewLogin, Query, Registry},
};
use session_expire_tests::RedisCluster;
use tokio::time::{sleep, timeout};

use crate::{committed, hash_key, login, revoked, user_of};

async fn is_open(registry: &RedisRegistry, login: &NewLogin) -> bool {
    let loaded = registry.load(login.key(), false).await.unwrap();
    loaded.is_some_and(|loaded| loaded.record.ended.is_none())
}

/// Returns a node that does not own the tag with which `end_everyone` begins.
fn later_node(cluster: &RedisCluster) -> usize {
    let first = cluster.owner_of(cluster.slot_of("{00}"));
    (0..3).find(|n| *n != first).unwrap()
}

/// A user with an open session, after several calls of `end_everyone`.
async fn sign_in_after_calls(registry: &RedisRegistry, user: &str) -> NewLogin {
    committed(registry.commit(login(user, &Policy::new())).await.unwrap());
    for _ in 0..3 {
        registry.end_everyone(revoked()).await.unwrap();
    }
    let signed_in = login(user, &Policy::new());
    committed(registry.commit(signed_in.clone()).await.unwrap());
    signed_in
}

/// The key of the ends and the hash of the records are on different nodes.
#[tokio::test]
async fn sessions_end_after_an_aborted_migration() {
    let cluster = RedisCluster::without_replicas(&[]);
    let (registry, user) = (cluster.registry().await, user_of(&cluster, 0));
    let (key, signed_in) = (hash_key(&user), sign_in_after_calls(&registry, &user).await);
    let slot = cluster.slot_of(&key);
    cluster.begin_migration(slot, 0, 1);
    cluster.move_some_keys(&[format!("{key}:ends")], 0, 1);
    for n in [0, 1] {
        let _: String = cluster.command_on(n, &["CLUSTER", "SETSLOT", &slot.to_string(), "STABLE"]);
    }
    assert!(is_open(&registry, &signed_in).await);
    registry.end_everyone(revoked()).await.unwrap();
    assert!(!is_open(&registry, &signed_in).await);
    let next = login(&user, &Policy::new());
    committed(registry.commit(next.clone()).await.unwrap());
    assert!(is_open(&registry, &next).await);
}

/// A script that a slow node runs after the call was cancelled must be reported.
#[tokio::test(flavor = "multi_thread")]
async fn cancelled_call_is_reported() {
    let cluster = RedisCluster::without_replicas(&[]);
    let (here, there) = (cluster.registry().await, cluster.registry().await);
    let slow = later_node(&cluster);
    // The nodes know the script.
    there.end_everyone(revoked()).await.unwrap();
    let signed_in = login(&user_of(&cluster, slow), &Policy::new());
    committed(there.commit(signed_in.clone()).await.unwrap());
    let (reports, started) = (Arc::<AtomicU64>::default(), Instant::now());
    let counted = Arc::clone(&reports);
    let subscription =
        here.subscribe(ChangeListener::new(move |_| _ = counted.fetch_add(1, SeqCst)));
    while !subscription.check().await.unwrap() {
        assert!(started.elapsed() < Duration::from_secs(60));
    }
    let _: String = cluster.command_on(slow, &["CLIENT", "PAUSE", "4000", "WRITE"]);
    let _ = timeout(Duration::from_millis(800), there.end_everyone(revoked())).await;
    let mut while_open = reports.load(SeqCst);
    while is_open(&here, &signed_in).await {
        assert!(started.elapsed() < Duration::from_secs(60));
        while_open = reports.load(SeqCst);
        sleep(Duration::from_millis(20)).await;
    }
    while subscription.check().await.unwrap() && reports.load(SeqCst) == while_open {
        assert!(started.elapsed() < Duration::from_secs(60), "the end is not reported");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn sessions_of_a_full_node_end() {
    for replicas in [0, 1] {
        let cluster = RedisCluster::start();
        let registry = cluster.registry().await.wait_for_replicas(replicas);
        let node = later_node(&cluster);
        let signed_in = login(&user_of(&cluster, node), &Policy::new());
        committed(registry.commit(signed_in.clone()).await.unwrap());
        registry.end_everyone(revoked()).await.unwrap();
        for n in [node, cluster.replica_of(node)] {
            let _: String = cluster.command_on(n, &["CONFIG", "SET", "maxmemory", "1"]);
        }
        let target = EndTarget::All(signed_in.user.clone());
        registry.end(EndSessions::new(target, revoked())).await.unwrap();
        registry.end_everyone(revoked()).await.unwrap();
    }
}

/// The replica of the first primary takes over without the call.
#[tokio::test]
async fn list_has_former_sessions_after_a_failover() {
    let mut cluster = RedisCluster::with_options(&RedisCluster::FAST_FAILOVER);
    let first = cluster.owner_of(cluster.slot_of("{00}"));
    let (registry, user) = (cluster.registry().await, user_of(&cluster, later_node(&cluster)));
    committed(registry.commit(login(&user, &Policy::new())).await.unwrap());
    cluster.cut_off_replicas(first);
    assert_eq!(registry.end_everyone(revoked()).await.unwrap(), 1);
    cluster.kill(first);
    cluster.wait_for_failover_of(first);
    cluster.wait_until_ok();
    assert_eq!(registry.list(Query::new()).await.unwrap().len(), 1);
}

/// A login must not run partially if the user may not publish, for example on a new primary.
#[tokio::test]
async fn login_without_the_permission_of_its_node_changes_nothing() {
    let cluster = RedisCluster::without_replicas(&[]);
    let registry = cluster.registry().await;
    let policy = Policy::new().max_sessions(1);
    committed(registry.commit(login(&user_of(&cluster, 0), &policy)).await.unwrap());
    let user = user_of(&cluster, 1);
    let [first, second] = [(); 2].map(|()| login(&user, &policy));
    committed(registry.commit(first.clone()).await.unwrap());
    let _: String = cluster.command_on(1, &["ACL", "SETUSER", "default", "resetchannels"]);
    registry.commit(second.clone()).await.unwrap_err();
    assert!(is_open(&registry, &first).await && !is_open(&registry, &second).await);
}
