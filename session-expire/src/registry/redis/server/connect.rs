//! New connections to the server: protocol, messages of the server, TLS.

use std::sync::Arc;

use redis::{
    AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, RedisError,
    aio::MultiplexedConnection,
};

use super::connection::Connection;
use crate::registry::redis::{cache::Cache, error::RedisConnectError};

impl Connection {
    /// Connects, and begins to receive messages if the connection is for a cache or a subscription.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        // The defaults of redis-rs are shorter than `START_TIMEOUT` and than long operation
        // timeouts.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        match (&self.cache, &self.channel) {
            (Some(cache), _) => self.connect_with_cache(cache, config).await,
            (_, Some(channel)) => self.connect_to_channel(channel, config).await,
            _ => self.open_connection(&config).await,
        }
    }

    pub(crate) async fn open_connection(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        self.client.get_multiplexed_async_connection_with_config(config).await
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
        let mut connection = self.open_connection(&config.set_push_sender(receive)).await?;
        redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut connection).await?;
        // The server does not track the keys that the previous connection has read.
        cache.clear();
        Ok(connection)
    }
}

/// Returns the same client with RESP3, the protocol with notifications.
pub(super) fn with_notifications(client: &Client) -> Result<Client, RedisConnectError> {
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(settings));
    client.map_err(|error| RedisConnectError::Url(error.into()))
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
