//! Registry on a Redis server, for several processes.
//!
//! All users whose keys begin with the same four letters share four Redis keys, a partition, which carry
//! those letters as their cluster hash tag:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `sx1:{aB3d}` | hash | the fields below |
//! | `sx1:{aB3d}:open` | sorted set | open sessions and reservations, in order of login |
//! | `sx1:{aB3d}:past` | sorted set | `user:order:name` of ended sessions, as far as the history reaches |
//! | `sx1:{aB3d}:due` | sorted set | when each field of the hash may be deleted |
//!
//! | field of the hash | holds |
//! |---|---|
//! | `name` | a record as JSON; the name is the hash of its secret key |
//! | `d:name` | its data, see [`data`] |
//! | `i:id` | the name of the open record with this public id |
//! | `r:name` | a reservation |
//! | `a:user` | until when sessions of the user cannot be adopted |
//! | `logins` | a counter, which gives each login its order |
//!
//! A member of `open` is `user:order:name` for a counted session, `user;order:name` for an uncounted one,
//! and `user<name` for a reservation, so that each kind is counted and read as one range. The `1` in
//! `sx1` is the version of the layout.
//!
//! A script knows all keys that it touches before it runs, and needs only the key of a record or its user
//! for that; what it does is one step. Users appear in names as the SHA-256 of their text, whatever its
//! characters, and secret keys appear nowhere.

mod cache;
mod connection;
mod data;
mod error;
mod lists;
mod logins;
mod operations;
mod record;
mod script;
mod script_args;
#[cfg(test)]
mod server_tests;

use std::{fmt, sync::Arc, time::Duration};

pub use self::error::RedisConnectError;
use self::{cache::Cache, connection::Connection, error::OperationError, operations::Operations};
use super::{
    Loaded, Registry, UserExport,
    end::EndSessions,
    future::RegistryFuture,
    key::RecordKey,
    login::{LoginOutcome, NewLogin, Reservation, ReserveOutcome},
    query::Query,
    record::{Ended, SessionRecord, SessionRef, SessionUpdate, UpdateOutcome},
    room::SessionLimit,
    rotation::{KeyRotation, RotationOutcome},
};
use crate::{
    error::RegistryError,
    limit::Limit,
    time::{Timestamp, hours},
};

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
/// Every operation is one command and one round trip: `HMGET` for an ordinary request, else `EVALSHA`. A
/// second command follows the first time that a server sees a script, and at the adoption of a session.
/// The time of an operation grows with the logarithm of the number of records; logins under a session
/// limit, and ends of several sessions, read the open records of the user. A [`list`](Registry::list)
/// of all users and [`end_everyone`](Registry::end_everyone) walk through all keys of the database with
/// `SCAN`, some seconds for 100,000 users. On a cluster they see the keys of the node that the registry
/// is connected to.
///
/// # Outages
///
/// No operation takes longer than the [`timeout`](Self::timeout). While the server is away every
/// operation is an error, and the first one after its return works: nothing has to be rebuilt. A login
/// whose response did not arrive in time may have been stored, and then holds its slot until it expires.
///
/// A sign-out works also when the memory of the server is full; logins and larger session data are then
/// errors. Give Redis `maxmemory-policy noeviction`, because other policies delete active sessions, and
/// let it persist (`appendonly yes`): a server that restarts empty has signed out all users. Connect to
/// the primary: a replica that lags behind returns what was true a moment ago.
///
/// # Security
///
/// Secret keys are stored as hashes only, so reading the server's memory gives no session. The session
/// data is stored as it is.
///
/// The last 20 ended sessions of each user are kept for [`list`](Registry::list). Records are deleted 90
/// days after their last use, or later if the policy of the session allows it.
pub struct RedisRegistry(Operations);

impl RedisRegistry {
    /// Connects to the server at `url`: `redis://user:password@host:6379/0`, `unix:///path`. For
    /// `rediss://` add the crate `redis` 0.32 to your application with its feature `tokio-rustls-comp`.
    ///
    /// # Errors
    ///
    /// Returns a [`RedisConnectError`] that names the address, without the password, if no usable server
    /// responds within five seconds.
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

