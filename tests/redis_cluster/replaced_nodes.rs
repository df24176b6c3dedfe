//! Nodes that have been replaced, and servers that have the address of a former node.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use session_expire::{
    Policy, RedisRegistry,
    registry::{EndSessions, EndTarget, NewLogin, Registry},
};
use session_expire_tests::RedisCluster;

use crate::{committed, load_when_available, login, revoked, user_of};

/// Server that is not a node of the Cluster.
struct OtherServer(Child);

impl OtherServer {
    fn start(port: u16) -> Self {
        let port = port.to_string();
        let server = Command::new("redis-server")
            .args(["--port", &port, "--save", "", "--bind", "127.0.0.1"])
            .stdout(Stdio::null())
            .spawn();
        Self(server.unwrap())
    }
}

impl Drop for OtherServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn is_open(registry: &RedisRegistry, login: &NewLogin) -> bool {
    let loaded = load_when_available(registry, login.key()).await;
    loaded.is_some_and(|loaded| loaded.record.ended.is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn other_server_at_the_address_of_a_node_is_not_used() {
    let mut cluster = RedisCluster::with_options(&RedisCluster::FAST_FAILOVER);
    let user = user_of(&cluster, 0);
    let registry = cluster.registry().await;
    let signed_in = login(&user, &Policy::new());
    committed(registry.commit(signed_in.clone()).await.unwrap());
    assert_eq!(cluster.command_on::<u64>(0, &["WAIT", "1", "10000"]), 1);
    let port = cluster.port_of(0);
    cluster.kill(0);
    let _other = OtherServer::start(port);
    cluster.wait_for_failover_of(0);
    let end = || EndSessions::new(EndTarget::All(user.as_str().into()), revoked());
    let started = Instant::now();
    while let Err(error) = registry.end(end()).await {
        assert!(started.elapsed() < Duration::from_secs(60), "{error}");
    }
    let another = login(&user, &Policy::new());
    committed(registry.commit(another.clone()).await.unwrap());
    // As another process sees them.
    let other = RedisRegistry::cluster(&cluster.urls()[1..]).await.unwrap();
    assert!(!is_open(&other, &signed_in).await, "an acknowledged end is lost");
    assert!(is_open(&other, &another).await, "an acknowledged login is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_connection_does_not_need_the_nodes_of_the_urls() {
    let mut cluster = RedisCluster::with_options(&RedisCluster::FAST_FAILOVER);
    let user = user_of(&cluster, 1);
    let registry = RedisRegistry::cluster(&cluster.urls()[..1]).await.unwrap();
    cluster.fail_over(3);
    cluster.wait_until_ok();
    let signed_in = login(&user, &Policy::new());
    committed(registry.commit(signed_in.clone()).await.unwrap());
    cluster.kill(0);
    assert!(is_open(&registry, &signed_in).await);
    // Opens a second connection.
    let registry = registry.wait_for_replicas(1);
    let again = registry.commit(login(&user, &Policy::new())).await;
    assert!(again.is_ok(), "{:?}", again.err());
}
