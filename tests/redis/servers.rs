//! Servers of a test: its own server, or its own keys on a shared Cluster or on shared servers
//! behind Sentinels.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::FromRedisValue;
use session_expire::RedisRegistry;
use session_expire_tests::{RedisCluster, RedisServer, SentinelTrio};

static CLUSTER: LazyLock<RedisCluster> = LazyLock::new(RedisCluster::start);
static SENTINEL: LazyLock<SentinelTrio> = LazyLock::new(SentinelTrio::start);

/// Servers, and the prefix of the keys of a test.
pub struct Servers {
    kind: Kind,
    prefix: String,
}

enum Kind {
    One(RedisServer),
    Cluster(&'static RedisCluster),
    Sentinel(&'static SentinelTrio),
}

/// Generates a test of each function on one server, and ignored tests on a Cluster and behind
/// Sentinels. `tests/run --all` runs the ignored tests.
macro_rules! tests_on_all_servers {
    ($($name:ident)*) => { $(
        mod $name {
            use crate::servers::Servers;

            #[tokio::test]
            async fn one() {
                super::$name(&Servers::one()).await;
            }

            #[tokio::test]
            #[ignore = "run by `tests/run --all`"]
            async fn cluster() {
                super::$name(&Servers::cluster()).await;
            }

            #[tokio::test]
            #[ignore = "run by `tests/run --all`"]
            async fn sentinel() {
                super::$name(&Servers::sentinel()).await;
            }
        }
    )* };
}
pub(crate) use tests_on_all_servers;

impl Servers {
    pub fn one() -> Self {
        Self::new(Kind::One(RedisServer::start()))
    }

    pub fn cluster() -> Self {
        Self::new(Kind::Cluster(&CLUSTER))
    }

    pub fn sentinel() -> Self {
        Self::new(Kind::Sentinel(&SENTINEL))
    }

    fn new(kind: Kind) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        Self { kind, prefix: format!("test{}-", COUNT.fetch_add(1, Ordering::Relaxed)) }
    }

    /// Returns a registry with the keys of the test. Its timeout allows for a busy machine.
    pub async fn registry(&self) -> RedisRegistry {
        Self::connect(&self.description()).await
    }

    /// Like [`registry`](Self::registry), but with other keys for each `name`.
    pub async fn registry_for(&self, name: impl std::fmt::Display) -> RedisRegistry {
        self.registry().await.prefix(&format!("{}{name}-", self.prefix))
    }

    /// Describes the servers and the keys for [`connect`](Self::connect) in another process.
    pub fn description(&self) -> String {
        let (kind, urls) = match &self.kind {
            Kind::One(server) => ("one", vec![server.url()]),
            Kind::Cluster(cluster) => ("cluster", cluster.urls()),
            Kind::Sentinel(trio) => ("sentinel", trio.urls()),
        };
        format!("{} {kind} {}", self.prefix, urls.join(" "))
    }

    /// Connects a registry to servers that another process has described.
    pub async fn connect(description: &str) -> RedisRegistry {
        let mut words = description.split(' ');
        let (prefix, kind) = (words.next().unwrap(), words.next().unwrap());
        let registry = match kind {
            "one" => RedisRegistry::connect(words.next().unwrap()).await,
            "cluster" => RedisRegistry::cluster(words).await,
            _ => RedisRegistry::sentinel(SentinelTrio::NAME, words).await,
        };
        registry.unwrap().prefix(prefix).timeout(Duration::from_secs(30))
    }

    /// Returns the key of the hash with records of the test. They must have one tag.
    pub fn hash_key(&self) -> String {
        let pattern = format!("{}*}}", self.prefix);
        let keys = self
            .servers()
            .into_iter()
            .flat_map(|server| server.command::<Vec<String>>(&["KEYS", &pattern]));
        let [key] = keys.collect::<Vec<_>>().try_into().unwrap();
        key
    }

    /// Sends a command to the server that has a key.
    pub fn command<T: FromRedisValue>(&self, key: &str, words: &[&str]) -> T {
        match &self.kind {
            Kind::Cluster(cluster) => {
                cluster.command_on(cluster.owner_of(cluster.slot_of(key)), words)
            }
            Kind::One(_) | Kind::Sentinel(_) => self.servers()[0].command(words),
        }
    }

    /// Returns all servers with records.
    fn servers(&self) -> Vec<&RedisServer> {
        match &self.kind {
            Kind::One(server) => vec![server],
            Kind::Cluster(cluster) => {
                cluster.primaries().into_iter().map(|n| cluster.server(n)).collect()
            }
            Kind::Sentinel(trio) => vec![trio.server(trio.primary())],
        }
    }
}
