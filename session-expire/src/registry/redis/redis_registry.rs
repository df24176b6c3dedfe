//! `RedisRegistry` and its options.

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
/// # Performance
///
/// Every operation is one command and one round trip: `HMGET` for an ordinary request, else
/// `EVALSHA`. A second command follows the first time that a server sees a script, and at the
/// adoption of a session. The time of an operation grows with the logarithm of the number of
/// records; logins under a session limit, and ends of several sessions, read the open records of
/// the user. A [`list`](crate::Registry::list) of all users and
/// [`end_everyone`](crate::Registry::end_everyone) walk through all keys of the database with
/// `SCAN`, some seconds for 100,000 users. On a cluster they see the keys of the node that the
/// registry is connected to.
///
/// # Outages
///
/// No operation takes longer than the [`timeout`](Self::timeout). While the server is away every
/// operation is an error, and the first one after its return works: nothing has to be rebuilt. A
/// login whose response did not arrive in time may have been stored, and then holds its slot until
/// it expires.
///
/// A sign-out works also when the memory of the server is full; logins and larger session data are
/// then errors. Give Redis `maxmemory-policy noeviction`, because other policies delete active
/// sessions, and let it persist (`appendonly yes`): a server that restarts empty has signed out all
/// users. Connect to the primary: a replica that lags behind returns what was true a moment ago.
///
/// # Security
///
/// Secret keys are stored as hashes only, so reading the server's memory gives no session. The
/// session data is stored as it is.
///
/// The last 20 ended sessions of each user are kept for [`list`](crate::Registry::list). Records
/// are deleted 90 days after their last use, or later if the policy of the session allows it.
pub struct RedisRegistry(pub(super) Operations);

impl RedisRegistry {
    /// Connects to the server at `url`: `redis://user:password@host:6379/0`, `unix:///path`. For
    /// `rediss://` add the crate `redis` 0.32 to your application with its feature
    /// `tokio-rustls-comp`.
    ///
    /// # Errors
    ///
    /// Returns a [`RedisConnectError`] that names the address, without the password, if no usable
    /// server responds within five seconds.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_expire::RedisRegistry;
    /// let server = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/0".to_owned());
    /// let registry = RedisRegistry::connect(&server).await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        Self::open(url, None).await
    }

    /// Connects to the server at `url`, and caches the records and the data of sessions in use, so
    /// that most requests of a busy process need no command.
    ///
    /// The server reports what other processes change (RESP3 and `CLIENT TRACKING`, Redis 6 or
    /// newer): a session that another process ends is ended here a moment later, and data that it
    /// writes is read here a moment later. If the connection is silent, that takes 40 milliseconds:
    /// a cached record is trusted no longer than that after the sending of the last command that
    /// has its response. So a busy process sends 25 commands a second at least, and a server that
    /// is further away than that gains nothing. Each record is loaded again after 10 seconds, in
    /// case the reports are lost (a proxy that does not track, `SWAPDB`). What this process changes
    /// it reads at once.
    ///
    /// Memory: some 500 bytes for each of up to 100,000 sessions in use, and up to 64 MB of their
    /// data.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); also if the server does not support RESP3.
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

    /// Sets how long an operation may take. Default: 500 ms. An operation that takes longer is an
    /// error.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// Sets what the names of all keys begin with, for applications that share a database. Default:
    /// `sx`. Braces are removed.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::RedisRegistry;
    /// let shop = RedisRegistry::connect("redis://127.0.0.1/").await?.prefix("shop"); // shop1:{aB3d}
    /// let forum = RedisRegistry::connect("redis://127.0.0.1/").await?.prefix("forum");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.0.prefix = prefix.replace(['{', '}'], "");
        self
    }

    /// Sets how many ended sessions of each user are kept in the history. Default: 20.
    ///
    /// `Limit::At(0)` keeps none, `Limit::Off` all of the last 90 days.
    #[must_use]
    pub fn history_limit(mut self, limit: Limit<u32>) -> Self {
        self.0.history_limit = limit;
        self
    }

    /// Sets how long records are kept after their last use. Default: 90 days.
    ///
    /// A record that may still be active is kept a day longer than the longer one of its limits,
    /// and one without limits 90 days at least.
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
