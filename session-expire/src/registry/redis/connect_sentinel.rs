//! Constructors of [`RedisRegistry`] for servers behind Sentinels.

use std::sync::Arc;

use redis::{
    ConnectionInfo, RedisResult, TlsMode,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use super::{
    error::RedisConnectError,
    redis_registry::RedisRegistry,
    server::{
        sentinel::Sentinels,
        servers::{Servers, is_tls},
    },
    urls::{check_same, parse_all},
};

impl RedisRegistry {
    /// Connects to the primary that Sentinel knows as `name`.
    ///
    /// `sentinels` are the URLs of the Sentinels, preferably of all of them, such as
    /// `redis://user:password@10.0.0.5:26379/0`.
    ///
    /// The user, the password and the database are those of the *servers*, and must be the same in
    /// all URLs. `rediss://` means TLS for the Sentinels and the servers. Use
    /// [`from_sentinel`](Self::from_sentinel) if the Sentinels have a password, or to use your own
    /// certificates.
    ///
    /// # Performance
    ///
    /// Each process keeps two connections to each Sentinel, and asks them for the primary once a
    /// second. Operations cost as much as with [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`connect`](Self::connect).
    ///
    /// - Returns [`RedisConnectError::NoAddress`] if `sentinels` is empty.
    /// - Returns [`RedisConnectError::MixedUrls`] if the URLs differ in more than their addresses.
    /// - Returns [`RedisConnectError::Sentinels`] if no Sentinel responds within five seconds, or
    ///   if the Sentinels refuse the connection.
    /// - Returns [`RedisConnectError::NotASentinel`] if the servers are not Sentinels.
    /// - Returns [`RedisConnectError::UnknownName`] if the Sentinels do not know the name.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::RedisRegistry;
    /// let sentinels = ["redis://10.0.0.5:26379", "redis://10.0.0.6:26379"];
    /// let registry = RedisRegistry::sentinel("sessions", sentinels).await?;
    /// # Ok(()) }
    /// ```
    pub async fn sentinel(
        name: &str,
        sentinels: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, RedisConnectError> {
        Self::open(find_sentinels(name, sentinels)?, None).await
    }

    /// Connects like [`sentinel`](Self::sentinel), and caches like
    /// [`connect_caching`](Self::connect_caching), at the same cost.
    ///
    /// # Security
    ///
    /// After a Sentinel reports a failover, the cache returns no session that has ended on the new
    /// primary. Without that report, such a session may stay active for up to a second while the
    /// former primary still responds.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`sentinel`](Self::sentinel) and of
    /// [`connect_caching`](Self::connect_caching).
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::RedisRegistry;
    /// let sentinels = ["redis://10.0.0.5:26379", "redis://10.0.0.6:26379"];
    /// let registry = RedisRegistry::sentinel_caching("sessions", sentinels).await?;
    /// # Ok(()) }
    /// ```
    pub async fn sentinel_caching(
        name: &str,
        sentinels: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, RedisConnectError> {
        Self::open(find_sentinels(name, sentinels)?, Some(Arc::default())).await
    }

    /// Connects to the primary that Sentinel knows as `name`, with Sentinel clients of the crate
    /// `redis`, version 1, at the same cost as [`sentinel`](Self::sentinel).
    ///
    /// Give each client the address of one Sentinel: the registry asks all clients at the same
    /// time. The clients set the name, users, passwords and certificates.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`sentinel`](Self::sentinel), except
    /// [`RedisConnectError::MixedUrls`].
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::{RedisRegistry, registry::redis_rs};
    /// use redis_rs::{ConnectionAddr, sentinel::{SentinelClientBuilder, SentinelServerType}};
    /// let sentinels = ["10.0.0.5", "10.0.0.6", "10.0.0.7"].map(|host| {
    ///     let address = ConnectionAddr::Tcp(host.to_owned(), 26379);
    ///     SentinelClientBuilder::new([address], "sessions", SentinelServerType::Master)?
    ///         .set_client_to_sentinel_password("sentinel-password")
    ///         .set_client_to_redis_username("sessions")
    ///         .set_client_to_redis_password("password")
    ///         .build()
    /// });
    /// let sentinels = sentinels.into_iter().collect::<Result<Vec<_>, _>>()?;
    /// let registry = RedisRegistry::from_sentinel("sessions", sentinels).await?;
    /// # Ok(()) }
    /// ```
    pub async fn from_sentinel(
        name: &str,
        sentinels: impl IntoIterator<Item = SentinelClient>,
    ) -> Result<Self, RedisConnectError> {
        Self::open(with_clients(name, sentinels)?, None).await
    }

    /// Connects like [`from_sentinel`](Self::from_sentinel), and caches like
    /// [`sentinel_caching`](Self::sentinel_caching), at the same cost.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`from_sentinel`](Self::from_sentinel) and of
    /// [`connect_caching`](Self::connect_caching).
    ///
    /// ```no_run
    /// # use session_expire::{RedisRegistry, registry::redis_rs::sentinel::SentinelClient};
    /// # async fn start(sentinels: Vec<SentinelClient>) -> Result<(), Box<dyn std::error::Error>> {
    /// let registry = RedisRegistry::from_sentinel_caching("sessions", sentinels).await?;
    /// # Ok(()) }
    /// ```
    pub async fn from_sentinel_caching(
        name: &str,
        sentinels: impl IntoIterator<Item = SentinelClient>,
    ) -> Result<Self, RedisConnectError> {
        Self::open(with_clients(name, sentinels)?, Some(Arc::default())).await
    }
}

fn find_sentinels(
    name: &str,
    urls: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Servers, RedisConnectError> {
    let urls = parse_all(urls)?;
    check_same(&urls)?;
    let sentinels = urls.iter().map(|url| client_of(name, url.get_connection_info()));
    let sentinels = sentinels.collect::<Result<Vec<_>, _>>();
    let sentinels = sentinels.map_err(|error| RedisConnectError::Url(error.into()))?;
    let addresses = urls.iter().map(|url| Some(url.get_connection_info().addr().to_string()));
    let uses_tls = urls.iter().any(|url| is_tls(url.get_connection_info()));
    open(name, sentinels.into_iter().zip(addresses).collect(), uses_tls)
}

fn with_clients(
    name: &str,
    clients: impl IntoIterator<Item = SentinelClient>,
) -> Result<Servers, RedisConnectError> {
    let clients = clients.into_iter().map(|client| (client, None)).collect();
    open(name, clients, cfg!(feature = "redis-tls"))
}

fn open(
    name: &str,
    clients: Vec<(SentinelClient, Option<String>)>,
    uses_tls: bool,
) -> Result<Servers, RedisConnectError> {
    match clients.is_empty() {
        true => Err(RedisConnectError::NoAddress { list: "Sentinels" }),
        false => Ok(Servers::Sentinel(Arc::new(Sentinels::new(name, clients, uses_tls)))),
    }
}

/// Returns a client of one Sentinel. Apart from the address, `url` has the settings of the servers.
fn client_of(name: &str, url: &ConnectionInfo) -> RedisResult<SentinelClient> {
    let kind = SentinelServerType::Master;
    let mut builder = SentinelClientBuilder::new([url.addr().clone()], name, kind)?;
    let settings = url.redis_settings();
    builder = builder.set_client_to_redis_db(settings.db());
    if let Some(user) = settings.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = settings.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if is_tls(url) {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    builder.build()
}
