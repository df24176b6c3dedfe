//! Cache of records through failovers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use session_expire::{
    RedisRegistry,
    registry::{RecordKey, Registry},
};
use session_expire_tests::SentinelTrio;

use super::{TIMEOUT, end_all, is_open, start_with_login};

/// Loads until the session has ended. Asserts that no load that begins 50 milliseconds after the
/// end finds it open, even on a slow machine.
async fn assert_ends_in_time(registry: &RedisRegistry, key: RecordKey) {
    let ended = Instant::now();
    loop {
        let began = ended.elapsed();
        if !is_open(registry, key).await {
            return;
        }
        assert!(began < Duration::from_millis(50), "still open {began:?} after the end");
    }
}

async fn caching(trio: &SentinelTrio) -> RedisRegistry {
    let connected = RedisRegistry::sentinel_caching(SentinelTrio::NAME, trio.urls()).await;
    connected.unwrap().timeout(TIMEOUT)
}

/// Loads without a pause, so the cache stays valid. Errors during the failover are ignored.
async fn load(registry: Arc<RedisRegistry>, key: RecordKey) {
    loop {
        let _ = registry.load(key, false).await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_ended_after_a_failover_is_ended_elsewhere_within_50_milliseconds() {
    let mut trio = SentinelTrio::start();
    let here = Arc::new(caching(&trio).await);
    for by_hand in [true, false, true] {
        let key = start_with_login(&trio).await.1.key();
        let loads = tokio::spawn(load(Arc::clone(&here), key));
        let killed = match by_hand {
            true => {
                trio.fail_over();
                None
            }
            false => Some(trio.kill_primary()),
        };
        trio.wait_for_failover();
        let there = caching(&trio).await;
        assert_eq!(end_all(&there).await, 1);
        assert_ends_in_time(&here, key).await;
        loads.abort();
        if let Some(killed) = killed {
            trio.restart(killed);
        }
        trio.wait_until_ok();
    }
}
