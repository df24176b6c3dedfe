//! Constructors of [`RedisRegistry`] for one server.
//!
//! An application connects at startup, and passes the registry to the middleware.

use std::sync::Arc;

use redis::Client;

use super::{
    error::RedisConnectError, redis_registry::RedisRegistry, server::servers::Servers, urls::parse,
};

impl RedisRegistry {
    /// Connects to the server at `url`, such as `redis://user:password@host:6379/0` or
    /// `unix:///path`.
    ///
    /// A `rediss://` URL (TLS) needs the feature `redis-tls`. The certificate of the server must be
    /// valid under the root certificates of the operating system; use
    /// [`from_client`](Self::from_client) for other certificates.
    ///
    /// # Errors
    ///
    /// - Returns [`RedisConnectError::Url`] if the URL is invalid.
    /// - Returns [`RedisConnectError::Server`] if the connection or a first command fails.
    /// - Returns [`RedisConnectError::NoResponse`] if the server does not respond within five
    ///   seconds.
    /// - Returns [`RedisConnectError::Cluster`] if the server is in cluster mode, and
    ///   [`RedisConnectError::Sentinel`] if it is a Sentinel.
    /// - Returns [`RedisConnectError::Permissions`] if the user lacks the permission for a command.
    /// - Returns [`RedisConnectError::Thread`] if the thread of the connection does not start.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::RedisRegistry;
    /// let registry = RedisRegistry::connect("redis://127.0.0.1/0").await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        Self::from_client(parse(url)?).await
    }

    /// Connects with a [`Client`] of the crate `redis`, version 1. The client sets the user, the
    /// password, the database, root certificates and a client certificate.
    ///
    /// For TLS, the registry uses the process-wide `CryptoProvider` of rustls, and installs that of
    /// ring if there is none.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`connect`](Self::connect).
    ///
    /// ```no_run
    /// # #[cfg(feature = "redis-tls")]
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::{RedisRegistry, registry::redis_rs};
    /// let certificates = redis_rs::TlsCertificates {
    ///     client_tls: None,
    ///     root_cert: Some(std::fs::read("/etc/redis/ca.pem")?),
    /// };
    /// let client = redis_rs::Client::build_with_tls("rediss://redis.internal/", certificates)?;
    /// let registry = RedisRegistry::from_client(client).await?;
    /// # Ok(()) }
    /// ```
    pub async fn from_client(client: Client) -> Result<Self, RedisConnectError> {
        Self::open(Servers::Single(Arc::new(client)), None).await
    }

    /// Connects to the server at `url`, and caches recently used sessions that have no session
    /// data: neither entries of `Session` nor flash messages.
    ///
    /// Most requests with these sessions then need no command. Other sessions are loaded for every
    /// request, as with [`connect`](Self::connect). The server notifies the process of changes by
    /// other processes (RESP3 and `CLIENT TRACKING`). A change of this process is visible to it at
    /// once.
    ///
    /// All processes of an application must cache, or none. A process that uses
    /// [`connect`](Self::connect) does not wait for the caches of other processes. These may then
    /// miss the first data of a session for up to 40 milliseconds.
    ///
    /// # Performance
    ///
    /// Every response makes the cache valid until 40 milliseconds after its command was sent. A
    /// busy process therefore sends at least 25 commands per second. If a round trip takes longer
    /// than 40 milliseconds, the cache has no effect.
    ///
    /// A request that adds the first data of a session takes 40 milliseconds longer. Its response
    /// waits until the caches of the other processes are invalid, so a redirect to another process
    /// shows its flash message. Use [`connect`](Self::connect) if most sessions have data, such as
    /// a CSRF token.
    ///
    /// The cache takes about 500 bytes for each of up to 100,000 sessions. A change of a session
    /// also removes up to 31 other sessions from the cache.
    ///
    /// # Security
    ///
    /// A session that another process has ended may stay active in this process for up to 40
    /// milliseconds. If notifications are lost, it may stay active for up to 10 seconds. This can
    /// happen after `SWAPDB`, or with a proxy that does not support tracking.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`connect`](Self::connect), and [`RedisConnectError::Server`] if the
    /// server does not support RESP3.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::{Policy, RedisRegistry, SessionExpire};
    /// let registry = RedisRegistry::connect_caching("unix:///run/redis/redis.sock").await?;
    /// let expire = SessionExpire::builder(Policy::new()).registry(registry).build()?;
    /// # Ok(()) }
    /// ```
    pub async fn connect_caching(url: &str) -> Result<Self, RedisConnectError> {
        Self::from_client_caching(parse(url)?).await
    }

    /// Connects like [`from_client`](Self::from_client), and caches like
    /// [`connect_caching`](Self::connect_caching), at the same cost.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`connect_caching`](Self::connect_caching).
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::{RedisRegistry, registry::redis_rs::Client};
    /// let client = Client::open("redis://user:password@10.0.0.5/0")?;
    /// let registry = RedisRegistry::from_client_caching(client).await?;
    /// # Ok(()) }
    /// ```
    pub async fn from_client_caching(client: Client) -> Result<Self, RedisConnectError> {
        Self::open(Servers::Single(Arc::new(client)), Some(Arc::default())).await
    }
}
