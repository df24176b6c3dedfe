//! Connections that are long, and on which responses are lost.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use session_expire::{
    EndSessions, EndTarget, Ended, KeyRotation, Policy, PublicId, Reason, RecordKey, RedisRegistry,
    Registry, RotationOutcome, SessionLimit, SessionRef, StoredMessage, UpdateOutcome,
};
use session_expire_tests::RedisServer;

use crate::{NOON, active, all, committed, end, login, raw, revoked, session, setting, sign_in};

/// A connection to a server on which every message is delayed.
struct Wire {
    url: String,
    losing: Arc<AtomicBool>,
}

impl Wire {
    fn to(server: &RedisServer, lag: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        let (port, losing) = (server.port, Arc::<AtomicBool>::default());
        let lost = Arc::clone(&losing);
        thread::spawn(move || {
            for client in listener.incoming() {
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                join(client.unwrap(), server, lag, &lost);
            }
        });
        Self { url, losing }
    }

    /// The next response is lost, and with it its connection.
    fn lose_a_response(&self) {
        self.losing.store(true, Ordering::SeqCst);
    }

    fn has_lost_it(&self) -> bool {
        !self.losing.load(Ordering::SeqCst)
    }
}

fn join(client: TcpStream, server: TcpStream, lag: Duration, losing: &Arc<AtomicBool>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || carry(from, to, lag, || false));
    let losing = Arc::clone(losing);
    thread::spawn(move || carry(server, client, lag, || losing.swap(false, Ordering::SeqCst)));
}

fn carry(mut from: TcpStream, mut to: TcpStream, lag: Duration, is_lost: impl Fn() -> bool) {
    let mut some = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut some) {
        thread::sleep(lag);
        if is_lost() || to.write_all(&some[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

fn unknown() -> RecordKey {
    RecordKey::random("unknown")
}

fn unknown_session() -> SessionRef {
    SessionRef { user: "unknown".into(), id: PublicId::random() }
}

/// A registry on a wire. The server knows the scripts, so the response that is lost is the one that
/// matters.
async fn connect(wire: &Wire) -> RedisRegistry {
    let registry = RedisRegistry::connect(&wire.url).await.unwrap();
    let session = unknown_session();
    let limit = SessionLimit::of(&Policy::new());
    let rotation = KeyRotation::new(session.clone(), unknown(), active(NOON));
    let login = login("unknown", &Policy::new());
    registry.reserve(login.reservation(NOON)).await.unwrap();
    registry.commit(login).await.unwrap();
    registry.update(session.clone(), active(NOON)).await.unwrap();
    registry.rotate(rotation).await.unwrap();
    registry.enforce_limit(session.clone(), limit, revoked()).await.unwrap();
    registry.end(EndSessions::new(EndTarget::Session(session), revoked())).await.unwrap();
    registry
}

#[tokio::test]
async fn ended_records_are_returned_after_a_lost_response() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::ZERO);
    let registry = connect(&wire).await;
    let one = Policy::new().max_sessions(1);
    let limit = SessionLimit::of(&one);
    let first = sign_in(&registry).await;

    wire.lose_a_response();
    let second = login("alice", &one);
    let (_, evicted) = committed(registry.commit(second.clone()).await.unwrap());
    assert_eq!(evicted.iter().map(|record| record.id).collect::<Vec<_>>(), [first.id]);
    assert!(wire.has_lost_it());

    let third = sign_in(&registry).await;
    wire.lose_a_response();
    let mut how = second.evicts();
    how.at = NOON.plus(Duration::from_millis(1));
    let ended = registry.enforce_limit(session(&third), limit, how).await.unwrap();
    assert_eq!(ended.iter().map(|record| record.id).collect::<Vec<_>>(), [second.id]);
    assert!(wire.has_lost_it());

    for (target, expected) in [
        (EndTarget::Session(session(&third)), 1),
        (EndTarget::Session(session(&third)), 0),
        (all("alice"), 0),
    ] {
        wire.lose_a_response();
        let at = NOON.plus(Duration::from_millis(3 - expected as u64));
        let ends = EndSessions::new(target, Ended::new(Reason::Revoked, at));
        let ended = registry.end(ends).await.unwrap();
        assert_eq!((ended.len(), wire.has_lost_it()), (expected, true));
    }
}

#[tokio::test]
async fn end_of_another_process_at_the_same_moment_is_not_returned() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::ZERO);
    let (here, there) = (connect(&wire).await, server.registry().await);
    let login = sign_in(&here).await;
    let logged_out = Ended::new(Reason::LoggedOut, NOON);
    let ends = EndSessions::new(EndTarget::Session(session(&login)), logged_out);
    assert_eq!(there.end(ends).await.unwrap().len(), 1);
    wire.lose_a_response();
    assert_eq!(end(&here, all("alice")).await, 0);
    assert!(wire.has_lost_it());
}

