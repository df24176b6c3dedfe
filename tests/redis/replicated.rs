//! A primary and its replica, with a proxy in front of each.

use std::{mem, time::Duration};

use session_expire::RedisRegistry;
use session_expire_tests::{RedisServer, SwitchProxy};

/// A primary, and a replica that is connected to it through a proxy.
pub struct Replicated {
    pub primary: RedisServer,
    replica: RedisServer,
    pub replication: SwitchProxy,
    /// Proxy of the clients.
    clients: SwitchProxy,
}

impl Replicated {
    pub fn start() -> Self {
        let primary = RedisServer::start();
        let (replica, replication) = start_replica(&primary);
        let clients = SwitchProxy::new(primary.port);
        Self { primary, replica, replication, clients }
    }

    pub async fn registry(&self, timeout: Duration) -> RedisRegistry {
        RedisRegistry::connect(&self.clients.url()).await.unwrap().timeout(timeout)
    }

    /// Returns a registry that waits for the replica, for as long as a busy machine takes.
    pub async fn waiting(&self) -> RedisRegistry {
        self.registry(Duration::from_secs(20)).await.wait_for_replicas(1)
    }

    /// Kills the primary and promotes the replica.
    pub fn fail_over(&mut self) {
        self.primary.stop();
        self.replication.cut();
        self.replica.promote();
        self.clients.switch(self.replica.port);
    }

    /// Attaches a new replica to the promoted server, and waits until it has copied its records.
    pub fn attach_replica(&mut self) {
        let (replica, replication) = start_replica(&self.replica);
        self.primary = mem::replace(&mut self.replica, replica);
        self.replication = replication;
    }
}

/// Starts a replica, and waits until the primary sends it new changes. After the copy of all
/// records, the primary first waits for an acknowledgement, which takes up to a second.
fn start_replica(primary: &RedisServer) -> (RedisServer, SwitchProxy) {
    let replication = SwitchProxy::new(primary.port);
    let replica = RedisServer::start_replica_of(replication.port);
    primary.wait_for_replicas(1);
    (replica, replication)
}
