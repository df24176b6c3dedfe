//! Logins of 1,000 users while slots move and primaries fail.

use std::collections::{BTreeSet, HashMap};

use session_expire_tests::{Counts, Load, Progress, RedisCluster};
use tokio::runtime::Runtime;

use crate::hash_key;

const USERS: usize = 1_000;

/// Number of slots, all with users, that move in a phase.
const MOVED: usize = 60;

/// Number of logins and ends before and after a fault.
const CHANGES: u64 = 500;

/// Failed primaries are replaced within a few seconds, even on a busy machine. Until then, slots of
/// other primaries continue to move.
const OPTIONS: [&str; 4] =
    ["--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"];

/// A Cluster, the users, and their slots.
struct Site {
    cluster: RedisCluster,
    load: Load,
    slots: HashMap<String, u16>,
    waits: bool,
    total: Counts,
}

impl Site {
    fn start(waits: bool) -> Self {
        let (runtime, cluster) = (Runtime::new().unwrap(), RedisCluster::with_options(&OPTIONS));
        let connect = |()| {
            let registry = runtime.block_on(cluster.registry());
            registry.wait_for_replicas(waits.into())
        };
        let registries = [(); 2].map(connect);
        let load = Load::new(runtime, registries, USERS, waits);
        let slot_of = |name: String| {
            let slot = cluster.slot_of(&hash_key(&name));
            (name, slot)
        };
        let slots = (0..USERS).map(|n| slot_of(format!("user {n}"))).collect();
        Self { cluster, load, slots, waits, total: Counts::default() }
    }

    /// Returns slots of a primary that have users.
    fn slots_of(&self, primary: usize, count: usize) -> Vec<u16> {
        let owned = self.cluster.slots_of(primary);
        let is_owned = |slot: &u16| owned.iter().any(|slots| slots.contains(slot));
        let slots: BTreeSet<_> = self.slots.values().copied().filter(is_owned).collect();
        slots.into_iter().take(count).collect()
    }

    fn run(&mut self, name: &str, break_servers: impl FnOnce(&mut RedisCluster, &Progress)) {
        let cluster = &mut self.cluster;
        let counts = self.load.run(name, |progress| {
            progress.wait_for_changes(CHANGES);
            break_servers(cluster, progress);
            progress.wait_for_changes(CHANGES);
        });
        self.total.add(&counts);
    }

    fn move_slots(&mut self, name: &str, from: usize, to: usize) {
        let slots = self.slots_of(from, MOVED);
        self.run(name, |cluster, _| move_all(cluster, &slots, from, to));
    }

    /// Kills a primary, moves slots between two others until a replica has taken over, and starts
    /// the killed node again.
    fn kill(&mut self, name: &str, primary: usize, [from, to]: [usize; 2], is_behind: bool) {
        let (owned, slots) = (self.cluster.slots_of(primary), self.slots.clone());
        let moving = self.slots_of(from, MOVED);
        let waits = self.waits;
        self.run(name, |cluster, progress| {
            if is_behind {
                cluster.cut_off_replicas(primary);
                // Without its replica, the primary acknowledges no change.
                if waits {
                    progress.wait_for_requests(CHANGES)
                } else {
                    progress.wait_for_changes(CHANGES)
                }
            }
            cluster.kill(primary);
            let is_affected =
                move |user: &str| owned.iter().any(|owned| owned.contains(&slots[user]));
            progress.begin_fault(is_affected);
            move_all(cluster, &moving, from, to);
            cluster.wait_for_failover_of(primary);
            cluster.restart(primary);
            cluster.wait_until_ok();
            progress.wait_for_recovery();
        });
    }
}

/// Moves slots one after another. A primary that is down does not learn of the moves.
fn move_all(cluster: &RedisCluster, slots: &[u16], from: usize, to: usize) {
    for slot in slots {
        cluster.move_slots(*slot..=*slot, from, to);
    }
}

fn reshard_and_kill(waits: bool) -> Counts {
    let mut site = Site::start(waits);
    site.move_slots("slots move to another primary", 0, 1);
    let empty = site.cluster.add_empty_primary();
    site.cluster.add_replica_of(empty);
    site.move_slots("slots move to a new primary", 1, empty);
    site.kill("slots move while a primary is killed", 2, [0, empty], false);
    site.kill("slots move while a primary without its replica is killed", 1, [0, 5], true);
    println!("in total: {}", site.total);
    site.total
}

#[test]
#[ignore = "takes a minute; run by `tests/run --all`"]
fn waiting_registries_lose_nothing() {
    reshard_and_kill(true).assert_durable();
}

#[test]
#[ignore = "takes half a minute; run by `tests/run --all`"]
fn registries_that_do_not_wait_keep_the_limits() {
    reshard_and_kill(false).assert_exact();
}