    /// Connects to the server at `url`, and caches the records and the data of sessions in use, so that
    /// most requests of a busy process need no command.
    ///
    /// The server reports what other processes change (RESP3 and `CLIENT TRACKING`, Redis 6 or newer): a
    /// session that another process ends is ended here a moment later, and data that it writes is read
    /// here a moment later. If the connection is silent, that takes 40 milliseconds: a cached record is
    /// trusted no longer than that after the sending of the last command that has its response. So a busy
    /// process sends 25 commands a second at least, and a server that is further away than that gains
    /// nothing. Each record is loaded again after 10 seconds, in case the reports are lost (a proxy that
    /// does not track, `SWAPDB`). What this process changes it reads at once.
    ///
    /// Memory: some 500 bytes for each of up to 100,000 sessions in use, and up to 64 MB of their data.
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

    /// Sets how long an operation may take. Default: 500 ms. An operation that takes longer is an error.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// # use session_expire::RedisRegistry;
    /// let registry = RedisRegistry::connect("redis://127.0.0.1/").await?.timeout(Duration::from_millis(200));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// Sets what the names of all keys begin with, for applications that share a database. Default: `sx`.
    /// Braces are removed.
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
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{Limit, RedisRegistry};
    /// let registry = RedisRegistry::connect("redis://127.0.0.1/").await?.history_limit(Limit::At(5));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn history_limit(mut self, limit: Limit<u32>) -> Self {
        self.0.history_limit = limit;
        self
    }

    /// Sets how long records are kept after their last use. Default: 90 days.
    ///
    /// A record that may still be active is kept a day longer than the longer one of its limits, and one
    /// without limits 90 days at least.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{RedisRegistry, hours};
    /// let registry = RedisRegistry::connect("redis://127.0.0.1/").await?.history_age(hours(24 * 30));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn history_age(mut self, age: Duration) -> Self {
        self.0.history_age = age;
        self
    }
}

/// Names the operation in its error.
fn named<'a, T: 'a>(
    operation: &'static str,
    work: impl Future<Output = Result<T, OperationError>> + Send + 'a,
) -> RegistryFuture<'a, T> {
    RegistryFuture::boxed(async move {
        work.await.map_err(|cause| RegistryError::new(operation, cause))
    })
}

impl Registry for RedisRegistry {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<Loaded>> {
        match self.0.cached(&key, count_open) {
            Some(loaded) => RegistryFuture::ready(Ok(Some(loaded))),
            None => named("load a record", self.0.load(key, count_open)),
        }
    }

    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        named("reserve a login", self.0.reserve(reservation))
    }

    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        named("commit a login", self.0.commit(login))
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        named("cancel a login", self.0.cancel(key, ended))
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        named("update a record", self.0.update(session, update))
    }

    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        named("rotate a key", self.0.rotate(rotation))
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        named("end sessions", self.0.end(end))
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        named("enforce a session limit", self.0.enforce_limit(session, limit, ended))
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        named("list records", self.0.list(query))
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        named("end all sessions", self.0.end_everyone(ended))
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        named("erase a user", self.0.erase(user))
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        named("export a user", self.0.export(user))
    }

    fn enforces_limits(&self) -> bool {
        true
    }

    /// Does nothing: the records are [shared](Registry::is_shared).
    fn on_start(&self, _now: Timestamp) {}

    fn is_shared(&self) -> bool {
        true
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

/// Reads a record as it comes from the server; one that can be read can be written and read again.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_and_write(bytes: &[u8]) {
    if let Ok(record) = record::RecordDto::read(bytes) {
        assert!(record::RecordDto::new(&record, Duration::ZERO).is_ok());
    }
    if let Ok(data) = data::from_bytes(bytes) {
        assert!(data::from_bytes(data::to_text(&data).as_bytes()).is_ok_and(|read| read == data));
    }
}
