//! Users, passwords, certificates and addresses of a Redis Cluster.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use session_expire::{
    Policy, RedisRegistry,
    registry::{RecordKey, RedisConnectError, Registry},
};
use session_expire_tests::{Authority, Certificates, RedisCluster, RedisServer, find_free_port};

use crate::{committed, login};

/// Longest time until a start with a mistake fails, even on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(4_500);

/// Options of a user `site` with the password `s3cret`.
const SITE: [&str; 7] = ["--user", "site", "on", ">s3cret", "~*", "&*", "+@all"];

/// Users whose records are on all primaries.
const USERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

async fn assert_works(registry: RedisRegistry) {
    let registry = registry.timeout(Duration::from_secs(60));
    for user in USERS {
        let login = login(user, &Policy::new());
        committed(registry.commit(login.clone()).await.unwrap());
        let loaded = registry.load(login.key(), false).await.unwrap();
        assert!(loaded.is_some_and(|loaded| loaded.record.ended.is_none()), "{user}");
    }
}

/// Returns the URLs with `user`, which has the form `name:password@`.
fn with_user(urls: &[String], user: &str) -> Vec<String> {
    urls.iter().map(|url| url.replace("//", &format!("//{user}"))).collect()
}

async fn refused(nodes: &[String]) -> RedisConnectError {
    let began = Instant::now();
    let error = RedisRegistry::cluster(nodes).await.unwrap_err();
    assert!(began.elapsed() < AT_ONCE, "{:?}: {error:?}", began.elapsed());
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    error
}

fn source(error: &RedisConnectError) -> String {
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn nodes_with_tls_and_users_accept_the_registry() {
    let certificates = Certificates::new();
    let cluster = RedisCluster::with_tls(&certificates, &SITE);
    let urls = cluster.tls_urls("site:s3cret@");
    let connect = |certificates| RedisRegistry::cluster_with_certificates(&urls, certificates);
    let registry = connect(certificates.for_client()).await.unwrap();
    let text = format!("{registry:?}");
    assert_works(registry).await;
    assert!(text.contains("rediss+cluster://localhost:") && !text.contains("s3cret"), "{text}");
    let mut other = certificates.for_client();
    other.root_cert = Some(Authority::new().pem());
    let began = Instant::now();
    for error in [connect(other).await.unwrap_err(), refused(&urls).await] {
        assert!(matches!(error, RedisConnectError::Server { .. }), "{error:?}");
        assert!(source(&error).contains("invalid peer certificate"), "{error:?}");
    }
    assert!(began.elapsed() < 2 * AT_ONCE, "{:?}", began.elapsed());
    let wrong = cluster.tls_urls("site:s3cret-no@");
    let began = Instant::now();
    let wrong = RedisRegistry::cluster_with_certificates(&wrong, certificates.for_client());
    let error = wrong.await.unwrap_err();
    assert!(matches!(error, RedisConnectError::Server { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn expired_certificate_is_refused() {
    let certificates = Certificates::new();
    let cluster = RedisCluster::with_tls(&certificates, &[]);
    certificates.expire();
    let reload = certificates.reload();
    let reload: Vec<_> = reload.iter().map(String::as_str).collect();
    (0..3).for_each(|n| _ = cluster.command_on::<String>(n, &reload));
    let urls = cluster.tls_urls("");
    let connect = RedisRegistry::cluster_with_certificates(urls, certificates.for_client());
    let error = connect.await.unwrap_err();
    assert!(source(&error).to_lowercase().contains("expired"), "{error:?}");
}

#[tokio::test]
async fn wrong_password_is_refused_at_once() {
    let cluster = RedisCluster::without_replicas(&SITE);
    let registry = RedisRegistry::cluster(with_user(&cluster.urls(), "site:s3cret@")).await;
    assert_works(registry.unwrap()).await;
    let error = refused(&with_user(&cluster.urls(), "site:s3cret-no@")).await;
    assert!(matches!(error, RedisConnectError::Server { .. }), "{error:?}");
    assert!(source(&error).contains("WRONGPASS") || source(&error).contains("auth"), "{error:?}");
}

#[tokio::test]
async fn dead_node_among_the_urls_does_no_harm() {
    let cluster = RedisCluster::without_replicas(&[]);
    let dead = format!("redis://127.0.0.1:{}", find_free_port());
    for urls in
        [vec![dead.clone(), cluster.urls()[1].clone()], [cluster.urls(), vec![dead]].concat()]
    {
        assert_works(RedisRegistry::cluster(&urls).await.unwrap()).await;
    }
}

#[tokio::test]
async fn silent_node_does_not_end_the_start() {
    let mut cluster = RedisCluster::without_replicas(&["--cluster-require-full-coverage", "no"]);
    cluster.signal(2, "STOP");
    RedisRegistry::cluster(&cluster.urls()[..1]).await.unwrap();
    RedisRegistry::cluster(cluster.urls()).await.unwrap();
}

#[tokio::test]
async fn topology_other_than_that_of_the_constructor_is_named() {
    let cluster = RedisCluster::without_replicas(&[]);
    let error = RedisRegistry::connect(&cluster.urls()[0]).await.unwrap_err();
    assert!(matches!(error, RedisConnectError::Cluster { .. }), "{error:?}");
    assert!(error.to_string().contains("use `RedisRegistry::cluster`"), "{error}");
    let server = RedisServer::start();
    let error = refused(&[server.url()]).await;
    assert!(matches!(error, RedisConnectError::NotACluster { .. }), "{error:?}");
    assert!(error.to_string().contains("use `RedisRegistry::connect`"), "{error}");
}

#[tokio::test]
async fn contradictory_urls_are_refused() {
    let error = refused(&[]).await;
    assert_eq!(error.to_string(), "the list of nodes is empty");
    let node = |url: &str| url.to_owned();
    let error = refused(&[node("redis://site:s3cret@127.0.0.1/1")]).await;
    assert!(matches!(error, RedisConnectError::Database { database: 1, .. }), "{error:?}");
    for other in ["rediss://site:s3cret@127.0.0.1", "redis://site:s3cret2@127.0.0.1"] {
        let error = refused(&[node("redis://site:s3cret@127.0.0.1"), node(other)]).await;
        assert!(matches!(error, RedisConnectError::MixedUrls), "{error:?}");
    }
    let error = refused(&[node("redis://site:s3cret@127.0.0.1:x")]).await;
    assert!(matches!(error, RedisConnectError::Url(_)), "{error:?}");
}

/// The users of the tests have their records on all primaries.
#[test]
fn users_have_slots_of_all_primaries() {
    let cluster = RedisCluster::without_replicas(&[]);
    let tag = |user: &str| RecordKey::random(user).partition_key()[..2].to_owned();
    let owner = |user| cluster.owner_of(cluster.slot_of(&format!("{{{}}}", tag(user))));
    let owners: std::collections::BTreeSet<_> = USERS.into_iter().map(owner).collect();
    assert_eq!(owners.len(), 3);
}
