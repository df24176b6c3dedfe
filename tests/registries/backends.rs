//! Registries for the tests: each on a new SQLite file, or on a shared Redis server, a shared
//! Cluster or shared servers behind Sentinels.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use session_expire::{
    Limit, RedisRegistry, SqliteRegistry,
    clock::Timestamp,
    registry::{
        ChangeListener, EndSessions, Ended, KeyRotation, LoginOutcome, LoginTicket, NewLogin,
        Query, RecordKey, Registry, RegistryFuture, Reservation, ReserveOutcome, RotationOutcome,
        SessionLimit, SessionRecord, SessionRef, SessionUpdate, StoredSession, Subscription,
        UpdateOutcome, UserExport, conformance::Work,
    },
};
use session_expire_tests::{RedisCluster, RedisServer, SentinelTrio};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Two registries on one file, which share nothing else, and the folder of the file, which is
/// deleted with them. They take turns, so every outcome is in the file when its operation
/// completes.
pub struct InFolder {
    registries: [SqliteRegistry; 2],
    turn: AtomicUsize,
    _folder: TempDir,
}

/// Returns registries on a new file, with an unlimited history.
pub fn sqlite() -> InFolder {
    let folder = TempDir::new().unwrap();
    let registries = [(); 2].map(|()| SqliteRegistry::open(folder.path().join("db")).unwrap());
    let pair = InFolder { registries, turn: AtomicUsize::new(0), _folder: folder };
    pair.history_limit(Limit::Off)
}

impl InFolder {
    pub fn history_limit(self, limit: Limit<u32>) -> Self {
        let registries = self.registries.map(|registry| registry.history_limit(limit));
        Self { registries, ..self }
    }

    fn registry(&self) -> &SqliteRegistry {
        &self.registries[self.turn.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

impl Registry for InFolder {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>> {
        self.registry().load(key, count_open)
    }

    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        self.registry().reserve(reservation)
    }

    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        self.registry().commit(login)
    }

    fn issue_ticket(&self, ticket: LoginTicket) -> RegistryFuture<'_, ()> {
        self.registry().issue_ticket(ticket)
    }

    fn count_confirmation_attempt(
        &self,
        session: SessionRef,
        ended: Ended,
    ) -> RegistryFuture<'_, Option<SessionRecord>> {
        self.registry().count_confirmation_attempt(session, ended)
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        self.registry().cancel(key, ended)
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        self.registry().update(session, update)
    }

    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        self.registry().rotate(rotation)
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.registry().end(end)
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.registry().enforce_limit(session, limit, ended)
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.registry().list(query)
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        self.registry().end_everyone(ended)
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        self.registry().erase(user)
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        self.registry().export(user)
    }

    fn subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        self.registries[0].subscribe(listener)
    }

    fn enforces_limits(&self) -> bool {
        self.registry().enforces_limits()
    }

    fn on_start(&self, now: Timestamp) {
        self.registry().on_start(now);
    }

    fn is_shared(&self) -> bool {
        self.registry().is_shared()
    }

    fn server_time(&self) -> Option<Timestamp> {
        self.registry().server_time()
    }
}

/// Returns a prefix that no other registry on the shared server has.
fn new_prefix() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("test{}-", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns a registry on the shared server, with keys of its own.
pub async fn redis() -> RedisRegistry {
    REDIS.registry().await.prefix(&new_prefix())
}

/// Returns the same with a cache of records.
pub async fn caching_redis() -> RedisRegistry {
    REDIS.caching().await.prefix(&new_prefix())
}

/// Returns a registry on the shared Cluster, with its own keys.
pub async fn cluster() -> RedisRegistry {
    CLUSTER.registry().await.prefix(&new_prefix())
}

/// Returns a registry on a Cluster whose slots move, with its own keys.
pub async fn moving(cluster: &RedisCluster) -> RedisRegistry {
    let start = Instant::now();
    let registry = loop {
        match RedisRegistry::cluster(cluster.urls()).await {
            Ok(registry) => break registry,
            // A primary that hands over its slots accepts no writes.
            Err(error) => assert!(start.elapsed() < Duration::from_secs(60), "{error}"),
        }
    };
    registry.prefix(&new_prefix()).timeout(Duration::from_secs(30)).history_limit(Limit::Off)
}

/// Returns a registry on the shared servers behind Sentinels, with its own keys.
pub async fn sentinel() -> RedisRegistry {
    SENTINEL.registry().await.prefix(&new_prefix())
}

/// Returns a registry on `server`, without a record and with an unlimited history.
pub async fn emptied(server: &RedisServer) -> RedisRegistry {
    let _: String = server.command(&["FLUSHALL"]);
    server.registry().await.history_limit(Limit::Off)
}

/// Returns the same with a cache of records.
pub async fn emptied_caching(server: &RedisServer) -> RedisRegistry {
    let _: String = server.command(&["FLUSHALL"]);
    server.caching().await.history_limit(Limit::Off)
}

/// Servers that the tests share.
static REDIS: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
static CLUSTER: LazyLock<RedisCluster> = LazyLock::new(RedisCluster::start);
static SENTINEL: LazyLock<SentinelTrio> = LazyLock::new(SentinelTrio::start);

/// Servers for one test each, which empties them.
pub static REDIS_OF_EQUIVALENCE: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
pub static REDIS_OF_CACHED_EQUIVALENCE: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
pub static REDIS_OF_THREADS: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
pub static REDIS_OF_CACHED_THREADS: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Runner for Redis: one runtime, whose threads outlast each test.
pub fn tokio(work: Work<'_>) {
    RUNTIME.block_on(work);
}
