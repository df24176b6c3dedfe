//! Registries with a storage of their own: a new SQLite file each time, and Redis servers that live as
//! long as the tests do.

use std::sync::LazyLock;

use session_expire::{
    ActivityUpdate, EndTarget, Ended, Limit, Loaded, LoginOutcome, NewLogin, Query, RecordKey,
    RedisRegistry, Registry, RegistryFuture, SessionLimit, SessionRecord, SqliteRegistry,
    conformance::Work,
};
use session_expire_tests::RedisServer;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A registry and the folder of its file, which goes with it.
pub struct InFolder {
    registry: SqliteRegistry,
    _folder: TempDir,
}

/// A new file, which keeps the whole log.
pub fn sqlite() -> InFolder {
    let folder = TempDir::new().unwrap();
    InFolder { registry: SqliteRegistry::open(folder.path().join("db")).unwrap(), _folder: folder }
}

impl InFolder {
    pub fn log_limit(self, limit: Limit<u32>) -> Self {
        Self { registry: self.registry.log_limit(limit), ..self }
    }
}

impl Registry for InFolder {
    fn login(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        self.registry.login(login)
    }

    fn load(&self, key: RecordKey) -> RegistryFuture<'_, Option<Loaded>> {
        self.registry.load(key)
    }

    fn touch(&self, key: RecordKey, change: ActivityUpdate) -> RegistryFuture<'_, ()> {
        self.registry.touch(key, change)
    }

    fn end(&self, target: EndTarget, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.registry.end(target, ended)
    }

    fn make_room(
        &self,
        key: RecordKey,
        room: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.registry.make_room(key, room, ended)
    }

    fn find(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.registry.find(query)
    }
}

/// A registry on `server`, without a single record.
pub async fn emptied(server: &RedisServer) -> RedisRegistry {
    let _: String = server.ask(&["FLUSHALL"]);
    server.registry().await.log_limit(Limit::Off)
}

/// The same with a registry that keeps records at hand.
pub async fn emptied_caching(server: &RedisServer) -> RedisRegistry {
    let _: String = server.ask(&["FLUSHALL"]);
    server.caching().await.log_limit(Limit::Off)
}

/// For tests that share it.
pub static REDIS: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

/// Each for one test, which empties it.
pub static REDIS_OF_SEQUENCES: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
pub static REDIS_OF_CACHES: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
pub static REDIS_OF_OTHER_RACES: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
pub static REDIS_OF_RACES: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// The runner for Redis: one runtime, whose threads outlast each test.
pub fn tokio(work: Work<'_>) {
    RUNTIME.block_on(work);
}
