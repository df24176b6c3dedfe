//! Failovers: another server becomes the primary while connections are open.

use std::{
    thread,
    time::{Duration, Instant},
};

use session_expire::{
    Policy, RedisRegistry,
    registry::{EndTarget, Registry},
};
use session_expire_tests::{RedisServer, SwitchProxy};
use tokio::runtime::Runtime;

use crate::{NOON, active, end, is_open, login, session, sign_in};

/// How much longer an operation may take on a busy machine.
const MARGIN: Duration = Duration::from_secs(5);

/// A primary and its replica, behind a proxy to the primary.
struct Pair {
    old: RedisServer,
    new: RedisServer,
    proxy: SwitchProxy,
}

impl Pair {
    fn start() -> Self {
        let old = RedisServer::start();
        let new = old.start_replica();
        let proxy = SwitchProxy::new(old.port);
        Self { old, new, proxy }
    }

    async fn registry(&self) -> RedisRegistry {
        let registry = RedisRegistry::connect(&self.proxy.url()).await.unwrap();
        registry.timeout(Duration::from_secs(5))
    }

    /// Promotes the replica. Open connections stay with the old primary, which becomes a replica.
    fn fail_over(&self) {
        self.new.promote();
        self.proxy.switch(self.new.port);
        self.old.follow(&self.new);
    }
}

#[tokio::test]
async fn requests_succeed_soon_after_a_promotion() {
    let pair = Pair::start();
    let registry = pair.registry().await;
    let known = sign_in(&registry).await;
    pair.old.wait_for_replicas(1);
    pair.fail_over();
    let promoted = Instant::now();
    registry.commit(login("alice", &Policy::new())).await.unwrap();
    let took = promoted.elapsed();
    println!("{took:?} after the promotion");
    assert!(took < Duration::from_secs(2) + MARGIN, "{took:?}");
    assert!(is_open(&registry, known.key()).await);
    registry.update(session(&known), active(NOON)).await.unwrap();
    assert_eq!(end(&registry, EndTarget::All("alice".into())).await, 2);
}

#[test]
fn login_waits_for_the_promotion() {
    let (pair, runtime) = (Pair::start(), Runtime::new().unwrap());
    let registry = runtime.block_on(pair.registry());
    runtime.block_on(sign_in(&registry));
    pair.old.wait_for_replicas(1);
    pair.proxy.switch(pair.new.port);
    pair.old.follow(&pair.new);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            pair.new.promote();
        });
        runtime.block_on(registry.commit(login("alice", &Policy::new()))).unwrap();
    });
}

/// A process that only loads detects the promotion without an error.
#[tokio::test]
async fn loads_leave_a_former_primary() {
    let pair = Pair::start();
    let registry = pair.registry().await;
    let known = sign_in(&registry).await;
    pair.old.wait_for_replicas(1);
    pair.fail_over();
    // The former primary does not reach the new one.
    let _: String = pair.old.command(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(end(&pair.new.registry().await, EndTarget::All("alice".into())).await, 1);
    let ended = Instant::now();
    while is_open(&registry, known.key()).await {
        let took = ended.elapsed();
        assert!(took < Duration::from_secs(2) + MARGIN, "{took:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
