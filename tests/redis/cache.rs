//! Cache of records: maximum age, and invalidation.

use std::time::{Duration, Instant};

use session_expire::{
    PublicId, RedisRegistry,
    registry::{
        EndTarget, KeyRotation, NewLogin, RecordKey, Registry, SessionUpdate, StoredMessage,
        UpdateOutcome,
    },
};
use session_expire_tests::RedisServer;

use crate::{NOON, active, end, is_open, raw, rounds, session, setting, sign_in};

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
async fn unchanged_record_is_rarely_loaded_from_the_server() {
    let server = RedisServer::start();
    let registry = server.caching().await;
    let key = sign_in(&registry).await.key();
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
    for _ in 0..rounds::times(20) {
        let login = sign_in(&there).await;
        assert!(is_open(&here, login.key()).await && is_open(&here, login.key()).await);
        sign_out(&there, &login).await;
        let ended = Instant::now();
        wait_for_the_end(&here, login.key(), ended).await;
        waits.push(ended.elapsed());
    }
    waits.sort_unstable();
    println!("median {:?}, longest {:?}", waits[waits.len() / 2], waits.last().unwrap());
}

/// A confirmation in another process replaces the key. The old one must not stay valid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_reauthenticated_elsewhere_is_invalid_within_50_milliseconds() {
    let server = RedisServer::start();
    let (here, there) = (server.caching().await, server.caching().await);
    for _ in 0..rounds::times(20) {
        let login = sign_in(&there).await;
        assert!(is_open(&here, login.key()).await && is_open(&here, login.key()).await);
        let mut rotation = KeyRotation::new(session(&login), login.key(), active(NOON));
        rotation.reauthenticated_as = Some(PublicId::random());
        there.rotate(rotation.clone()).await.unwrap();
        let rotated = Instant::now();
        assert!(!is_open(&there, login.key()).await);
        wait_for_the_end(&here, login.key(), rotated).await;
        let record = here.load(rotation.new_key(), false).await.unwrap().unwrap().record;
        assert_eq!((Some(record.id), &record.ended), (rotation.reauthenticated_as, &None));
    }
}

/// Loads until the session has ended. Asserts that no load that begins 50 milliseconds after the
/// end finds it open, however slow the machine is.
async fn wait_for_the_end(registry: &RedisRegistry, key: RecordKey, ended: Instant) {
    loop {
        let began = ended.elapsed();
        if !is_open(registry, key).await {
            return;
        }
        assert!(began < Duration::from_millis(50), "still open {began:?} after the end");
    }
}

/// The next request of the user may reach another process, for example after a redirect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_written_elsewhere_is_read_at_once() {
    let server = RedisServer::start();
    let (here, there) = (server.caching().await, server.caching().await);
    for n in 0..rounds::times(20) {
        let login = sign_in(&there).await;
        assert_eq!(entry(&here, login.key()).await, None);
        for value in [n, n + 1] {
            update(&there, &login, setting("entry", &value.to_string())).await;
            assert_eq!(entry(&here, login.key()).await, Some(value.to_string()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flash_message_of_another_process_is_read_at_once() {
    let server = RedisServer::start();
    let (here, there) = (server.caching().await, server.caching().await);
    let login = sign_in(&there).await;
    for id in 0..rounds::times(20) {
        let messages = || async {
            let loaded = here.load(login.key(), false).await.unwrap().unwrap();
            loaded.data.messages().iter().map(|message| message.id).collect::<Vec<_>>()
        };
        assert_eq!(messages().await, [0; 0]);
        let mut added = SessionUpdate::new(NOON);
        added.data.added_messages.push(StoredMessage::new(id as u64, raw("1")));
        update(&there, &login, added).await;
        assert_eq!(messages().await, [id as u64]);
        let mut consumed = SessionUpdate::new(NOON);
        consumed.data.consumed_messages.push(id as u64);
        update(&here, &login, consumed).await;
    }
}

/// The key of a rotated session is new to every process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_a_rotation_elsewhere_is_read_at_once() {
    let server = RedisServer::start();
    let (here, there) = (server.caching().await, server.caching().await);
    for _ in 0..rounds::times(20) {
        let login = sign_in(&there).await;
        assert_eq!(entry(&here, login.key()).await, None);
        let rotation = KeyRotation::new(session(&login), login.key(), setting("entry", "1"));
        there.rotate(rotation.clone()).await.unwrap();
        assert_eq!(entry(&here, rotation.new_key()).await.as_deref(), Some("1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_this_process_are_read_at_once() {
    let server = RedisServer::start();
    let registry = server.caching().await;
    for n in 0..rounds::times(20) {
        let login = sign_in(&registry).await;
        assert!(is_open(&registry, login.key()).await, "{n}");
        let later = NOON.plus(Duration::from_secs(60));
        update(&registry, &login, setting("entry", "[]")).await;
        assert_eq!(entry(&registry, login.key()).await.as_deref(), Some("[]"), "{n}");
        update(&registry, &login, active(later)).await;
        let loaded = registry.load(login.key(), false).await.unwrap().unwrap();
        assert_eq!((loaded.record.last_seen, loaded.data.entries().len()), (later, 1), "{n}");
        sign_out(&registry, &login).await;
        assert!(!is_open(&registry, login.key()).await, "{n}");
    }
}

/// The server would report the end of the session over the connection that is cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_is_not_used_after_a_cut_connection() {
    let server = RedisServer::start();
    // A command that is written just after the cut fails after half of its timeout.
    let timeout = Duration::from_secs(2);
    let here = server.caching().await.timeout(timeout);
    let there = server.registry().await.timeout(timeout);
    for _ in 0..rounds::times(5) {
        let login = sign_in(&there).await;
        assert!(is_open(&here, login.key()).await);
        let _: u32 = server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        sign_out(&there, &login).await;
        wait_for_the_end(&here, login.key(), Instant::now()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_is_not_used_while_the_server_is_silent() {
    let server = RedisServer::start();
    let registry = server.caching().await.timeout(Duration::from_secs(1));
    let key = sign_in(&registry).await.key();
    assert!(is_open(&registry, key).await);
    server.signal("STOP");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let loaded = registry.load(key, false).await;
    server.signal("CONT");
    assert!(loaded.is_err());
    assert!(is_open(&registry, key).await, "the outage signed the user out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flush_of_the_server_signs_all_users_out() {
    let server = RedisServer::start();
    let registry = server.caching().await;
    let key = sign_in(&registry).await.key();
    assert!(is_open(&registry, key).await);
    let _: String = server.command(&["FLUSHALL"]);
    tokio::time::sleep(Duration::from_millis(45)).await;
    assert!(!is_open(&registry, key).await);
}
