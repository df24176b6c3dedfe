//! Connections with a delay, and connections that lose a response.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use session_expire::{
    Overflow, Policy, PublicId, Reason, RedisRegistry, minutes,
    registry::{
        EndSessions, EndTarget, Ended, KeyRotation, LoginOutcome, LoginTicket, NewLogin, RecordKey,
        Registry, RotationOutcome, SessionLimit, SessionRecord, SessionRef, StoredMessage,
        Takeover, UpdateOutcome,
    },
};
use session_expire_tests::RedisServer;

use crate::{
    NOON, active, all, committed, end, load_when_available, login, raw, revoked, session, setting,
    sign_in,
};

/// Proxy in front of a server. It delays every message, and loses a response on demand.
struct Proxy {
    url: String,
    /// Number of the response to lose, counted from 1; 0 for none.
    loses: Arc<AtomicUsize>,
    /// The server forgets its scripts before the lost response closes the connection.
    flushes_scripts: Arc<AtomicBool>,
}

impl Proxy {
    fn new(server: &RedisServer, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        let (port, loses, flushes_scripts) = (server.port, <_>::default(), <_>::default());
        let proxy = Self { url, loses, flushes_scripts };
        let (loses, flushes) = (Arc::clone(&proxy.loses), Arc::clone(&proxy.flushes_scripts));
        thread::spawn(move || {
            for client in listener.incoming() {
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (loses, flushes) = (Arc::clone(&loses), Arc::clone(&flushes));
                let is_lost = move || {
                    let is_lost = count_down(&loses);
                    if is_lost && flushes.load(Ordering::SeqCst) {
                        flush_scripts(port);
                    }
                    is_lost
                };
                forward(client.unwrap(), server, delay, is_lost);
            }
        });
        proxy
    }

    /// Loses the next response, and closes its connection.
    fn lose_response(&self) {
        self.lose_response_number(1);
    }

    /// Loses the response with this number, counted from 1, and closes its connection.
    fn lose_response_number(&self, number: usize) {
        self.loses.store(number, Ordering::SeqCst);
    }

    fn has_lost_response(&self) -> bool {
        self.loses.load(Ordering::SeqCst) == 0
    }
}

/// Returns `true` if the counter reaches 0.
fn count_down(counter: &AtomicUsize) -> bool {
    let decrement = |number: usize| number.checked_sub(1);
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, decrement) == Ok(1)
}

fn flush_scripts(port: u16) {
    let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    server.write_all(b"SCRIPT FLUSH\r\n").unwrap();
    let mut response = [0; 5];
    server.read_exact(&mut response).unwrap();
    assert_eq!(response, *b"+OK\r\n");
}

fn forward(
    client: TcpStream,
    server: TcpStream,
    delay: Duration,
    is_lost: impl Fn() -> bool + Send + 'static,
) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || copy(from, to, delay, || false));
    thread::spawn(move || copy(server, client, delay, is_lost));
}

fn copy(mut from: TcpStream, mut to: TcpStream, delay: Duration, is_lost: impl Fn() -> bool) {
    let mut buffer = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        thread::sleep(delay);
        if is_lost() || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

fn unknown() -> RecordKey {
    RecordKey::random("unknown")
}

fn unknown_session() -> SessionRef {
    SessionRef::new("unknown", PublicId::random())
}

/// Returns a registry behind the proxy. All scripts are loaded: the next response is that of the
/// next operation.
async fn connect(proxy: &Proxy) -> RedisRegistry {
    let registry = RedisRegistry::connect(&proxy.url).await.unwrap();
    let registry = registry.timeout(Duration::from_secs(20));
    let session = unknown_session();
    let limit = SessionLimit::from(&Policy::new());
    let rotation = KeyRotation::new(session.clone(), unknown(), active(NOON));
    let login = login("unknown", &Policy::new());
    registry.reserve(login.reservation(NOON)).await.unwrap();
    registry.commit(login).await.unwrap();
    registry.update(session.clone(), active(NOON)).await.unwrap();
    registry.rotate(rotation).await.unwrap();
    registry.enforce_limit(session.clone(), limit, revoked()).await.unwrap();
    registry.count_confirmation_attempt(session.clone(), revoked()).await.unwrap();
    registry.end(EndSessions::new(EndTarget::Session(session), revoked())).await.unwrap();
    registry
}

#[tokio::test]
async fn ended_records_are_returned_after_a_lost_response() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server, Duration::ZERO);
    let registry = connect(&proxy).await;
    let one = Policy::new().max_sessions(1);
    let limit = SessionLimit::from(&one);
    let first = sign_in(&registry).await;

    proxy.lose_response();
    let second = login("alice", &one);
    let (_, evicted) = committed(registry.commit(second.clone()).await.unwrap());
    assert_eq!(evicted.iter().map(|record| record.id).collect::<Vec<_>>(), [first.id]);
    assert!(proxy.has_lost_response());

    let third = sign_in(&registry).await;
    proxy.lose_response();
    let mut how = second.eviction();
    how.at = NOON.plus(Duration::from_millis(1));
    let ended = registry.enforce_limit(session(&third), limit, how).await.unwrap();
    assert_eq!(ended.iter().map(|record| record.id).collect::<Vec<_>>(), [second.id]);
    assert!(proxy.has_lost_response());

    for (target, expected) in [
        (EndTarget::Session(session(&third)), 1),
        (EndTarget::Session(session(&third)), 0),
        (all("alice"), 0),
    ] {
        proxy.lose_response();
        let at = NOON.plus(Duration::from_millis(3 - expected as u64));
        let ends = EndSessions::new(target, Ended::new(Reason::Revoked, at));
        let ended = registry.end(ends).await.unwrap();
        assert_eq!((ended.len(), proxy.has_lost_response()), (expected, true));
    }
}

