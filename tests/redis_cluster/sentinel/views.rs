//! Sentinels that do not respond, or that have an old view.

use std::time::{Duration, Instant};

use session_expire::RedisRegistry;
use session_expire_tests::SentinelTrio;

use super::{MARGIN, end_all, is_open, sign_in, start_with_login, wait_for_the_end};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_sentinel_delays_nothing() {
    let mut trio = SentinelTrio::start();
    let (registry, known) = start_with_login(&trio).await;
    trio.pause_sentinel(0);
    let (urls, mut times) = (trio.urls(), vec![]);
    for _ in 0..5 {
        let began = Instant::now();
        RedisRegistry::sentinel(SentinelTrio::NAME, &urls).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!("connected within {times:?}");
    assert!(times[0] < Duration::from_millis(500), "{times:?}");
    trio.kill_primary();
    assert!(is_open(&registry, known.key()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registry_works_without_sentinels() {
    let mut trio = SentinelTrio::start();
    let registry = trio.registry().await;
    (0..3).for_each(|n| trio.stop_sentinel(n));
    let login = sign_in(&registry).await;
    // Longer than the interval at which the registry asks the Sentinels.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(is_open(&registry, login.key()).await);
    trio.restart_sentinel(1);
    let other = RedisRegistry::sentinel(SentinelTrio::NAME, trio.urls()).await.unwrap();
    assert!(is_open(&other, login.key()).await);
}

/// The former primary still responds to loads, and its state is old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_that_is_cut_off_is_left() {
    let mut trio = SentinelTrio::with_passwords();
    let (registry, known) = start_with_login(&trio).await;
    let former = trio.isolate_primary();
    trio.wait_for_failover();
    assert!(trio.server(former).command::<String>(&["INFO"]).contains("role:master"));
    assert_eq!(end_all(&trio.registry().await).await, 1);
    println!("left after {:?}", wait_for_the_end(&registry, known.key()).await);
}

/// The Sentinels that know the new primary fail. The other one was cut off during the failover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_view_does_not_lead_to_the_former_primary() {
    let mut trio = SentinelTrio::with_passwords();
    let (registry, known) = start_with_login(&trio).await;
    trio.pause_sentinel(0);
    let former = trio.isolate_primary();
    trio.wait_for_failover();
    assert_eq!(end_all(&trio.registry().await).await, 1);
    wait_for_the_end(&registry, known.key()).await;
    [1, 2].into_iter().for_each(|n| trio.stop_sentinel(n));
    trio.resume_sentinel(0);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        assert!(!is_open(&registry, known.key()).await, "returned to server {former}");
        // The registry connects again, and knows only the old view.
        let _: u64 = trio.server(former).command(&["CLIENT", "KILL", "TYPE", "normal"]);
        (0..3).filter(|n| *n != former).for_each(|n| {
            let _: u64 = trio.server(n).command(&["CLIENT", "KILL", "USER", "site"]);
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(3) + MARGIN);
}
