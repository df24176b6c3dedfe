//! Registries with a storage of their own: a new SQLite file each time, and Redis servers that live as
//! long as the tests do.

use std::{
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use session_expire::{
    Admission, Answer, Change, Ended, Limit, Loaded, Login, Query, Record, RecordKey,
    RedisRegistry, Registry, Room, SqliteRegistry, Target, conformance::Work,
};
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
    fn login(&self, login: Login) -> Answer<'_, Admission> {
        self.registry.login(login)
    }

    fn load(&self, key: RecordKey) -> Answer<'_, Option<Loaded>> {
        self.registry.load(key)
    }

    fn touch(&self, key: RecordKey, change: Change) -> Answer<'_, ()> {
        self.registry.touch(key, change)
    }

    fn end(&self, target: Target, ended: Ended) -> Answer<'_, Vec<Record>> {
        self.registry.end(target, ended)
    }

    fn make_room(&self, key: RecordKey, room: Room, ended: Ended) -> Answer<'_, Vec<Record>> {
        self.registry.make_room(key, room, ended)
    }

    fn find(&self, query: Query) -> Answer<'_, Vec<Record>> {
        self.registry.find(query)
    }
}

/// A Redis server at a socket in a folder of its own.
pub struct Server {
    folder: TempDir,
    // Its standard input: the server ends when this process does, however that ends.
    _leash: Child,
}

impl Server {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let program = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let script = r#""$0" --port 0 --unixsocket "$1/socket" --dir "$1" --save "" >"$1/log" & read -r _; kill $!; rm -r "$1""#;
        let leash = Command::new("sh")
            .args(["-c", script, &program, folder.path().to_str().unwrap()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let (server, began) = (Self { folder, _leash: leash }, Instant::now());
        while redis::Client::open(server.url()).unwrap().get_connection().is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "{program} does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn url(&self) -> String {
        format!("unix://{}/socket", self.folder.path().to_str().unwrap())
    }

    pub async fn registry(&self) -> RedisRegistry {
        // Not the limit that is under test, on a machine that does other things as well.
        RedisRegistry::connect(&self.url()).await.unwrap().timeout(Duration::from_secs(10))
    }

    /// A registry without a single record.
    pub async fn emptied(&self) -> RedisRegistry {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
        self.registry().await.log_limit(Limit::Off)
    }
}

/// For tests that share it.
pub static REDIS: LazyLock<Server> = LazyLock::new(Server::start);

/// Each for one test, which empties it.
pub static REDIS_OF_SEQUENCES: LazyLock<Server> = LazyLock::new(Server::start);
pub static REDIS_OF_RACES: LazyLock<Server> = LazyLock::new(Server::start);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// The runner for Redis: one runtime, whose threads outlast each test.
pub fn tokio(work: Work<'_>) {
    RUNTIME.block_on(work);
}