#[tokio::test]
async fn end_of_another_process_at_the_same_moment_is_not_returned() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server, Duration::ZERO);
    let (here, there) = (connect(&proxy).await, server.registry().await);
    let login = sign_in(&here).await;
    let logged_out = Ended::new(Reason::LoggedOut, NOON);
    let ends = EndSessions::new(EndTarget::Session(session(&login)), logged_out);
    assert_eq!(there.end(ends).await.unwrap().len(), 1);
    proxy.lose_response();
    assert_eq!(end(&here, all("alice")).await, 0);
    assert!(proxy.has_lost_response());
}

#[tokio::test]
async fn update_is_applied_once_after_a_lost_response() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server, Duration::ZERO);
    let registry = connect(&proxy).await;
    let login = sign_in(&registry).await;
    let mut update = setting("a", "1");
    update.data.added_messages.push(StoredMessage::new(7, raw("\"hi\"")));
    proxy.lose_response();
    let outcome = registry.update(session(&login), update).await.unwrap();
    assert_eq!((outcome, proxy.has_lost_response()), (UpdateOutcome::Updated, true));
    let data = registry.load(login.key(), false).await.unwrap().unwrap().data;
    assert_eq!((data.entries().len(), data.messages().len()), (1, 1));
}

#[tokio::test]
async fn rotation_succeeds_although_its_response_was_lost() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server, Duration::ZERO);
    let registry = connect(&proxy).await;
    let login = sign_in(&registry).await;
    for reauthenticated_as in [None, Some(PublicId::random())] {
        let login =
            if reauthenticated_as.is_some() { sign_in(&registry).await } else { login.clone() };
        let mut update = active(NOON);
        update.data.added_messages.push(StoredMessage::new(7, raw("1")));
        let mut rotation = KeyRotation::new(session(&login), login.key(), update);
        rotation.reauthenticated_as = reauthenticated_as;
        proxy.lose_response();
        let outcome = registry.rotate(rotation.clone()).await.unwrap();
        assert_eq!((outcome, proxy.has_lost_response()), (RotationOutcome::Rotated, true));
        let loaded = registry.load(rotation.new_key(), false).await.unwrap().unwrap();
        assert_eq!(loaded.data.messages().len(), 1);
    }
}

/// The end of the chosen session has the time of the takeover, not of the login.
#[tokio::test]
async fn takeover_succeeds_although_its_response_was_lost() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server, Duration::ZERO);
    let registry = connect(&proxy).await;
    let taken = sign_in(&registry).await;
    let ticket = LoginTicket::new("alice", NOON, NOON.plus(minutes(5)));
    registry.issue_ticket(ticket.clone()).await.unwrap();
    let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
    let mut new = NewLogin::new("alice", NOON.plus(minutes(1)), &policy);
    let how = Ended::new(Reason::Revoked, NOON.plus(minutes(2))).by("a\nb");
    new.takeover = Some(Takeover::new(ticket.key(), taken.id, how.clone()));
    proxy.lose_response();
    let (record, ended) = committed(registry.commit(new.clone()).await.unwrap());
    assert!(proxy.has_lost_response());
    let ends: Vec<_> = ended.iter().map(|record| (record.id, record.ended.clone())).collect();
    assert_eq!((record.id, ends), (new.id, vec![(taken.id, Some(how))]));
    let mut again = login("alice", &policy);
    again.takeover = new.takeover;
    let outcome = registry.commit(again).await.unwrap();
    assert!(matches!(outcome, LoginOutcome::TicketInvalid), "{outcome:?}");
}

