//! [`RedisRegistry`] and its options.
//!
//! An application connects at startup and passes the registry to the middleware.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    cache::Cache, connection::Connection, error::RedisConnectError, operations::Operations,
};
use crate::{policy::limit::Limit, time::hours};

/// Session registry on a Redis server (6 or newer), for any number of processes.
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
/// - Connect to the primary. A replica may return an older state.
///
/// # Performance
///
/// Every operation is one command and one round trip: `HMGET` for an ordinary request, `EVALSHA`
/// for others. If the server does not know a script, a second command sends its code. The adoption
/// of a session takes three commands. The time of an operation grows with the logarithm of the
/// number of records. Logins under a session limit, and ends of several sessions, read all open
/// records of the user.
///
/// A [`list`](crate::registry::Registry::list) of all users and
/// [`end_everyone`](crate::registry::Registry::end_everyone) read all keys of the database with
/// `SCAN`, which takes several seconds with 100,000 users. On a cluster they only reach the keys of
/// the node to which the registry is connected.
///
/// # Outages
///
/// No operation takes longer than the [`timeout`](Self::timeout). While the server is unavailable,
/// every operation returns an error; afterwards the registry reconnects by itself. A login whose
/// response was lost may be stored. Such a session takes its slot until it expires.
///
/// If the memory of the server is full, sign-outs work, but logins and larger session data return
/// errors.
///
/// # History
///
/// The history keeps the last 20 ended sessions of each user. Records are deleted 90 days after
/// their last use, or later if the policy of the session allows it.
///
/// # Security
///
/// The server stores hashes of secret keys, so its content gives no access to a session. Session
/// data is stored without encryption.
pub struct RedisRegistry(pub(super) Operations);

impl RedisRegistry {
    /// Connects to the server at `url`, such as `redis://user:password@host:6379/0` or
    /// `unix:///path`.
    ///
    /// A `rediss://` URL (TLS) needs the crate `redis` 1 with its feature `tokio-rustls-comp` among
    /// the dependencies of the application.
    ///
    /// # Errors
    ///
    /// - Returns [`RedisConnectError::Url`] if the URL is invalid.
    /// - Returns [`RedisConnectError::Server`] if the connection or a first command fails.
    /// - Returns [`RedisConnectError::NoResponse`] if the server does not respond within five seconds.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::RedisRegistry;
    /// let registry = RedisRegistry::connect("redis://127.0.0.1/0").await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        Self::open(url, None).await
    }

    /// Connects to the server at `url`, and caches the records and the data of sessions in use.
    ///
    /// Most requests of a busy process then need no command. The server notifies the process of
    /// changes by other processes (RESP3 and `CLIENT TRACKING`, Redis 6 or newer). A change of this
    /// process is visible to it at once.
    ///
    /// # Performance
    ///
    /// Every response makes the cache valid until 40 milliseconds after its command was sent. A
    /// busy process therefore sends at least 25 commands per second. If a round trip takes longer
    /// than 40 milliseconds, the cache has no effect.
    ///
    /// The cache takes about 500 bytes for each of up to 100,000 sessions, and up to 64 MB for
    /// their data.
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
        Self::open(url, Some(Arc::default())).await
    }

    async fn open(url: &str, cache: Option<Arc<Cache>>) -> Result<Self, RedisConnectError> {
        Ok(Self(Operations {
            connection: Connection::open(url, cache).await?,
            prefix: "sx".to_owned(),
            timeout: Duration::from_millis(500),
            history_limit: Limit::At(20),
            history_age: hours(24 * 90),
        }))
    }

    /// Sets how long an operation may take before it returns an error. Default: 500 ms.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// Sets the prefix of all Redis keys, for applications that share a database. Default: `sx`.
    ///
    /// Braces are removed from the prefix.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::RedisRegistry;
    /// // Its keys are `shop1:{aB3d}` and so on.
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

    /// Sets how long records are kept after their last use. Default: 90 days.
    ///
    /// An open record is kept for at least a day longer than the longer one of its timeouts. An
    /// open record without timeouts is kept for at least 90 days.
    #[must_use]
    pub fn history_age(mut self, age: Duration) -> Self {
        self.0.history_age = age;
        self
    }
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
