//! New connections to the server: protocol, messages of the server, TLS.

use std::sync::Arc;

use redis::{AsyncConnectionConfig, PushInfo, RedisError, aio::MultiplexedConnection};

use super::{
    connection::Connection,
    servers::{Link, Servers},
};
use crate::registry::redis::cache::Cache;

impl Connection {
    /// Connects, and begins to receive messages if the connection is for a cache or a subscription.
    pub(super) async fn connect(&self) -> Result<Link, RedisError> {
        if let Servers::Cluster(cluster) = &self.servers {
            return cluster.connect().await.map(Link::Cluster);
        }
        // The defaults of redis-rs are shorter than `START_TIMEOUT` and than long operation
        // timeouts.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connected = match (&self.cache, &self.channel) {
            (Some(cache), _) => self.connect_with_cache(cache, config).await,
            (_, Some(channel)) => self.connect_to_channel(channel, config).await,
            _ => self.servers.connect_to_server(&config, false).await,
        };
        connected.map(Link::Server)
    }

    async fn connect_with_cache(
        &self,
        cache: &Arc<Cache>,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let receiver = Arc::clone(cache);
        let receive = move |message: PushInfo| {
            receiver.receive(&message);
            Ok::<_, redis::aio::SendError>(())
        };
        let mut connection =
            self.servers.connect_to_server(&config.set_push_sender(receive), true).await?;
        redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut connection).await?;
        // The server does not track the keys that the previous connection has read.
        cache.clear();
        Ok(connection)
    }
}

/// Installs the `CryptoProvider` of ring unless the application has installed one. rustls panics
/// without a provider.
pub(super) fn install_crypto_provider() {
    #[cfg(feature = "redis-tls")]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails if another thread has just installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
