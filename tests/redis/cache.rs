//! Records kept at hand stay true.

use std::time::{Duration, Instant};

use session_expire::{
    ActivityUpdate, EndTarget, Ended, Loaded, NewLogin, Policy, Reason, RecordKey, RedisRegistry,
    Registry,
};
use session_expire_tests::RedisServer;

use crate::NOON;

async fn sign_in(registry: &RedisRegistry) -> RecordKey {
    let login = NewLogin::new("alice", NOON, &Policy::new());
    let key = login.key;
    registry.login(login).await.unwrap();
    key
}

async fn sign_out(registry: &RedisRegistry, key: RecordKey) {
    let over = Ended::new(Reason::Revoked, NOON);
    assert_eq!(registry.end(EndTarget::Key(key), over).await.unwrap().len(), 1);
}

fn is_open(loaded: Option<Loaded>) -> bool {
    loaded.is_some_and(|loaded| loaded.record.ended.is_none())
}

async fn sees_open(registry: &RedisRegistry, key: RecordKey) -> bool {
    is_open(registry.load(key).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_change_is_asked_for_once_in_a_while() {
    let server = RedisServer::start();
    let registry = server.caching().await;
    let key = sign_in(&registry).await;
    let before = server.calls("evalsha") + server.calls("eval");
    let (began, mut loads) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_millis(400) {
        assert!(sees_open(&registry, key).await);
        loads += 1;
    }
    let asked = server.calls("evalsha") + server.calls("eval") - before;
    assert!(loads > 1_000 && asked <= 13, "{asked} commands for {loads} loads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_another_process_ends_is_out_within_50_milliseconds() {
    let server = RedisServer::start();
    let (here, there) = (server.caching().await, server.registry().await);
    let mut waits = vec![];
    for _ in 0..100 {
        let key = sign_in(&there).await;
        assert!(sees_open(&here, key).await && sees_open(&here, key).await);
        sign_out(&there, key).await;
        let over = Instant::now();
        soon_sees_the_end(&here, key, over).await;
        waits.push(over.elapsed());
    }
    waits.sort_unstable();
    println!("median {:?}, longest {:?}", waits[50], waits[99]);
}

/// Asks until the session is over. Whoever asks 50 milliseconds after its end must not find it open,
/// however slow the machine is to ask again.
async fn soon_sees_the_end(registry: &RedisRegistry, key: RecordKey, over: Instant) {
    loop {
        let asked = over.elapsed();
        if !sees_open(registry, key).await {
            return;
        }
        assert!(asked < Duration::from_millis(50), "still open when asked {asked:?} after its end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_this_process_does_is_seen_at_once() {
    let server = RedisServer::start();
    let registry = server.caching().await;
    for n in 0..200 {
        let key = sign_in(&registry).await;
        assert!(sees_open(&registry, key).await, "{n}");
        let seen = NOON.plus(Duration::from_secs(60));
        registry.touch(key, ActivityUpdate { seen, now: seen, patch: None }).await.unwrap();
        assert_eq!(registry.load(key).await.unwrap().unwrap().record.last_seen, seen, "{n}");
        sign_out(&registry, key).await;
        assert!(!sees_open(&registry, key).await, "{n}");
    }
}

/// The attacker cuts the line on which the end of their session would be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_cut_is_not_trusted() {
    let server = RedisServer::start();
    let patience = Duration::from_millis(500);
    let here = server.caching().await.timeout(patience);
    let there = server.registry().await.timeout(patience);
    for _ in 0..20 {
        let key = sign_in(&there).await;
        assert!(sees_open(&here, key).await);
        let _: u32 = server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        sign_out(&there, key).await;
        soon_sees_the_end(&here, key, Instant::now()).await;
    }
}

/// The server is there and says nothing: what was read before it fell silent is soon worth nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_not_trusted() {
    let server = RedisServer::start();
    let registry = server.caching().await.timeout(Duration::from_millis(200));
    let key = sign_in(&registry).await;
    assert!(sees_open(&registry, key).await);
    server.signal("STOP");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = registry.load(key).await;
    server.signal("CONT");
    assert!(answer.is_err(), "nobody is trusted while nobody can be asked");
    assert!(sees_open(&registry, key).await, "and nobody was signed out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_emptied_has_signed_everyone_out() {
    let server = RedisServer::start();
    let registry = server.caching().await;
    let key = sign_in(&registry).await;
    assert!(sees_open(&registry, key).await);
    let _: String = server.ask(&["FLUSHALL"]);
    tokio::time::sleep(Duration::from_millis(45)).await;
    assert!(!sees_open(&registry, key).await);
}
