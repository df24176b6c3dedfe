//! Lines to a server that are long, and on which answers get lost.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use session_expire::{
    EndTarget, Ended, NewLogin, Policy, Reason, RecordKey, RedisRegistry, Registry, SessionLimit,
};
use session_expire_tests::RedisServer;

use crate::{NOON, admitted, login};

/// A line to a server. What is sent takes its time each way.
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

    /// The next answer is lost, and with it the connection that it comes over.
    fn lose_an_answer(&self) {
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

async fn signed_in(registry: &RedisRegistry, policy: &Policy) -> NewLogin {
    let login = login("alice", policy);
    admitted(registry.login(login.clone()).await.unwrap());
    login
}

fn revoked() -> Ended {
    Ended::new(Reason::Revoked, NOON)
}

fn nobody() -> RecordKey {
    RecordKey::random("nobody")
}

#[tokio::test]
async fn what_was_ended_is_told_although_the_first_answer_was_lost() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::ZERO);
    let registry = RedisRegistry::connect(&wire.url).await.unwrap();
    let one = Policy::new().max_sessions(1);
    let room = SessionLimit::of(&one);
    // So that the server knows the scripts, and the answer that is lost is the one that counts.
    registry.end(EndTarget::Key(nobody()), revoked()).await.unwrap();
    registry.make_room(nobody(), room, revoked()).await.unwrap();
    let first = signed_in(&registry, &one).await;

    wire.lose_an_answer();
    let second = login("alice", &one);
    let (_, evicted) = admitted(registry.login(second.clone()).await.unwrap());
    assert_eq!(evicted.iter().map(|record| record.id).collect::<Vec<_>>(), [first.id]);
    assert!(wire.has_lost_it());

    let third = signed_in(&registry, &Policy::new()).await;
    wire.lose_an_answer();
    let yielding = Ended { at: NOON.plus(Duration::from_millis(1)), ..second.evicts() };
    let gone = registry.make_room(third.key, room, yielding).await.unwrap();
    assert_eq!(gone.iter().map(|record| record.id).collect::<Vec<_>>(), [second.id]);
    assert!(wire.has_lost_it());

    for (target, expected) in [
        (EndTarget::Id("alice".into(), third.id), 1),
        (EndTarget::Id("alice".into(), third.id), 0),
        (EndTarget::All("alice".into()), 0),
    ] {
        wire.lose_an_answer();
        let at = NOON.plus(Duration::from_millis(3 - expected as u64));
        let ended = registry.end(target, Ended::new(Reason::Revoked, at)).await.unwrap();
        assert_eq!((ended.len(), wire.has_lost_it()), (expected, true));
    }
}

#[tokio::test]
async fn what_another_process_has_ended_in_the_same_moment_is_not_told_again() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::ZERO);
    let (here, there) = (RedisRegistry::connect(&wire.url).await.unwrap(), server.registry().await);
    here.end(EndTarget::Key(nobody()), revoked()).await.unwrap();
    let login = signed_in(&here, &Policy::new()).await;
    let logged_out = Ended::new(Reason::LoggedOut, NOON);
    assert_eq!(there.end(EndTarget::Key(login.key), logged_out).await.unwrap().len(), 1);
    wire.lose_an_answer();
    assert_eq!(here.end(EndTarget::All("alice".into()), revoked()).await.unwrap(), []);
    assert!(wire.has_lost_it());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_ended_is_told_although_the_server_has_lost_its_scripts_since() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::from_millis(60));
    let registry = RedisRegistry::connect(&wire.url).await.unwrap();
    let registry = registry.timeout(Duration::from_secs(5));
    registry.end(EndTarget::Key(nobody()), revoked()).await.unwrap();
    signed_in(&registry, &Policy::new()).await;
    wire.lose_an_answer();
    let later = Ended { at: NOON.plus(Duration::from_secs(1)), ..revoked() };
    let ending = registry.end(EndTarget::All("alice".into()), later);
    let (ended, ()) = tokio::join!(ending, async {
        // It runs after 60 ms, and its answer would be here after 120.
        tokio::time::sleep(Duration::from_millis(90)).await;
        let _: String = server.ask(&["SCRIPT", "FLUSH"]);
    });
    assert_eq!((ended.unwrap().len(), wire.has_lost_it()), (1, true));
}

/// A job with a runtime of its own asks once in a while, and lies still in between.
#[test]
fn a_runtime_that_lies_still_keeps_nobody_from_the_server() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::from_millis(20));
    let main = runtime();
    let registry = main.block_on(RedisRegistry::connect(&wire.url)).unwrap();
    let registry = registry.timeout(Duration::from_millis(300));
    let job = runtime();
    server.signal("STOP");
    assert!(job.block_on(registry.load(nobody())).is_err());
    server.signal("CONT");
    thread::sleep(Duration::from_millis(1_500));
    let fine: Vec<_> = (0..10).map(|_| main.block_on(registry.load(nobody())).is_ok()).collect();
    assert_eq!(fine[3..], [true; 7], "{fine:?}");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_server_is_found_again_however_little_time_requests_have() {
    let server = RedisServer::start();
    let wire = Wire::to(&server, Duration::from_millis(30));
    let registry = RedisRegistry::connect_caching(&wire.url).await.unwrap();
    let registry = registry.timeout(Duration::from_millis(200));
    let key = signed_in(&registry, &Policy::new()).await.key;
    assert!(registry.load(key).await.is_ok());
    server.signal("STOP");
    for _ in 0..4 {
        assert!(registry.load(key).await.is_err());
    }
    server.signal("CONT");
    let mut fine = vec![];
    for _ in 0..10 {
        fine.push(registry.load(key).await.is_ok());
    }
    assert_eq!(fine[5..], [true; 5], "{fine:?}");
}
