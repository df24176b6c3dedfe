//! Failovers: the operations reach the server that Sentinel names.

use std::{sync::mpsc::channel, time::Instant};

use session_expire::{
    Policy,
    registry::{Change, ChangeListener, NewLogin, Registry},
};
use session_expire_tests::SentinelTrio;

use super::{MARGIN, TIMEOUT, end_all, is_open, sign_in, start_with_login, wait_for_the_end};
use crate::NOON;

/// Returns `true` if the server has the keys of sessions.
fn has_sessions(trio: &SentinelTrio, n: usize) -> bool {
    trio.server(n).command::<u64>(&["DBSIZE"]) > 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_waits_for_the_successor_of_a_killed_primary() {
    let mut trio = SentinelTrio::start();
    let (registry, known) = start_with_login(&trio).await;
    let killed = trio.kill_primary();
    let began = Instant::now();
    assert!(is_open(&registry, known.key()).await);
    println!("loaded {:?} after the fault", began.elapsed());
    let primary = trio.wait_for_failover();
    assert_ne!(primary, killed);
    assert!(is_open(&registry, sign_in(&registry).await.key()).await);
    assert_eq!(end_all(&registry).await, 2);
}

/// For several seconds, the former primary accepts writes that the other servers never receive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failover_by_hand_moves_every_connection() {
    let mut trio = SentinelTrio::start();
    let (registry, known) = start_with_login(&trio).await;
    trio.fail_over();
    let primary = trio.wait_for_failover();
    let began = Instant::now();
    // A new registry connects to the new primary.
    let there = trio.registry().await;
    assert_eq!(end_all(&there).await, 1);
    let took = wait_for_the_end(&registry, known.key()).await;
    println!("left the former primary after {took:?} and {:?}", began.elapsed());
    let login = sign_in(&registry).await;
    assert!(is_open(&there, login.key()).await && has_sessions(&trio, primary));
    trio.wait_until_ok();
    let registry = registry.wait_for_replicas(2);
    let acknowledged = sign_in(&registry).await;
    assert!(is_open(&there, acknowledged.key()).await);
}

/// Acknowledged changes use their own connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_logins_follow_a_failover() {
    let mut trio = SentinelTrio::start();
    let registry = trio.registry().await.timeout(TIMEOUT).wait_for_replicas(1);
    for _ in 0..2 {
        sign_in(&registry).await;
        trio.wait_until_ok();
        trio.fail_over();
        trio.wait_for_failover();
        // An attempt on the former primary, which has one replica less, may fail.
        let began = Instant::now();
        while registry.commit(NewLogin::new("bob", NOON, &Policy::new())).await.is_err() {
            assert!(began.elapsed() < TIMEOUT + MARGIN);
        }
        println!("acknowledged {:?} after the failover", began.elapsed());
    }
    assert_eq!(end_all(&registry).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_primary_is_left_before_it_resumes() {
    let mut trio = SentinelTrio::start();
    let (registry, known) = start_with_login(&trio).await;
    let paused = trio.pause_primary();
    let began = Instant::now();
    assert!(is_open(&registry, known.key()).await);
    let took = began.elapsed();
    println!("loaded {took:?} after the pause");
    // After half of its timeout, every request gets a new connection. This one was faster.
    assert!(took < TIMEOUT / 3, "{took:?}");
    let primary = trio.wait_for_failover();
    trio.resume(paused);
    assert_eq!(end_all(&registry).await, 1);
    for _ in 0..100 {
        assert!(!is_open(&registry, known.key()).await);
    }
    assert!(has_sessions(&trio, primary));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscription_follows_a_failover() {
    let mut trio = SentinelTrio::start();
    let registry = trio.registry().await.timeout(TIMEOUT);
    let (sender, reports) = channel();
    let listener = ChangeListener::new(move |change| _ = sender.send(change));
    let subscription = registry.subscribe(listener);
    assert_eq!(reports.recv_timeout(TIMEOUT), Ok(Change::Any));
    trio.wait_until_ok();
    trio.fail_over();
    trio.wait_for_failover();
    let began = Instant::now();
    assert_eq!(reports.recv_timeout(TIMEOUT), Ok(Change::Any));
    println!("reported {:?} after the failover", began.elapsed());
    sign_in(&trio.registry().await).await;
    while reports.recv_timeout(TIMEOUT).unwrap() != Change::user("alice") {}
    assert!(subscription.check().await.unwrap());
}
