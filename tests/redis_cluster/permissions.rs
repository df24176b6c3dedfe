//! A Redis user with exactly the permissions in the deployment guide, on a Cluster.

use std::collections::{BTreeSet, HashMap};

use session_expire::{
    Policy, RedisRegistry,
    registry::{EndSessions, EndTarget, RedisConnectError, Registry},
};
use session_expire_tests::RedisCluster;

use crate::{committed, login, revoked, session, subscriptions::Reports};

const GUIDE: &str = include_str!("../../session-expire/docs/deployment.md");

const NODES: usize = 3;

/// Returns the permissions of the first or the second `ACL SETUSER` in the guide.
fn rules(number: usize) -> Vec<&'static str> {
    let block = GUIDE.split("```text\nACL SETUSER ").nth(number + 1).unwrap();
    block.split_once("```").unwrap().0.split_whitespace().collect()
}

fn set_user(cluster: &RedisCluster, rules: &[&str]) {
    let command = [&["ACL", "SETUSER"], rules].concat();
    (0..NODES).for_each(|n| drop(cluster.command_on::<String>(n, &command)));
}

fn urls(cluster: &RedisCluster) -> Vec<String> {
    let with_user = |url: String| url.replace("redis://", "redis://sessions:password@");
    cluster.urls().into_iter().map(with_user).collect()
}

#[tokio::test]
async fn documented_permissions_are_sufficient() {
    let mut cluster = RedisCluster::without_replicas(&[]);
    let new = cluster.add_empty_primary();
    set_user(&cluster, &rules(0));
    set_user(&cluster, &rules(1));
    for rules in [rules(0), rules(1)] {
        let _: String = cluster.command_on(new, &[&["ACL", "SETUSER"], &*rules].concat());
    }
    let registry = RedisRegistry::cluster(urls(&cluster)).await.unwrap();
    let registry = registry.timeout(std::time::Duration::from_secs(10));
    let reports = Reports::connected(&registry).await;
    let slot = cluster.slot_of(&crate::hash_key("alice"));
    let owner = cluster.owner_of(slot);
    for target in [new, owner] {
        let login = login("alice", &Policy::new());
        committed(registry.commit(login.clone()).await.unwrap());
        cluster.begin_migration(slot, cluster.owner_of(slot), target);
        cluster.move_keys(slot, cluster.owner_of(slot), target);
        // Redirected with `ASK`.
        assert!(registry.load(login.key(), false).await.unwrap().is_some());
        cluster.finish_migration(slot, cluster.owner_of(slot), target);
        let end = EndSessions::new(EndTarget::Session(session(&login)), revoked());
        assert_eq!(registry.end(end).await.unwrap().len(), 1);
    }
    registry.end_everyone(revoked()).await.unwrap();
    reports.checked().await;
    for n in 0..=NODES {
        let denied: Vec<HashMap<String, String>> = cluster.command_on(n, &["ACL", "LOG"]);
        let denied: BTreeSet<_> = denied.iter().map(|entry| entry["object"].as_str()).collect();
        // redis-rs sends its name to the server, and ignores the response.
        assert!(denied.is_subset(&BTreeSet::from(["client", "client|setinfo"])), "{denied:?}");
    }
}

#[tokio::test]
async fn missing_permission_is_named_when_the_registry_connects() {
    let cluster = RedisCluster::without_replicas(&[]);
    set_user(&cluster, &rules(0));
    for rule in rules(1).into_iter().filter(|rule| rule.starts_with('+')) {
        let command = &rule[1..];
        set_user(&cluster, &rules(1));
        set_user(&cluster, &["sessions", &format!("-{command}")]);
        let error = RedisRegistry::cluster(urls(&cluster)).await.unwrap_err();
        assert!(matches!(error, RedisConnectError::Permissions { .. }), "{command}: {error:?}");
        assert!(error.to_string().contains(&format!(": {command};")), "{command}: {error}");
    }
}
