//! `RedisRegistry` behind Sentinels that fail, and whose servers fail over.

mod access;
mod cache;
mod failovers;
mod refused;
mod views;

use std::time::{Duration, Instant};

use session_expire::{
    RedisRegistry,
    registry::{EndSessions, EndTarget, NewLogin, RecordKey, Registry},
};
use session_expire_tests::{SentinelTrio, is_open, revoked, sign_in};

/// Additional time that an operation may take on a busy machine.
const MARGIN: Duration = Duration::from_secs(10);

/// Timeout of operations that wait for a failover.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Connects, and commits a login of Alice that all replicas have.
async fn start_with_login(trio: &SentinelTrio) -> (RedisRegistry, NewLogin) {
    let registry = trio.registry().await.timeout(TIMEOUT).wait_for_replicas(2);
    let login = sign_in(&registry).await;
    trio.wait_until_ok();
    (registry.wait_for_replicas(0), login)
}

/// Ends all sessions of Alice. Returns their number.
async fn end_all(registry: &RedisRegistry) -> usize {
    let target = EndTarget::All("alice".into());
    registry.end(EndSessions::new(target, revoked())).await.unwrap().len()
}

/// Loads until the session has ended. Returns how long that took.
async fn wait_for_the_end(registry: &RedisRegistry, key: RecordKey) -> Duration {
    let ended = Instant::now();
    while is_open(registry, key).await {
        let took = ended.elapsed();
        assert!(took < Duration::from_secs(2) + MARGIN, "still open after {took:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ended.elapsed()
}
