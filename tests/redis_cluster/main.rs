//! `RedisRegistry` on a Redis Cluster and behind Sentinels that the tests start, fill and break.

#![allow(missing_docs)]

mod access;
mod across_users;
mod coverage;
mod end_everyone;
mod endurance;
mod example_site;
mod failovers;
mod handshakes;
mod live;
mod lost_responses;
mod many_requests;
mod migration;
mod permissions;
mod replaced_nodes;
mod reports;
mod resharding;
mod sentinel;
mod servers;
mod silent_nodes;
mod simultaneous;
mod start;
mod subscriptions;
mod watch;

use session_expire::registry::RecordKey;
use session_expire_tests::{
    NOON, RedisCluster, committed, load_when_available, login, revoked, session,
};

/// Returns the key of the hash with the records of a user.
pub fn hash_key(user: &str) -> String {
    format!("sx3:{{{}}}", &RecordKey::random(user).partition_key()[..2])
}

/// Returns a user whose records a node has.
pub fn user_of(cluster: &RedisCluster, node: usize) -> String {
    let is_owned = |user: &String| cluster.owner_of(cluster.slot_of(&hash_key(user))) == node;
    (0..).map(|n| format!("user {n}")).find(is_owned).unwrap()
}
