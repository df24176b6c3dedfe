//! [`RedisRegistry`] and its options.
//!
//! An application connects at startup and passes the registry to the middleware.

use std::{fmt, sync::Arc, time::Duration};

use redis::Client;

use super::{
    cache::Cache, error::RedisConnectError, operations::Operations, server::connection::Connection,
};
use crate::{policy::limit::Limit, time::hours};

/// Session registry on a Redis server (6.2 or newer) or Valkey, for any number of processes.
///
/// ```no_run
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use session_expire::{Policy, RedisRegistry, SessionExpire};
/// let registry = RedisRegistry::connect("redis://127.0.0.1/").await?;
/// let expire = SessionExpire::builder(Policy::new().max_sessions(3)).registry(registry).build()?;
/// # Ok(()) }
/// ```
///
/// # Configuration of the server
///
/// - Set `maxmemory-policy noeviction`: other policies delete active sessions.
/// - Set `appendonly yes`: a restart without persistence signs all users out.
/// - Connect to the primary. A replica may return an older state. The registry refuses a server in
///   cluster mode.
/// - Give the Redis user the permissions in the guide on deployment.
///
/// # Performance
///
/// Every operation is one command and one round trip: `HMGET` for an ordinary request, `EVALSHA`
/// for others. If the server does not know a script, a second command sends its code. The duration
/// of an operation grows with the logarithm of the number of records, and with the number of
/// sessions that it ends or returns. A login of a user with 1,000 open sessions takes about as long
/// as one of a user with a single session. The server needs about 700 bytes for a user with one
/// session.
///
/// A [`list`](crate::registry::Registry::list) of all users merges 3,844 lists. Its first page
/// takes about 20 milliseconds with 100,000 users. A query for a reason, a cause or a network reads
/// records until the page is full. [`end_everyone`](crate::registry::Registry::end_everyone) runs
/// 3,844 short scripts in several round trips. It ends the sessions of some users before those of
/// others.
///
/// # Reports
///
/// While a subscription exists, the registry has one more connection, with RESP3. An operation that
/// logs in, ends or erases sessions, rotates a key, or changes a user policy or signing key
/// publishes one message. It does so even without subscriptions. A message takes the server about a
/// microsecond. Other operations cost nothing more.
///
/// While its connection lasts, a subscription sends only one command for each
/// [`check`](crate::registry::Subscription::check). After a failover, the subscription connects to
/// the new primary within about a second, and reports
/// [`Change::Any`](crate::registry::Change::Any).
///
/// # Outages
///
/// No operation takes longer than the [`timeout`](Self::timeout). While the server is unavailable,
/// every operation returns an error. Afterwards the registry reconnects automatically. Operations
/// wait while the server loads its data after a restart. A login whose response was lost may be
/// stored. Such a session takes its slot until it expires.
///
/// The connection may reach the primary through a proxy or a host name. After a failover, writes
/// reach the new primary at once, and loads within a second. Without
/// [`wait_for_replicas`](Self::wait_for_replicas), the new primary may miss the last changes: a
/// login is lost, or an ended session is open again.
///
/// If the memory of the server is full, sign-outs work, but logins and larger session data return
/// errors.
///
/// The connection runs on a separate thread, `session-expire-redis`, which ends when the registry
/// is dropped.
///
/// # History
///
/// By default, the history keeps the last 20 ended sessions of each user for up to 90 days. For a
/// session that is not in the history, the reason of its end stays available for a day.
///
/// # Security
///
/// The server stores hashes of secret keys, so its content gives no access to a session. Session
/// data is encrypted only with [`seal_data`](crate::SessionExpireBuilder::seal_data).
pub struct RedisRegistry(pub(super) Operations);

