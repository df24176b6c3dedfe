//! Reports of changes to the listeners of all processes.

use std::{
    env,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use session_expire::{
    Limit, MemoryRegistry, Overflow, Policy, PublicId, RedisRegistry,
    registry::{
        Change, ChangeListener, EndSessions, EndTarget, KeyRotation, NewLogin, Registry,
        SessionLimit, SessionUpdate, SigningKey, Subscription, partition_key,
    },
};
use session_expire_tests::RedisServer;
use tokio::runtime::Runtime;

use crate::{
    NOON, active, all, committed, end, is_open, login, revoked, session, setting, sign_in,
};

/// Longest wait for a report, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

const URL: &str = "SESSION_EXPIRE_TEST_URL";

/// Subscription with its reports.
pub struct Reports {
    receiver: Receiver<Change>,
    pub subscription: Box<dyn Subscription>,
}

impl Reports {
    pub fn of(registry: &dyn Registry) -> Self {
        let (sender, receiver) = channel();
        let listener = ChangeListener::new(move |change| _ = sender.send(change));
        Self { receiver, subscription: registry.subscribe(listener) }
    }

    /// Subscribes, and waits until the subscription has taken effect.
    pub fn connected(registry: &RedisRegistry) -> Self {
        let reports = Self::of(registry);
        assert_eq!(reports.next(), Change::Any);
        reports
    }

    pub fn next(&self) -> Change {
        self.receiver.recv_timeout(LIMIT).unwrap()
    }

    /// Waits for `change` or for [`Change::Any`]. Returns `true` for `change`.
    pub fn until(&self, change: &Change) -> bool {
        loop {
            match self.next() {
                Change::Any => return false,
                next if next == *change => return true,
                _ => {}
            }
        }
    }

    /// Returns the reports before that of the next login of `user`.
    pub fn until_login_of(&self, user: &str) -> Vec<Change> {
        let last = Change::user(user);
        std::iter::from_fn(|| Some(self.next())).take_while(|change| *change != last).collect()
    }
}

async fn end_one(registry: &dyn Registry, login: &NewLogin) {
    let target = EndTarget::Session(session(login));
    registry.end(EndSessions::new(target, revoked())).await.unwrap();
}

/// Runs every operation. Operations with reports surround those without.
async fn change_everything(registry: &dyn Registry, logins: &[NewLogin; 6]) {
    let [first, second, third, fourth, fifth, last] = logins;
    let until = NOON.plus(Duration::from_secs(30));
    registry.reserve(first.reservation(until)).await.unwrap();
    committed(registry.commit(first.clone()).await.unwrap());
    registry.load(first.key(), true).await.unwrap();
    registry.update(session(first), active(until)).await.unwrap();
    registry.update(session(first), setting("a", "1")).await.unwrap();
    committed(registry.commit(second.clone()).await.unwrap());
    let refreshed = SessionUpdate::new(NOON).with_signing_key(SigningKey::random());
    registry.update(session(second), refreshed).await.unwrap();
    let rotation = KeyRotation::new(session(second), second.key(), active(until));
    registry.rotate(rotation.clone()).await.unwrap();
    let mut confirmed = KeyRotation::new(session(second), rotation.new_key(), active(until));
    confirmed.reauthenticated_as = Some(third.id);
    registry.rotate(confirmed).await.unwrap();
    for _ in 0..6 {
        let counted = registry.count_confirmation_attempt(session(third), revoked());
        counted.await.unwrap();
    }
    let unlimited = |login: &NewLogin| {
        let mut login = login.clone();
        login.limit = SessionLimit::new(Limit::Off, Overflow::Evict);
        login
    };
    for login in [fourth, fifth] {
        committed(registry.commit(unlimited(login)).await.unwrap());
    }
    let limit = SessionLimit::new(Limit::At(1), Overflow::Evict);
    registry.enforce_limit(session(fifth), limit, revoked()).await.unwrap();
    registry.cancel(fifth.key(), revoked()).await.unwrap();
    registry.end_everyone(revoked()).await.unwrap();
    committed(registry.commit(last.clone()).await.unwrap());
    end_one(registry, last).await;
    end_one(registry, last).await;
    registry.erase("alice".into()).await.unwrap();
    registry.export("alice".into()).await.unwrap();
    committed(registry.commit(login("the end", &Policy::new())).await.unwrap());
}

#[tokio::test]
async fn reports_are_those_of_the_memory_registry() {
    let server = RedisServer::start();
    let logins = [(); 6].map(|()| login("alice", &Policy::new().max_sessions(1)));
    let memory = MemoryRegistry::new();
    let expected = Reports::of(&memory);
    change_everything(&memory, &logins).await;
    let expected = expected.until_login_of("the end");
    assert!(expected.len() > 10, "{expected:?}");
    for caches in [false, true] {
        let _: String = server.command(&["FLUSHALL"]);
        let (here, there) = match caches {
            true => (server.caching().await, server.caching().await),
            false => (server.registry().await, server.registry().await),
        };
        let reports = [&here, &here, &there].map(|registry| Reports::of(registry));
        // The second subscription may join before or after the connection.
        committed(there.commit(login("the start", &Policy::new())).await.unwrap());
        for reports in &reports {
            while !reports.subscription.check().await.unwrap() {}
        }
        committed(there.commit(login("begin", &Policy::new())).await.unwrap());
        reports.iter().for_each(|reports| drop(reports.until_login_of("begin")));
        change_everything(&there, &logins).await;
        for reports in &reports {
            assert_eq!(reports.until_login_of("the end"), expected, "caching: {caches}");
            assert!(reports.subscription.check().await.unwrap());
        }
    }
}

/// Eight threads end sessions, each on its own registry.
#[test]
fn no_report_of_many_threads_is_lost_or_out_of_order() {
    const ENDS: usize = 150;
    let (server, runtime) = (RedisServer::start(), Runtime::new().unwrap());
    let registry = runtime.block_on(server.registry());
    let reports = Reports::connected(&registry);
    let users = ["a", "b", "c", "d", "e", "f", "g", "h"];
    thread::scope(|scope| {
        for user in users {
            let server = &server;
            scope.spawn(move || {
                Runtime::new().unwrap().block_on(async {
                    let registry = server.registry().await;
                    for _ in 0..ENDS {
                        let login = login(user, &Policy::new());
                        committed(registry.commit(login.clone()).await.unwrap());
                        end_one(&registry, &login).await;
                    }
                });
            });
        }
    });
    let received: Vec<_> = (0..users.len() * ENDS * 2).map(|_| reports.next()).collect();
    for user in users {
        let partition = partition_key(user);
        let is_of_user = |change: &&Change| match change {
            Change::Session { partition: other, .. } | Change::User { partition: other } => {
                *other == partition
            }
            _ => panic!("{change:?}"),
        };
        let of_user: Vec<_> = received.iter().filter(is_of_user).collect();
        assert_eq!(of_user.len(), 2 * ENDS);
        for pair in of_user.chunks(2) {
            assert!(matches!(pair, [Change::User { .. }, Change::Session { .. }]), "{pair:?}");
        }
    }
    assert!(runtime.block_on(reports.subscription.check()).unwrap());
}

/// Starts this test program again as a process that signs a hundred users in and out.
fn start_child(url: &str) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    let part = "reports::child_that_signs_users_in_and_out";
    command.args(["--exact", part, "--ignored", "--test-threads=1"]).env(URL, url);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
#[ignore = "run by `changes_of_another_process_are_reported_in_order`"]
fn child_that_signs_users_in_and_out() {
    let Ok(url) = env::var(URL) else { return };
    Runtime::new().unwrap().block_on(async {
        let registry = RedisRegistry::connect(&url).await.unwrap().timeout(LIMIT);
        for n in 0..100 {
            let login = login(&n.to_string(), &Policy::new());
            committed(registry.commit(login.clone()).await.unwrap());
            end_one(&registry, &login).await;
        }
    });
}

#[test]
fn changes_of_another_process_are_reported_in_order() {
    let (server, runtime) = (RedisServer::start(), Runtime::new().unwrap());
    let registry = runtime.block_on(server.registry());
    let reports = Reports::connected(&registry);
    let mut child = start_child(&server.url());
    for n in 0..100 {
        let user = n.to_string();
        assert_eq!(reports.next(), Change::user(&user));
        let ended = reports.next();
        let is_of_user = matches!(&ended, Change::Session { partition, .. }
            if *partition == partition_key(&user));
        assert!(is_of_user, "{n}: {ended:?}");
    }
    assert!(child.wait().unwrap().success());
}

/// The load starts in the listener's thread, as soon as the report arrives.
#[test]
fn load_after_a_report_sees_the_change() {
    let (server, runtime) = (RedisServer::start(), Runtime::new().unwrap());
    for caches in [false, true] {
        let (here, there) = runtime.block_on(async {
            let here = if caches { server.caching().await } else { server.registry().await };
            (here, server.registry().await)
        });
        let reports = Reports::connected(&here);
        for n in 0..crate::rounds::times(200) {
            let login = runtime.block_on(async {
                let login = sign_in(&there).await;
                // The second load is from the cache.
                assert!(is_open(&here, login.key()).await && is_open(&here, login.key()).await);
                login
            });
            assert_eq!(reports.next(), Change::user("alice"));
            thread::scope(|scope| {
                scope.spawn(|| {
                    runtime.block_on(end(&there, EndTarget::Session(session(&login))));
                });
                assert_eq!(reports.next(), Change::session(&session(&login)));
                assert!(!runtime.block_on(is_open(&here, login.key())), "{n}, caching: {caches}");
            });
        }
    }
}

#[tokio::test]
async fn many_ends_are_one_message() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let reports = Reports::connected(&registry);
    let mut ids = vec![];
    for _ in 0..100 {
        ids.push(sign_in(&registry).await.id);
    }
    drop((0..100).map(|_| reports.next()).collect::<Vec<_>>());
    let _: String = server.command(&["CONFIG", "RESETSTAT"]);
    assert_eq!(end(&registry, all("alice")).await, 100);
    let ended = |id: PublicId| Change::Session { partition: partition_key("alice"), id };
    let mut reported: Vec<_> = (0..100).map(|_| format!("{:?}", reports.next())).collect();
    let mut expected: Vec<_> = ids.into_iter().map(|id| format!("{:?}", ended(id))).collect();
    reported.sort();
    expected.sort();
    assert_eq!((reported, server.calls("publish")), (expected, 1));
}

