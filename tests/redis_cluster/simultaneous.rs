//! Simultaneous logins of one user in two processes, while the slot of the user moves.

use std::{collections::HashSet, sync::Arc};

use session_expire::{
    Policy,
    registry::{Query, Registry},
};
use session_expire_tests::RedisCluster;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{committed, hash_key, login};

/// Number of logins of each task, one after another.
const LOGINS: u32 = 40;

/// Number of tasks. Every second task uses the second registry.
const TASKS: usize = 8;

/// Signs a user in from several tasks during `work`. Asserts that exactly the limit is left, and
/// that each other session is reported as evicted once.
fn sign_in_during(cluster: &RedisCluster, max_sessions: u32, work: impl FnOnce(&str)) {
    let runtime = Runtime::new().unwrap();
    let registries = [(); 2].map(|()| Arc::new(runtime.block_on(cluster.registry())));
    let (user, policy) = ("alice", Policy::new().max_sessions(max_sessions));
    let mut tasks = JoinSet::new();
    for n in 0..TASKS {
        let (registry, policy) = (Arc::clone(&registries[n % 2]), policy.clone());
        let sign_in = async move {
            let (mut ids, mut evicted) = (vec![], vec![]);
            for _ in 0..LOGINS {
                let outcome = registry.commit(login(user, &policy)).await.unwrap();
                let (record, ended) = committed(outcome);
                ids.push(record.id);
                evicted.extend(ended.into_iter().map(|record| record.id));
            }
            (ids, evicted)
        };
        tasks.spawn_on(sign_in, runtime.handle());
    }
    work(user);
    let (ids, evicted): (Vec<_>, Vec<_>) = runtime.block_on(tasks.join_all()).into_iter().unzip();
    let (mut open, evicted) = (ids.concat(), evicted.concat());
    let reported: HashSet<_> = evicted.iter().copied().collect();
    assert_eq!(reported.len(), evicted.len(), "sessions that were reported twice");
    open.retain(|id| !reported.contains(id));
    for registry in &registries {
        let listed = runtime.block_on(registry.list(Query::open(user))).unwrap();
        assert_eq!(listed.len(), max_sessions as usize);
        assert!(listed.iter().all(|record| open.contains(&record.id)));
    }
    assert_eq!(open.len(), max_sessions as usize);
}

#[test]
fn limits_are_exact_while_the_slot_moves() {
    for max_sessions in [1, 3] {
        let cluster = RedisCluster::without_replicas(&[]);
        sign_in_during(&cluster, max_sessions, |user| {
            let slot = cluster.slot_of(&hash_key(user));
            let first = cluster.owner_of(slot);
            for n in first..first + 12 {
                cluster.move_slots(slot..=slot, n % 3, (n + 1) % 3);
            }
        });
    }
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn limits_are_exact_during_manual_failovers() {
    let cluster = RedisCluster::start();
    sign_in_during(&cluster, 1, |user| {
        let primary = cluster.owner_of(cluster.slot_of(&hash_key(user)));
        cluster.fail_over(primary + 3);
        cluster.wait_until_ok();
        cluster.fail_over(primary);
    });
}