impl RedisRegistry {
    /// Connects to the server at `url`, such as `redis://user:password@host:6379/0` or
    /// `unix:///path`.
    ///
    /// A `rediss://` URL (TLS) needs the feature `redis-tls`. The certificate of the server must be
    /// valid under the root certificates of the operating system; use
    /// [`from_client`](Self::from_client) for others.
    ///
    /// # Errors
    ///
    /// - Returns [`RedisConnectError::Url`] if the URL is invalid.
    /// - Returns [`RedisConnectError::Server`] if the connection or a first command fails.
    /// - Returns [`RedisConnectError::NoResponse`] if the server does not respond within five seconds.
    /// - Returns [`RedisConnectError::Cluster`] if the server is in cluster mode.
    /// - Returns [`RedisConnectError::Permissions`] if the user may not run all commands.
    /// - Returns [`RedisConnectError::Thread`] if the thread of the connection does not start.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::RedisRegistry;
    /// let registry = RedisRegistry::connect("redis://127.0.0.1/0").await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        Self::from_client(parse_url(url)?).await
    }

    /// Connects with a [`Client`] of the crate `redis`, version 1. It sets the user, the password,
    /// the database, root certificates and a client certificate.
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
        Self::open(client, None).await
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
    /// [`connect`](Self::connect) does not wait for the caches of the others. They may then miss
    /// the first data of a session for up to 40 milliseconds.
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
    /// milliseconds. If notifications are lost, for example with a proxy that does not support
    /// tracking or after `SWAPDB`, it may stay active for up to 10 seconds.
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
        Self::from_client_caching(parse_url(url)?).await
    }

    /// Connects like [`from_client`](Self::from_client), and caches like
    /// [`connect_caching`](Self::connect_caching).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`connect_caching`](Self::connect_caching).
    pub async fn from_client_caching(client: Client) -> Result<Self, RedisConnectError> {
        Self::open(client, Some(Arc::default())).await
    }

    async fn open(client: Client, cache: Option<Arc<Cache>>) -> Result<Self, RedisConnectError> {
        Ok(Self(Operations {
            connection: Connection::open(client, cache).await?,
            prefix: "sx".to_owned(),
            timeout: Duration::from_millis(500),
            history_limit: Limit::At(20),
            history_age: hours(24 * 90),
            last_write: <_>::default(),
            changes: <_>::default(),
            has_reported: <_>::default(),
        }))
    }

    /// Sets how long an operation may take before it returns an error. Default: 500 ms.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// Sets how many replicas must acknowledge a login, the end of a session, the rotation of a key
    /// or a failed re-authentication. Default: 0.
    ///
    /// Replication is asynchronous. Without acknowledgement, a primary that fails can lose a login.
    /// An ended session can also be open again on the replica that takes over. Set it to the number
    /// of all replicas to prevent both. Also set `min-replicas-to-write` on the servers: a former
    /// primary that is cut off then refuses logins and ends.
    ///
    /// An operation returns an error if fewer replicas have acknowledged it within two fifths of
    /// the [`timeout`](Self::timeout). The end of a session may still be stored. Logins and
    /// rotations change nothing while replicas do not respond, with one exception: a replica may
    /// stop responding during the operation. Then the login fails, but the sessions that it has
    /// replaced or evicted stay ended. The rotation succeeds, because the client needs the new key,
    /// and logs the error `sys_unacknowledged_rotation`. If the primary then fails, too, that
    /// session may be lost.
    ///
    /// # Performance
    ///
    /// These operations use a second connection, and take longer by one round trip from the primary
    /// to its replicas (`WAIT`). The second connection runs one operation at a time: a process
    /// commits at most one login per round trip to the replicas. While a replica does not respond,
    /// logins and ends fail. Other operations do not wait. The first login on a connection, and the
    /// first one after a missing acknowledgement, take one more round trip.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::RedisRegistry;
    /// let registry = RedisRegistry::connect("redis://10.0.0.5/").await?.wait_for_replicas(1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_for_replicas(self, replicas: u32) -> Self {
        self.0.connection.set_replicas(replicas);
        self
    }

    /// Sets the prefix of all Redis keys, for applications that share a database. Default: `sx`.
    ///
    /// Braces are removed from the prefix.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::RedisRegistry;
    /// // Its keys are `shop3:{aB}` and so on.
    /// let shop = RedisRegistry::connect("redis://127.0.0.1/").await?.prefix("shop");
    /// let forum = RedisRegistry::connect("redis://127.0.0.1/").await?.prefix("forum");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.0.prefix = prefix.replace(['{', '}'], "");
        self
    }

    /// Sets how many ended sessions of each user the history keeps. Default: 20.
    ///
    /// `Limit::At(0)` keeps none; `Limit::Off` keeps all until their
    /// [`history_age`](Self::history_age).
    #[must_use]
    pub fn history_limit(mut self, limit: Limit<u32>) -> Self {
        self.0.history_limit = limit;
        self
    }

    /// Sets how long the history keeps a session after its end. Default: 90 days.
    #[must_use]
    pub fn history_age(mut self, age: Duration) -> Self {
        self.0.history_age = age;
        self
    }
}

fn parse_url(url: &str) -> Result<Client, RedisConnectError> {
    Client::open(url).map_err(|error| RedisConnectError::Url(error.into()))
}

impl fmt::Debug for RedisRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRegistry")
            .field("server", &self.0.connection.address())
            .field("prefix", &self.0.prefix)
            .field("timeout", &self.0.timeout)
            .finish_non_exhaustive()
    }
}