#[tokio::test]
async fn failed_confirmation_is_counted_once_after_a_lost_response() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server, Duration::ZERO);
    let registry = connect(&proxy).await;
    let login = sign_in(&registry).await;
    for number in 1..=SessionRecord::MAX_CONFIRMATION_ATTEMPTS + 1 {
        proxy.lose_response();
        let counted = registry.count_confirmation_attempt(session(&login), revoked()).await;
        let record = counted.unwrap().unwrap();
        assert!(proxy.has_lost_response());
        let expected = (number > SessionRecord::MAX_CONFIRMATION_ATTEMPTS).then(revoked);
        assert_eq!((record.confirmation_attempts, record.ended), (number, expected));
    }
    proxy.lose_response();
    let counted = registry.count_confirmation_attempt(session(&login), revoked()).await;
    assert_eq!((counted.unwrap(), proxy.has_lost_response()), (None, true));
}

#[tokio::test]
async fn ended_records_are_returned_after_a_script_flush() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server, Duration::ZERO);
    let registry = connect(&proxy).await;
    sign_in(&registry).await;
    proxy.flushes_scripts.store(true, Ordering::SeqCst);
    proxy.lose_response();
    let later = Ended::new(Reason::Revoked, NOON.plus(Duration::from_secs(1)));
    let ended = registry.end(EndSessions::new(all("alice"), later)).await.unwrap();
    assert_eq!((ended.len(), proxy.has_lost_response()), (1, true));
}

#[tokio::test]
async fn end_of_all_sessions_starts_one_generation_despite_a_lost_response() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server, Duration::ZERO);
    let registry = connect(&proxy).await;
    for n in 0..50 {
        registry.commit(login(&format!("user {n}"), &Policy::new())).await.unwrap();
    }
    proxy.lose_response();
    // Fifty users and the unknown one.
    assert_eq!(registry.end_everyone(revoked()).await.unwrap(), 51);
    assert!(proxy.has_lost_response());
    for n in 0..50 {
        let new = login(&format!("user {n}"), &Policy::new());
        assert_eq!(committed(registry.commit(new).await.unwrap()).0.generation, 1);
    }
}

/// After a failover, the new primary does not know the scripts.
#[tokio::test]
async fn end_of_all_sessions_succeeds_although_the_script_is_lost_halfway() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server, Duration::ZERO);
    let registry = connect(&proxy).await;
    registry.end_everyone(revoked()).await.unwrap();
    for n in 0..50 {
        registry.commit(login(&format!("user {n}"), &Policy::new())).await.unwrap();
    }
    proxy.flushes_scripts.store(true, Ordering::SeqCst);
    // The first response is that of the first tag.
    proxy.lose_response_number(2);
    assert_eq!(registry.end_everyone(revoked()).await.unwrap(), 50);
    assert!(proxy.has_lost_response());
    for n in 0..50 {
        let new = login(&format!("user {n}"), &Policy::new());
        assert_eq!(committed(registry.commit(new).await.unwrap()).0.generation, 2);
    }
}

/// The runtime of a job is not polled between two loads.
#[test]
fn idle_runtime_does_not_block_other_runtimes() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server, Duration::from_millis(20));
    let main = runtime();
    let registry = main.block_on(RedisRegistry::connect(&proxy.url)).unwrap();
    let registry = registry.timeout(Duration::from_millis(300));
    let job = runtime();
    server.signal("STOP");
    assert!(job.block_on(registry.load(unknown(), false)).is_err());
    server.signal("CONT");
    thread::sleep(Duration::from_millis(1_500));
    main.block_on(load_when_available(&registry, unknown()));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distant_server_is_reconnected_despite_short_timeouts() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server, Duration::from_millis(30));
    let registry = RedisRegistry::connect_caching(&proxy.url).await.unwrap();
    let registry = registry.timeout(Duration::from_millis(200));
    let key = sign_in(&server.registry().await).await.key();
    load_when_available(&registry, key).await;
    server.signal("STOP");
    for _ in 0..4 {
        assert!(registry.load(key, false).await.is_err());
    }
    server.signal("CONT");
    load_when_available(&registry, unknown()).await;
}
