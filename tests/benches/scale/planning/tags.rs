//! Tags with many sessions: latency, and the migration of their slot.

use std::{sync::Arc, time::Instant};

use session_expire::registry::{Registry, SessionRef, SessionUpdate};
use session_expire_tests::RedisCluster;

use super::{browser_login, channels::micros_per_call, users_of};
use crate::{
    quantiles,
    redis::{at, commit_logins, timed},
};

const TAG: &str = "00";
const SESSIONS: [usize; 4] = [26, 1_000, 10_000, 50_000];
const SAMPLES: usize = 500;

pub(super) async fn measure() {
    let users = users_of(TAG, SESSIONS[3]);
    let cluster = RedisCluster::without_replicas(&[]);
    let registry = Arc::new(cluster.registry().await);
    println!("A tag with many users, each with one session without session data\n");
    print!("{:<10}{:>10}{:>10}{:>12}", "sessions", "load µs", "login µs", "update µs");
    print!("{:>14}{:>14}", "largest key", "MIGRATE of it");
    println!("{:>16}{:>10}{:>14}", "RESTORE of it", "keys", "slot moves in");
    let mut filled = 0;
    let slot = cluster.slot_of(&format!("sx3:{{{TAG}}}"));
    for sessions in SESSIONS {
        let number = |(n, user): (usize, &String)| browser_login(user, at(n), 0);
        let logins: Vec<_> = users[..sessions].iter().enumerate().map(number).collect();
        // The last logins are measured.
        let measured = SAMPLES.min((sessions - filled) / 2);
        let (before, last) = logins[filled..].split_at(sessions - filled - measured);
        commit_logins(&registry, before.to_vec()).await;
        filled = sessions;
        let owner = cluster.owner_of(slot);
        let reset = || drop(cluster.command_on::<String>(owner, &["CONFIG", "RESETSTAT"]));
        reset();
        timed(last.len(), async |n| drop(registry.commit(last[n].clone()).await.unwrap())).await;
        let login = micros_per_call(&cluster, owner, "evalsha");
        reset();
        let load = async |n: usize| drop(registry.load(last[n % last.len()].key(), false).await);
        quantiles(timed(SAMPLES, load).await);
        let load = micros_per_call(&cluster, owner, "hmget");
        reset();
        let update = async |n: usize| {
            let login = &last[n % last.len()];
            let update = SessionUpdate::new(at(100_000 + n)).active(at(100_000 + n));
            let session = SessionRef::new(login.user.clone(), login.id);
            registry.update(session, update).await.unwrap();
        };
        timed(SAMPLES, update).await;
        let update = micros_per_call(&cluster, owner, "evalsha");
        print!("{sessions:<10}{load:>10.1}{login:>10.1}{update:>12.1}");
        measure_migration(&cluster, slot, owner);
    }
    println!();
}

/// Moves the slot of the tag to another primary, the largest key first.
fn measure_migration(cluster: &RedisCluster, slot: u16, owner: usize) {
    let (target, key) = ((owner + 1) % 3, format!("sx3:{{{TAG}}}"));
    let keys: usize = cluster.command_on(owner, &["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]);
    let bytes: u64 = cluster.command_on(owner, &["MEMORY", "USAGE", &key, "SAMPLES", "0"]);
    for node in [owner, target] {
        let _: String = cluster.command_on(node, &["CONFIG", "RESETSTAT"]);
    }
    let began = Instant::now();
    cluster.begin_migration(slot, owner, target);
    cluster.move_some_keys(&[key], owner, target);
    let migrate = micros_per_call(cluster, owner, "migrate") / 1e3;
    let restore = micros_per_call(cluster, target, "restore-asking") / 1e3;
    cluster.move_keys(slot, owner, target);
    cluster.finish_migration(slot, owner, target);
    let total = began.elapsed().as_secs_f64() * 1e3;
    print!("{:>10.0} kB{migrate:>11.1} ms", bytes as f64 / 1e3);
    println!("{restore:>13.1} ms{keys:>10}{total:>11.0} ms");
}
