//! Thread of the connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use session_expire::registry::Registry;
use session_expire_tests::RedisServer;
use tokio::runtime::{Builder, Runtime};

use crate::{is_open, sign_in};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn blocked_worker_does_not_delay_other_workers() {
    let (server, busy) = (RedisServer::start(), runtime());
    let registry = Arc::new(busy.block_on(server.registry()));
    let key = busy.block_on(sign_in(&registry)).key();
    let (stop, blocks) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            busy.block_on(async {
                while !stop.load(Ordering::SeqCst) {
                    blocks.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(200));
                    registry.load(key, false).await.unwrap();
                }
            });
        });
        let idle = runtime();
        for _ in 0..50 {
            assert!(idle.block_on(is_open(&registry, key)));
        }
        stop.store(true, Ordering::SeqCst);
    });
    // With the I/O on the busy runtime, every load would wait for one block.
    let blocks = blocks.into_inner();
    assert!(blocks < 25, "the worker was blocked {blocks} times during 50 loads");
}
