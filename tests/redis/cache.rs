//! Cached records and data stay true.

use std::time::{Duration, Instant};

use session_expire::{
    EndTarget, NewLogin, RecordKey, RedisRegistry, Registry, SessionUpdate, UpdateOutcome,
};
use session_expire_tests::RedisServer;

use crate::{NOON, active, end, is_open, session, setting, sign_in};

async fn sign_out(registry: &RedisRegistry, login: &NewLogin) {
    assert_eq!(end(registry, EndTarget::Session(session(login))).await, 1);
}

async fn update(registry: &RedisRegistry, login: &NewLogin, update: SessionUpdate) {
    let outcome = registry.update(session(login), update).await.unwrap();
    assert_eq!(outcome, UpdateOutcome::Updated);
}

async fn entry(registry: &RedisRegistry, key: RecordKey) -> Option<String> {
    let loaded = registry.load(key, false).await.unwrap().unwrap();
    loaded.data.get("entry").map(|json| json.get().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unchanged_record_is_loaded_once_in_a_while() {
    let server = RedisServer::start();
    let registry = server.caching().await;
    let key = sign_in(&registry).await.key;
    let before = server.calls("hmget");
    let (began, mut loads) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_millis(400) {
        assert!(is_open(&registry, key).await);
        loads += 1;
    }
    let commands = server.calls("hmget") - before;
    assert!(loads > 1_000 && commands <= 13, "{commands} commands for {loads} loads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_ended_elsewhere_is_ended_within_50_milliseconds() {
    let server = RedisServer::start();
    let (here, there) = (server.caching().await, server.registry().await);
    let mut waits = vec![];
    for _ in 0..100 {
        let login = sign_in(&there).await;
        assert!(is_open(&here, login.key).await && is_open(&here, login.key).await);
        sign_out(&there, &login).await;
        let ended = Instant::now();
        soon_reads_the_end(&here, login.key, ended).await;
        waits.push(ended.elapsed());
    }
    waits.sort_unstable();
    println!("median {:?}, longest {:?}", waits[50], waits[99]);
}

/// Loads until the session has ended. A load that begins 50 milliseconds after the end must not
/// find it open, however slow the machine is to load again.
async fn soon_reads_the_end(registry: &RedisRegistry, key: RecordKey, ended: Instant) {
    loop {
        let began = ended.elapsed();
        if !is_open(registry, key).await {
            return;
        }
        assert!(began < Duration::from_millis(50), "still open {began:?} after the end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_written_elsewhere_is_read_within_50_milliseconds() {
    let server = RedisServer::start();
    let (here, there) = (server.caching().await, server.registry().await);
    let login = sign_in(&there).await;
    for n in 0..100 {
        entry(&here, login.key).await;
        update(&there, &login, setting("entry", &n.to_string())).await;
        let written = Instant::now();
        loop {
            let began = written.elapsed();
            if entry(&here, login.key).await == Some(n.to_string()) {
                break;
            }
            assert!(began < Duration::from_millis(50), "stale {began:?} after the write");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_this_process_are_read_at_once() {
    let server = RedisServer::start();
    let registry = server.caching().await;
    for n in 0..200 {
        let login = sign_in(&registry).await;
        assert!(is_open(&registry, login.key).await, "{n}");
        let later = NOON.plus(Duration::from_secs(60));
        update(&registry, &login, setting("entry", "[]")).await;
        assert_eq!(entry(&registry, login.key).await.as_deref(), Some("[]"), "{n}");
        update(&registry, &login, active(later)).await;
        let loaded = registry.load(login.key, false).await.unwrap().unwrap();
        assert_eq!((loaded.record.last_seen, loaded.data.entries().len()), (later, 1), "{n}");
        sign_out(&registry, &login).await;
        assert!(!is_open(&registry, login.key).await, "{n}");
    }
}

/// An attacker cuts the connection on which the end of the session would be reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connection_is_not_trusted() {
    let server = RedisServer::start();
    let timeout = Duration::from_millis(500);
    let here = server.caching().await.timeout(timeout);
    let there = server.registry().await.timeout(timeout);
    for _ in 0..20 {
        let login = sign_in(&there).await;
        assert!(is_open(&here, login.key).await);
        let _: u32 = server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        sign_out(&there, &login).await;
        soon_reads_the_end(&here, login.key, Instant::now()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_server_is_not_trusted() {
    let server = RedisServer::start();
    let registry = server.caching().await.timeout(Duration::from_millis(200));
    let key = sign_in(&registry).await.key;
    assert!(is_open(&registry, key).await);
    server.signal("STOP");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let loaded = registry.load(key, false).await;
    server.signal("CONT");
    assert!(loaded.is_err());
    assert!(is_open(&registry, key).await, "the outage signed the user out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushed_server_has_signed_out_all_users() {
    let server = RedisServer::start();
    let registry = server.caching().await;
    let key = sign_in(&registry).await.key;
    assert!(is_open(&registry, key).await);
    let _: String = server.ask(&["FLUSHALL"]);
    tokio::time::sleep(Duration::from_millis(45)).await;
    assert!(!is_open(&registry, key).await);
}
