//! The promises of every registry, with and without a cache.

use std::sync::{
    LazyLock,
    atomic::{AtomicU32, Ordering},
};

use session_expire::{
    Limit, RedisRegistry,
    conformance::{Work, history_keeps_the_last_sessions},
};
use session_expire_tests::RedisServer;
use tokio::runtime::Runtime;

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

/// One runtime, whose threads outlast each test.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

fn run(work: Work<'_>) {
    RUNTIME.block_on(work);
}

/// A registry whose keys no other test has.
fn separate(registry: RedisRegistry) -> RedisRegistry {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    registry.prefix(&format!("test {} ", NUMBER.fetch_add(1, Ordering::Relaxed)))
}

mod plain {
    session_expire::conformance_tests!(
        runner = super::run,
        fresh = async { super::separate(super::SERVER.registry().await) },
    );
}

mod caching {
    session_expire::conformance_tests!(
        runner = super::run,
        fresh = async { super::separate(super::SERVER.caching().await) },
    );
}

#[test]
fn history_limit_is_kept() {
    for limit in [0, 1, 3] {
        run(Box::pin(async {
            let registry = separate(SERVER.registry().await).history_limit(Limit::At(limit));
            history_keeps_the_last_sessions(&registry, limit).await;
        }));
    }
}