/// All databases of a server share its channels.
#[tokio::test]
async fn changes_of_another_prefix_or_database_are_not_reported() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let reports = Reports::connected(&registry);
    let other = RedisRegistry::connect(&format!("{}1", server.url())).await.unwrap();
    sign_in(&other.timeout(LIMIT)).await;
    sign_in(&server.registry().await.prefix("shop")).await;
    committed(registry.commit(login("bob", &Policy::new())).await.unwrap());
    assert_eq!(reports.next(), Change::user("bob"));
}

/// The last dropped subscription closes the connection, even if the registry was dropped before.
#[tokio::test]
async fn dropped_subscription_closes_its_connection() {
    let server = RedisServer::start();
    let (registry, other) = (server.registry().await, server.registry().await);
    let subscribers =
        || server.command::<String>(&["CLIENT", "LIST", "TYPE", "pubsub"]).lines().count();
    let reports = [Reports::connected(&registry), Reports::of(&registry)];
    assert_eq!(subscribers(), 1);
    let [first, second] = reports;
    drop(first);
    drop(registry);
    sign_in(&other).await;
    assert_eq!(second.until_login_of("alice").len(), 0);
    assert!(second.subscription.check().await.unwrap());
    drop(second);
    let began = Instant::now();
    while subscribers() > 0 {
        assert!(began.elapsed() < LIMIT, "the connection is still open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