#[tokio::test]
async fn update_is_applied_once_after_a_lost_response() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::ZERO);
    let registry = connect(&wire).await;
    let login = sign_in(&registry).await;
    let mut update = setting("a", "1");
    update.data.added_messages.push(StoredMessage { id: 7, content: raw("\"hi\"") });
    wire.lose_a_response();
    let outcome = registry.update(session(&login), update).await.unwrap();
    assert_eq!((outcome, wire.has_lost_it()), (UpdateOutcome::Updated, true));
    let data = registry.load(login.key, false).await.unwrap().unwrap().data;
    assert_eq!((data.entries().len(), data.messages().len()), (1, 1));
}

#[tokio::test]
async fn rotation_is_won_although_the_response_was_lost() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::ZERO);
    let registry = connect(&wire).await;
    let login = sign_in(&registry).await;
    for reauthenticated_as in [None, Some(PublicId::random())] {
        let login =
            if reauthenticated_as.is_some() { sign_in(&registry).await } else { login.clone() };
        let mut update = active(NOON);
        update.data.added_messages.push(StoredMessage { id: 7, content: raw("1") });
        let mut rotation = KeyRotation::new(session(&login), login.key, update);
        rotation.reauthenticated_as = reauthenticated_as;
        wire.lose_a_response();
        let outcome = registry.rotate(rotation.clone()).await.unwrap();
        assert_eq!((outcome, wire.has_lost_it()), (RotationOutcome::Rotated, true));
        let loaded = registry.load(rotation.to, false).await.unwrap().unwrap();
        assert_eq!(loaded.data.messages().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_records_are_returned_although_the_scripts_were_flushed() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::from_millis(60));
    let registry = connect(&wire).await.timeout(Duration::from_secs(5));
    sign_in(&registry).await;
    wire.lose_a_response();
    let later = Ended::new(Reason::Revoked, NOON.plus(Duration::from_secs(1)));
    let ending = registry.end(EndSessions::new(all("alice"), later));
    let (ended, ()) = tokio::join!(ending, async {
        // It runs after 60 ms, and its response would be here after 120.
        tokio::time::sleep(Duration::from_millis(90)).await;
        let _: String = server.ask(&["SCRIPT", "FLUSH"]);
    });
    assert_eq!((ended.unwrap().len(), wire.has_lost_it()), (1, true));
}

/// A job with a runtime of its own loads once in a while, and is not polled in between.
#[test]
fn idle_runtime_does_not_block_other_runtimes() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::from_millis(20));
    let main = runtime();
    let registry = main.block_on(RedisRegistry::connect(&wire.url)).unwrap();
    let registry = registry.timeout(Duration::from_millis(300));
    let job = runtime();
    server.signal("STOP");
    assert!(job.block_on(registry.load(unknown(), false)).is_err());
    server.signal("CONT");
    thread::sleep(Duration::from_millis(1_500));
    main.block_on(soon_loads(&registry));
}

/// Loads until the server is reached again; on a busy machine one load may time out, but not all.
async fn soon_loads(registry: &RedisRegistry) {
    let began = Instant::now();
    while registry.load(unknown(), false).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "the server is not reached again");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn far_server_is_connected_again_despite_short_timeouts() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::from_millis(30));
    let registry = RedisRegistry::connect_caching(&wire.url).await.unwrap();
    let registry = registry.timeout(Duration::from_millis(200));
    let key = sign_in(&registry).await.key;
    assert!(registry.load(key, false).await.is_ok());
    server.signal("STOP");
    for _ in 0..4 {
        assert!(registry.load(key, false).await.is_err());
    }
    server.signal("CONT");
    soon_loads(&registry).await;
}
