//! Memory of sessions, users and tags.

use std::{collections::HashMap, sync::Arc};

use session_expire::{
    RedisRegistry,
    registry::{EndSessions, EndTarget, Ended, Registry, partition_key},
};
use session_expire_tests::{RedisCluster, RedisServer};

use super::{browser_login, number, row, users_of};
use crate::redis::{at, commit_logins};

/// Number of sessions, in 62 tags.
const SESSIONS: usize = 50_000;
/// Number of ended sessions that a user keeps by default.
const HISTORY: usize = 20;
const TAGS: usize = 62 * 62;

pub(super) async fn measure() {
    println!("Memory of a RedisRegistry\n");
    let users = users_of("0", SESSIONS);
    let mut single = 0.0;
    for data in [0, 200, 1_000, 4_000] {
        let bytes = fill(&users, 1, data).await;
        row(&format!("session of a user with one, {data} bytes of data"), bytes, "bytes");
        single = if data == 0 { bytes } else { single };
    }
    let ten = fill(&users[..SESSIONS / 10], 10, 0).await;
    row("session of a user with ten, no data", ten, "bytes");
    let further = (10.0 * ten - single) / 9.0;
    row("each further session of a user", further, "bytes");
    let history = measure_history(&users[..SESSIONS / HISTORY]).await;
    row("user with 20 ended sessions and no open one", history, "bytes");
    row("each ended session of such a user", history / HISTORY as f64, "bytes");
    row("first session of a tag", fill(&one_per_tag(), 1, 0).await, "bytes");
    measure_empty_servers().await;
    println!();
}

/// Returns the bytes per session of users with this number of sessions.
async fn fill(users: &[String], sessions: usize, data: usize) -> f64 {
    let server = RedisServer::start();
    let registry = started(&server).await;
    let before = used_memory(&server);
    commit(&registry, users, sessions, data).await;
    (used_memory(&server) - before) / (users.len() * sessions) as f64
}

/// Returns a registry after its first operations, which load the scripts.
async fn started(server: &RedisServer) -> Arc<RedisRegistry> {
    let registry = Arc::new(server.registry().await);
    let login = browser_login("first", at(0), 0);
    registry.commit(login.clone()).await.unwrap();
    registry.end(end_of_all("first")).await.unwrap();
    registry
}

async fn commit(registry: &Arc<RedisRegistry>, users: &[String], sessions: usize, data: usize) {
    let numbers = (0..sessions).flat_map(|n| users.iter().map(move |user| (n, user)));
    let logins = numbers.enumerate().map(|(at_ms, (_, user))| browser_login(user, at(at_ms), data));
    commit_logins(registry, logins.collect()).await;
}

async fn measure_history(users: &[String]) -> f64 {
    let server = RedisServer::start();
    let registry = started(&server).await;
    let before = used_memory(&server);
    commit(&registry, users, HISTORY, 0).await;
    for user in users {
        registry.end(end_of_all(user)).await.unwrap();
    }
    (used_memory(&server) - before) / users.len() as f64
}

fn end_of_all(user: &str) -> EndSessions {
    let ended = Ended::new(session_expire::Reason::Revoked, at(2 * SESSIONS));
    EndSessions::new(EndTarget::All(user.into()), ended)
}

/// Returns a user for each tag.
fn one_per_tag() -> Vec<String> {
    let mut users = HashMap::new();
    for user in (0..).map(|n| format!("user-{n}@example.org")) {
        if users.len() == TAGS {
            break;
        }
        users.entry(partition_key(&user)[..2].to_owned()).or_insert(user);
    }
    users.into_values().collect()
}

async fn measure_empty_servers() {
    let server = RedisServer::start();
    row("empty server", used_memory(&server), "bytes");
    drop(started(&server).await);
    row("the same with the scripts", used_memory(&server), "bytes");
    let cluster = RedisCluster::start();
    let node = |n| number(&cluster.command_on::<String>(n, &["INFO", "memory"]), "used_memory");
    row("empty primary of a Cluster with a replica", node(0), "bytes");
    row("its replica", node(3), "bytes");
}

fn used_memory(server: &RedisServer) -> f64 {
    number(&server.command::<String>(&["INFO", "memory"]), "used_memory")
}
