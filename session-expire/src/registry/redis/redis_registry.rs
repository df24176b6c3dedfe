//! [`RedisRegistry`] and its options.
//!
//! The constructors are in `connect`, `connect_cluster` and `connect_sentinel`.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    cache::Cache,
    error::RedisConnectError,
    operations::Operations,
    server::{
        connection::{Connection, DEFAULT_TIMEOUT},
        servers::Servers,
    },
};
use crate::{policy::limit::Limit, time::hours};

/// Session registry on Redis or Valkey, for any number of processes.
///
/// | constructor | servers |
/// |---|---|
/// | [`connect`](Self::connect) | one server, or a primary behind a proxy (Redis 6.2 or newer) |
/// | [`sentinel`](Self::sentinel) | the primary that Sentinel names (Redis 6.2 or newer) |
/// | [`cluster`](Self::cluster) | the primaries of a Redis Cluster (7.0 or newer) |
///
/// ```no_run
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use session_expire::{Policy, RedisRegistry, SessionExpire};
/// let registry = RedisRegistry::connect("redis://127.0.0.1/").await?;
/// let expire = SessionExpire::builder(Policy::new().max_sessions(3)).registry(registry).build()?;
/// # Ok(()) }
/// ```
///
/// # Configuration of the servers
///
/// - Set `maxmemory-policy noeviction`: other policies delete active sessions.
/// - Set `appendonly yes`: a restart without persistence signs all users out.
/// - Connect to the primary. A replica may return an older state.
/// - Give the Redis user the permissions in the guide on deployment.
///
/// # Performance
///
/// Every operation is one command and one round trip: `HMGET` for an ordinary request, `EVALSHA`
/// for others. If the server does not know a script, a second command sends its code. The duration
/// of an operation grows with the logarithm of the number of records, and with the number of
/// sessions that it ends or returns. A login of a user with 1,000 open sessions takes about as long
/// as one of a user with a single session. The server needs about 900 bytes for a user with one
/// session.
///
/// A [`list`](crate::registry::Registry::list) of all users merges 3,844 lists. Its first page
/// takes about 20 milliseconds with 100,000 users. A query for a reason, a cause or a network reads
/// records until the page is full. [`end_everyone`](crate::registry::Registry::end_everyone) runs
/// 3,844 short scripts in several round trips. It ends the sessions of some users before those of
/// others.
///
/// In a Cluster, all records of a user are in one slot, so operations on one user are as exact as
/// on one server. Lists of all users and `end_everyone` send commands to all primaries.
///
/// # Reports
///
/// While a subscription exists, the registry has one more connection, with RESP3. An operation that
/// logs in, ends or erases sessions, rotates a key, or changes a user policy or signing key
/// publishes one message. It does so even without subscriptions. A message takes the server about a
/// microsecond. Other operations have no extra cost.
///
/// While its connection lasts, a subscription sends only one command for each
/// [`check`](crate::registry::Subscription::check). After a failover, the subscription connects to
/// the new primary within about a second, and reports
/// [`Change::Any`](crate::registry::Change::Any).
///
/// In a Cluster, a subscription has a connection to each primary. Every second, it sends two
/// commands to one primary to detect changed owners of slots. A check sends two commands to each
/// primary. While slots move, the subscription reports `Change::Any` up to twice a second, and most
/// checks return `false`.
///
/// # Outages
///
/// No operation takes longer than the [`timeout`](Self::timeout). While the server is unavailable,
/// every operation returns an error. Afterwards the registry reconnects automatically. Operations
/// wait while the server loads its data after a restart. A login whose response was lost may be
/// stored. Its session counts towards the session limit until it expires.
///
/// After a failover, writes reach the new primary at once, and loads within a second. Behind
/// Sentinels, both change to it when a Sentinel reports the failover. Operations wait for the new
/// primary until their timeout. In a Cluster, a failover affects only the users whose slots the
/// failed primary owned. Operations also wait while their slot moves to another node.
///
/// Without [`wait_for_replicas`](Self::wait_for_replicas), the new primary may lack the last
/// changes: a login is lost, or an ended session is open again. Behind Sentinels, a primary that is
/// cut off accepts changes until it is reconnected, and these changes are lost, too. In a Cluster,
/// it refuses commands after `cluster-node-timeout`.
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
    pub(super) async fn open(
        servers: Servers,
        cache: Option<Arc<Cache>>,
    ) -> Result<Self, RedisConnectError> {
        Ok(Self(Operations {
            connection: Connection::open(servers, cache).await?,
            prefix: "sx".to_owned(),
            timeout: DEFAULT_TIMEOUT,
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
        self.0.connection.set_timeout(timeout);
        self
    }

    /// Sets how many replicas must acknowledge a login, the end of a session, the rotation of a key
    /// or a failed re-authentication. Default: 0.
    ///
    /// Replication is asynchronous. Without acknowledgement, a primary that fails can lose a login.
    /// An ended session can also be open again on the replica that takes over. To prevent both, set
    /// the number of all replicas. Also set `min-replicas-to-write` on the servers: a former
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

impl fmt::Debug for RedisRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRegistry")
            .field("server", &self.0.connection.address())
            .field("prefix", &self.0.prefix)
            .field("timeout", &self.0.timeout)
            .finish_non_exhaustive()
    }
}
