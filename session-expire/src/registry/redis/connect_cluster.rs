//! Constructors of [`RedisRegistry`] for a Redis Cluster.

use std::sync::Arc;

use redis::Client;
#[cfg(feature = "redis-tls")]
use redis::TlsCertificates;

use super::{
    error::RedisConnectError,
    redis_registry::RedisRegistry,
    server::{cluster::Cluster, servers::Servers},
    urls::{check_same, parse_all},
};

impl RedisRegistry {
    /// Connects to a Redis Cluster (7.0 or newer) or a Valkey cluster.
    ///
    /// `nodes` are the URLs of some nodes, such as `redis://user:password@10.0.0.1:7000`. The
    /// registry finds the others.
    ///
    /// The user, the password and the scheme (`rediss://` for TLS) must be the same in all URLs,
    /// and valid for all nodes. Certificates must contain the addresses that the nodes announce.
    ///
    /// There is no constructor with a cache: the cluster client of the crate `redis` does not
    /// preserve the order of responses and notifications.
    ///
    /// # Performance
    ///
    /// Each process has a connection to each primary. An operation on one user takes one round trip
    /// to the primary of the user's slot.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`connect`](Self::connect), except [`RedisConnectError::Cluster`].
    ///
    /// - Returns [`RedisConnectError::NoAddress`] if `nodes` is empty.
    /// - Returns [`RedisConnectError::MixedUrls`] if the URLs differ in more than their addresses.
    /// - Returns [`RedisConnectError::Database`] if the URLs name a database other than 0.
    /// - Returns [`RedisConnectError::NotACluster`] if the servers are not in cluster mode.
    /// - Returns [`RedisConnectError::Version`] if a node has a version before 7.0.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::RedisRegistry;
    /// let nodes = ["redis://10.0.0.1:7000", "redis://10.0.0.2:7000"];
    /// let registry = RedisRegistry::cluster(nodes).await?;
    /// # Ok(()) }
    /// ```
    pub async fn cluster(
        nodes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, RedisConnectError> {
        let cluster = Cluster::new(&check_nodes(parse_all(nodes)?)?);
        Self::open(Servers::Cluster(Arc::new(cluster)), None).await
    }

    /// Connects like [`cluster`](Self::cluster), with your own root certificates or a client
    /// certificate, at the same cost.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`cluster`](Self::cluster), and [`RedisConnectError::Url`] for invalid
    /// certificates and for URLs without TLS.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::{RedisRegistry, registry::redis_rs::TlsCertificates};
    /// let root_cert = Some(std::fs::read("/etc/redis/ca.pem")?);
    /// let certificates = TlsCertificates { client_tls: None, root_cert };
    /// let nodes = ["rediss://10.0.0.1:7000", "rediss://10.0.0.2:7000"];
    /// let registry = RedisRegistry::cluster_with_certificates(nodes, certificates).await?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "redis-tls")]
    pub async fn cluster_with_certificates(
        nodes: impl IntoIterator<Item = impl AsRef<str>>,
        certificates: TlsCertificates,
    ) -> Result<Self, RedisConnectError> {
        let build = |node: &str| Client::build_with_tls(node, certificates.clone());
        let nodes = nodes.into_iter().map(|node| build(node.as_ref()));
        let nodes = nodes.collect::<Result<_, _>>();
        let nodes = check_nodes(nodes.map_err(|error| RedisConnectError::Url(error.into()))?)?;
        let cluster = Cluster::new(&nodes).with_certificates(certificates);
        Self::open(Servers::Cluster(Arc::new(cluster)), None).await
    }
}

/// Checks that the clients can be clients of one Cluster.
fn check_nodes(nodes: Vec<Client>) -> Result<Vec<Client>, RedisConnectError> {
    check_same(&nodes)?;
    let first = nodes.first().ok_or(RedisConnectError::NoAddress { list: "nodes" })?;
    match first.get_connection_info().redis_settings().db() {
        0 => Ok(nodes),
        database => Err(RedisConnectError::Database { database }),
    }
}
