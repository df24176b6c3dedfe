//! Servers of a registry, and connections to them.

use std::sync::Arc;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, Pipeline,
    ProtocolVersion, RedisError, Value,
    aio::MultiplexedConnection,
    cluster_routing::{
        MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr,
    },
};

use super::{
    cluster::{Cluster, ClusterLink},
    sentinel::Sentinels,
};

/// Servers that a registry connects to.
#[derive(Clone)]
pub(crate) enum Servers {
    /// One address, which leads to the primary.
    Single(Arc<Client>),
    /// The primary that Sentinel names.
    Sentinel(Arc<Sentinels>),
    /// The primaries of a Cluster.
    Cluster(Arc<Cluster>),
}

/// Connection to the servers.
#[derive(Clone)]
pub(crate) enum Link {
    Server(MultiplexedConnection),
    Cluster(ClusterLink),
}

impl Servers {
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Returns the number of the database. A Cluster has only one.
    pub(crate) fn database(&self) -> i64 {
        match self {
            Self::Single(client) => client.get_connection_info().redis_settings().db(),
            Self::Sentinel(sentinels) => sentinels.database(),
            Self::Cluster(_) => 0,
        }
    }

    /// Returns the address of the servers, without user and password.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Single(client) => address_of(client),
            Self::Sentinel(sentinels) => sentinels.address(),
            Self::Cluster(cluster) => cluster.address(),
        }
    }

    pub(crate) fn uses_tls(&self) -> bool {
        match self {
            Self::Single(client) => is_tls(client.get_connection_info()),
            Self::Sentinel(sentinels) => sentinels.uses_tls(),
            Self::Cluster(cluster) => cluster.uses_tls(),
        }
    }

    /// Returns the number of primaries that Sentinel has named so far, or 0 without Sentinel.
    pub(crate) fn primary_number(&self) -> u64 {
        match self {
            Self::Sentinel(sentinels) => sentinels.number(),
            _ => 0,
        }
    }

    /// Asks Sentinel for the primary, and returns the number of primaries so far.
    pub(crate) async fn find_primary(&self) -> Result<u64, RedisError> {
        if let Self::Sentinel(sentinels) = self {
            sentinels.ask().await?;
        }
        Ok(self.primary_number())
    }

    /// Connects to one server, or to the last primary that Sentinel has named. With `has_messages`,
    /// the server may send messages (RESP3).
    pub(crate) async fn connect_to_server(
        &self,
        config: &AsyncConnectionConfig,
        has_messages: bool,
    ) -> Result<MultiplexedConnection, RedisError> {
        let client = match self {
            Self::Single(client) => Client::clone(client),
            // Boxed to keep the more frequent future small.
            Self::Sentinel(sentinels) => {
                return Box::pin(sentinels.connect(config, has_messages)).await;
            }
            Self::Cluster(cluster) => cluster.first_client()?,
        };
        let client = if has_messages { with_messages(&client)? } else { client };
        client.get_multiplexed_async_connection_with_config(config).await
    }
}

impl Link {
    pub(crate) async fn send_command(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Server(server) => server.send_packed_command(command).await,
            Self::Cluster(cluster) => cluster.send(command).await,
        }
    }

    /// Sends a command to the primary of a slot.
    pub(crate) async fn send_to_slot(
        &mut self,
        slot: u16,
        command: &Cmd,
    ) -> Result<Value, RedisError> {
        let route = Route::new(slot, SlotAddr::Master);
        let routing = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route));
        match self {
            Self::Server(_) => self.send_command(command).await,
            Self::Cluster(cluster) => cluster.route(command.clone(), routing).await,
        }
    }

    /// Sends a command to all primaries, and returns a map of their addresses and responses.
    pub(crate) async fn send_to_primaries(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        match self {
            Self::Server(_) => {
                let response = self.send_command(command).await?.extract_error()?;
                Ok(Value::Map(vec![(Value::SimpleString(String::new()), response)]))
            }
            Self::Cluster(cluster) => cluster.route(command.clone(), primaries).await,
        }
    }

    /// Sends a command to the node of a Cluster at an address such as `10.0.0.1:7000`.
    pub(crate) async fn send_to_node(
        &mut self,
        address: &str,
        command: &Cmd,
    ) -> Result<Value, RedisError> {
        let parts = address.rsplit_once(':');
        let parts = parts.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
        let (host, port) = parts.ok_or((ErrorKind::InvalidClientConfig, "no address of a node"))?;
        let routing = RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress { host, port });
        match self {
            Self::Server(_) => self.send_command(command).await,
            Self::Cluster(cluster) => cluster.route(command.clone(), routing).await,
        }
    }

    /// Sends the commands together. In a Cluster, all keys must have the same slot.
    pub(crate) async fn send_commands(
        &mut self,
        pipeline: &Pipeline,
    ) -> Result<Vec<Value>, RedisError> {
        match self {
            Self::Server(server) => server.send_packed_commands(pipeline, 0, pipeline.len()).await,
            Self::Cluster(cluster) => cluster.send_all(pipeline).await,
        }
    }

    /// Sends a group of commands to the primary of a slot.
    pub(crate) async fn send_group(
        &mut self,
        group: &Pipeline,
        slot: u16,
    ) -> Result<Vec<Value>, RedisError> {
        match self {
            Self::Server(_) => self.send_commands(group).await,
            Self::Cluster(cluster) => cluster.send_group(group.clone(), slot).await,
        }
    }
}

fn address_of(client: &Client) -> String {
    let info = client.get_connection_info();
    let (address, database) = (info.addr(), info.redis_settings().db());
    match address {
        ConnectionAddr::Unix(path) => format!("unix://{}", path.display()),
        ConnectionAddr::TcpTls { .. } => format!("rediss://{address}/{database}"),
        _ => format!("redis://{address}/{database}"),
    }
}

pub(crate) fn is_tls(info: &ConnectionInfo) -> bool {
    matches!(info.addr(), ConnectionAddr::TcpTls { .. })
}

/// Returns the same settings with another address.
pub(super) fn with_address(info: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let host = host.to_owned();
    let address = match info.addr().clone() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure, tls_params }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(address)
}

/// Returns the same client with RESP3, in which the server may send messages.
pub(super) fn with_messages(client: &Client) -> Result<Client, RedisError> {
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}
