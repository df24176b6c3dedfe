//! Redis Cluster: its nodes, and the cluster client of redis-rs.

mod connector;
mod link;
mod link_check;
mod node;
mod node_connection;
mod node_error;
mod node_id;
mod owners;
mod questions;
mod seen_nodes;
mod slot_ranges;
pub(crate) mod slots;
mod subscribed_node;
pub(crate) mod subscriber;
mod view;

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[cfg(feature = "redis-tls")]
use redis::TlsCertificates;
use redis::{Client, ConnectionInfo, ErrorKind, RedisError, cluster::ClusterClientBuilder};

use self::seen_nodes::SeenNodes;
use super::{
    connection::DEFAULT_TIMEOUT,
    servers::{is_tls, with_address},
};

pub(crate) use self::{
    link::ClusterLink,
    node::new_group,
    node_error::{is_lost, is_unavailable},
    owners::SlotOwners,
    slots::slot_of,
};

/// How often redis-rs repeats a command that no node has run. Afterwards `send` repeats it until
/// its deadline.
const ATTEMPTS: u32 = 4;

/// Pause before such a repetition, in milliseconds: a random time between these.
const PAUSE: (u64, u64) = (5, 50);

/// Maximum time of an attempt to connect to a node. It does not depend on the timeout of operations,
/// because a handshake takes several round trips. No operation waits for all of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Nodes of a Cluster from which a connection learns the others.
pub(crate) struct Cluster {
    nodes: Vec<ConnectionInfo>,
    /// Nodes that another one has named since.
    seen: SeenNodes,
    #[cfg(feature = "redis-tls")]
    certificates: Option<TlsCertificates>,
    /// Timeout of operations.
    timeout: Mutex<Duration>,
}

impl Cluster {
    /// Returns a Cluster. Each client has the address of a node. Its other settings apply to all
    /// nodes and must be the same.
    pub(crate) fn new(clients: &[Client]) -> Self {
        Self {
            nodes: clients.iter().map(|client| client.get_connection_info().clone()).collect(),
            seen: <_>::default(),
            #[cfg(feature = "redis-tls")]
            certificates: None,
            timeout: Mutex::new(DEFAULT_TIMEOUT),
        }
    }

    #[cfg(feature = "redis-tls")]
    pub(crate) fn with_certificates(self, certificates: TlsCertificates) -> Self {
        Self { certificates: Some(certificates), ..self }
    }

    /// Sets the timeout of operations, which applies to new connections. Returns `true` if it has
    /// changed.
    pub(crate) fn set_timeout(&self, timeout: Duration) -> bool {
        mem::replace(&mut *self.lock_timeout(), timeout) != timeout
    }

    fn lock_timeout(&self) -> MutexGuard<'_, Duration> {
        self.timeout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to all nodes.
    pub(crate) async fn connect(&self) -> Result<ClusterLink, RedisError> {
        let timeout = *self.lock_timeout();
        let builder = ClusterClientBuilder::new(self.known_nodes())
            // After half of its timeout, a command gets a new connection.
            .response_timeout(timeout / 2)
            .connection_timeout(CONNECT_TIMEOUT)
            .overall_response_timeout(None)
            .retries(ATTEMPTS)
            .min_retry_wait(PAUSE.0)
            .max_retry_wait(PAUSE.1);
        #[cfg(feature = "redis-tls")]
        let builder = match &self.certificates {
            Some(certificates) => builder.certs(certificates.clone()),
            None => builder,
        };
        let client = builder.build()?.get_async_generic_connection().await?;
        Ok(ClusterLink::new(client, self.seen.clone()))
    }

    /// Returns the nodes of the URLs, and those that one of them has named since.
    fn known_nodes(&self) -> impl Iterator<Item = ConnectionInfo> {
        let seen = self.nodes.first().into_iter().flat_map(|first| {
            let addresses = self.seen.addresses().into_iter();
            addresses.map(|(host, port)| with_address(first, &host, port))
        });
        self.nodes.iter().cloned().chain(seen)
    }

    /// Returns `true` if the connections use TLS.
    pub(crate) fn uses_tls(&self) -> bool {
        self.nodes.iter().any(is_tls)
    }

    /// Returns the addresses of the nodes, without user and password.
    pub(crate) fn address(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(|node| node.addr().to_string()).collect();
        let scheme = if self.uses_tls() { "rediss" } else { "redis" };
        format!("{scheme}+cluster://{}", nodes.join(","))
    }

    /// Returns clients of the nodes. A node may be named twice.
    pub(crate) fn clients(&self) -> impl Iterator<Item = Result<Client, RedisError>> {
        self.known_nodes().map(Client::open)
    }

    /// Returns a client of the first node.
    pub(crate) fn first_client(&self) -> Result<Client, RedisError> {
        let first = self.nodes.first().ok_or((ErrorKind::InvalidClientConfig, "no node"))?;
        Client::open(first.clone())
    }

    /// Returns a client of the node at an address, with the settings of the Cluster.
    pub(crate) fn client_of(&self, host: &str, port: u16) -> Result<Client, RedisError> {
        Client::open(with_address(self.first_client()?.get_connection_info(), host, port))
    }
}
