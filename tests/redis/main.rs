//! `RedisRegistry` with servers that the tests start, fill, delay and stop.

#![allow(missing_docs)]

mod cache;
mod commands;
mod example_site;
mod failover;
mod failovers;
mod generations;
mod io_thread;
mod lists;
mod lost_reports;
mod lost_responses;
mod outage;
mod permissions;
mod races;
mod rate_limits;
mod replicas;
mod replicated;
mod reports;
#[path = "../rounds.rs"]
mod rounds;
mod same_as_memory;
mod servers;
mod storage;
mod tls;
mod tombstones;
mod versions;

use session_expire::{
    RedisRegistry,
    clock::Timestamp,
    registry::{EndSessions, EndTarget, Registry, SessionUpdate},
};
use session_expire_tests::{
    NOON, committed, is_open, load_when_available, login, revoked, session, sign_in,
};

pub fn all(user: &str) -> EndTarget {
    EndTarget::All(user.into())
}

/// Ends sessions. Returns the number of those that were open.
pub async fn end(registry: &RedisRegistry, target: EndTarget) -> usize {
    registry.end(EndSessions::new(target, revoked())).await.unwrap().len()
}

/// Returns an update that records activity at `at`.
pub fn active(at: Timestamp) -> SessionUpdate {
    SessionUpdate::new(at).active(at)
}

/// Returns an update that sets one entry.
pub fn setting(name: &str, json: &str) -> SessionUpdate {
    let mut update = SessionUpdate::new(NOON);
    update.data.set(name, raw(json));
    update
}

pub fn raw(json: &str) -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(json.to_owned()).unwrap()
}
