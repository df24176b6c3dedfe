//! Records on a Redis server, for several processes.
//!
//! All users whose keys begin with the same four letters share four Redis keys, which carry those letters
//! as their cluster hash tag:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `sx:{aB3d}` | hash | a record as JSON under the SHA-256 of its key (16 bytes, in hex); `logins` counts |
//! | `sx:{aB3d}:open` | sorted set | `user:place:name` of each record that has not ended, in order of login |
//! | `sx:{aB3d}:past` | sorted set | the same of those that ended, as far as the log reaches |
//! | `sx:{aB3d}:due` | sorted set | when each record may be forgotten |
//!
//! So a script knows all keys that it touches before it runs, knowing no more than the key of a record;
//! and what it does is one step. Owners appear in names as the SHA-256 of their text, whatever its
//! characters, and secret keys appear nowhere.

mod cache;
mod error;
mod link;
mod script;
mod server;
mod stored;

use std::{fmt, sync::Arc, time::Duration};

pub use self::error::RedisConnectError;
use self::{cache::Cache, error::Failure, link::Link, server::Server};
use super::{
    EndTarget, Loaded, LoginOutcome, Query, Registry, RegistryFuture,
    key::{RecordKey, partition_key},
    login::NewLogin,
    record::{ActivityUpdate, Ended, SessionRecord},
    room::SessionLimit,
};
use crate::{error::RegistryError, limit::Limit, time::hours};

/// Keeps records on a Redis server (6 or newer), shared by any number of processes.
///
/// ```no_run
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use session_expire::{Policy, RedisRegistry, SessionExpire};
/// let registry = RedisRegistry::connect("redis://127.0.0.1/").await?;
/// let expire = SessionExpire::builder(Policy::new().max_sessions(3)).registry(registry).build()?;
/// # Ok(()) }
/// ```
///
/// Every operation is one command and one round trip, `EVALSHA`; a second one follows the first time that
/// a server sees the script. Its time grows with the logarithm of the number of records; `login` and
/// `make_room` under a limit of sessions, and the end of several sessions, read the user's open records.
/// A [`find`](Registry::find) for all users walks through all keys of the database with `SCAN` and reads
/// every list, some seconds for 100,000 users: for administrators. On a cluster it sees the keys of the node that it is connected to.
///
/// No operation takes longer than the [`timeout`](Self::timeout). While the server is away every operation
/// is an error, and the first one after its return works: nothing has to be rebuilt. A login whose answer
/// did not arrive in time may have been recorded all the same, and then holds its place until it runs out.
///
/// Signing out works also when the server's memory is full; signing in then doesn't. Give Redis
/// `maxmemory-policy noeviction`, for other policies throw away living sessions, and let it persist (`appendonly
/// yes`): one that restarts empty has signed everyone out. Asked at a replica that lags behind, it
/// answers what was true a moment ago: connect to the primary.
///
/// Secret keys are stored as hashes only, so a look at the server gives nobody a session.
/// Of each user the last 20 ended logins are kept for [`find`](Registry::find), and nothing stays for
/// longer than 90 days after its last use, or as long as its policy lets it live.
pub struct RedisRegistry(Server);

impl RedisRegistry {
    /// Connects to the server at `url`: `redis://user:password@host:6379/0`, `unix:///path`. For `rediss://`
    /// add the crate `redis` 0.32 to your application with its feature `tokio-rustls-comp`.
    ///
    /// # Errors
    ///
    /// A [`RedisConnectError`] that names the address, without the password, and the cure, when nothing
    /// usable answers within five seconds.
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

    /// The same with the records that are in use kept at hand, so that most requests of a busy process ask
    /// the server nothing at all.
    ///
    /// The server says what changes elsewhere (RESP3 and `CLIENT TRACKING`, Redis 6 or newer), so a session
    /// that another process ends is out here a moment later. Where the connection has gone silent it is out
    /// after 40 milliseconds: nothing is trusted for longer than that after the sending of the last question
    /// that was answered. So a process that is used asks 25 times a second at least, and a server that is
    /// further away than that gains nothing. Each record is asked for again after 10 seconds, in case
    /// something swallows the messages (a proxy that does not track, `SWAPDB`). What this process ends is
    /// out here at once.
    ///
    /// Memory: some 500 bytes for each of up to 100,000 sessions in use.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); also where the server knows no RESP3.
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
        Ok(Self(Server {
            link: Link::open(url, cache).await?,
            prefix: "sx".to_owned(),
            timeout: Duration::from_millis(500),
            log_limit: Limit::At(20),
            forget_after: hours(24 * 90),
        }))
    }

    /// Lets no operation take longer than this: 500 ms by default. What takes longer is an error.
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

    /// Begins the names of all keys with this instead of `sx`, without its braces: for applications that
    /// share a database.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::RedisRegistry;
    /// let shop = RedisRegistry::connect("redis://127.0.0.1/").await?.prefix("shop"); // shop:{aB3d}
    /// let forum = RedisRegistry::connect("redis://127.0.0.1/").await?.prefix("forum");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.0.prefix = prefix.replace(['{', '}'], "");
        self
    }

    /// Keeps this many ended logins of each user in the log; `Limit::At(0)` for none, `Limit::Off` for
    /// all of the last 90 days.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{Limit, RedisRegistry};
    /// let registry = RedisRegistry::connect("redis://127.0.0.1/").await?.log_limit(Limit::At(5));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn log_limit(mut self, limit: Limit<u32>) -> Self {
        self.0.log_limit = limit;
        self
    }

    /// Forgets records this long after their last use: 90 days by default. A record that may still live is
    /// kept a day longer than the longer one of its limits; one without limits at least 90 days.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{RedisRegistry, hours};
    /// let registry = RedisRegistry::connect("redis://127.0.0.1/").await?.forget_after(hours(24 * 30));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn forget_after(mut self, time: Duration) -> Self {
        self.0.forget_after = time;
        self
    }
}

/// Gives an operation its name in the log.
fn named<'a, T: 'a>(
    operation: &'static str,
    work: impl Future<Output = Result<T, Failure>> + Send + 'a,
) -> RegistryFuture<'a, T> {
    Box::pin(async move { work.await.map_err(|cause| RegistryError::new(operation, cause)) })
}

impl Registry for RedisRegistry {
    fn login(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        named("record a login", self.0.admit(login))
    }

    fn load(&self, key: RecordKey) -> RegistryFuture<'_, Option<Loaded>> {
        named("load a record", self.0.read(key))
    }

    fn touch(&self, key: RecordKey, change: ActivityUpdate) -> RegistryFuture<'_, ()> {
        named("note activity", self.0.note(key, change))
    }

    fn end(&self, target: EndTarget, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
        named("end a session", self.0.finish(target, ended))
    }

    fn make_room(
        &self,
        key: RecordKey,
        room: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        named("make room", self.0.clear(key, room, ended))
    }

    fn find(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        named("list records", async move {
            match &query.user {
                Some(user) => self.0.list(&partition_key(user), &query).await,
                None => self.0.list_all(&query).await,
            }
        })
    }

    fn shared(&self) -> bool {
        true
    }
}

impl fmt::Debug for RedisRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRegistry")
            .field("server", &self.0.link.address())
            .field("prefix", &self.0.prefix)
            .field("timeout", &self.0.timeout)
            .finish_non_exhaustive()
    }
}

/// Reads a record as it comes from the server; what can be read can be written and read again.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_and_write(bytes: &[u8]) {
    let Ok(record) = stored::Stored::read(bytes) else { return };
    assert!(stored::Stored::new(&record, Duration::ZERO).is_ok());
}
