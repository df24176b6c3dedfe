//! Changes that replicas acknowledge, on a primary whose replication a test holds back.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use session_expire::{
    Policy, Reason, RedisRegistry,
    registry::{
        EndSessions, EndTarget, Ended, KeyRotation, NewLogin, Registry, SessionLimit, SessionRecord,
    },
};
use session_expire_tests::{RedisServer, SwitchProxy};

use crate::{NOON, active, committed, end, is_open, login, revoked, session, sign_in};

/// How much longer than the timeout an operation may take on a busy machine.
const MARGIN: Duration = Duration::from_secs(5);

/// A primary, and a replica that is connected to it through a proxy.
struct Replicated {
    primary: RedisServer,
    replica: RedisServer,
    replication: SwitchProxy,
    /// Proxy of the clients.
    clients: SwitchProxy,
}

impl Replicated {
    fn start() -> Self {
        let primary = RedisServer::start();
        let replication = SwitchProxy::new(primary.port);
        let replica = RedisServer::start_replica_of(replication.port);
        let clients = SwitchProxy::new(primary.port);
        Self { primary, replica, replication, clients }
    }

    async fn registry(&self, timeout: Duration) -> RedisRegistry {
        RedisRegistry::connect(&self.clients.url()).await.unwrap().timeout(timeout)
    }

    /// Returns a registry that waits for the replica, for as long as a busy machine takes.
    async fn waiting(&self) -> RedisRegistry {
        self.registry(Duration::from_secs(20)).await.wait_for_replicas(1)
    }

    /// Kills the primary and promotes the replica.
    fn fail_over(&mut self) {
        self.primary.stop();
        self.replication.cut();
        self.replica.promote();
        self.clients.switch(self.replica.port);
    }
}

#[tokio::test]
async fn acknowledged_changes_survive_the_loss_of_the_primary() {
    let mut servers = Replicated::start();
    let registry = servers.waiting().await;
    let one = Policy::new().max_sessions(1);
    let (open, ended, rotated) =
        (sign_in(&registry).await, sign_in(&registry).await, sign_in(&registry).await);
    assert_eq!(end(&registry, EndTarget::Session(session(&ended))).await, 1);
    let rotation = KeyRotation::new(session(&rotated), rotated.key(), active(NOON));
    registry.rotate(rotation.clone()).await.unwrap();
    let evicted = login("bob", &one);
    committed(registry.commit(evicted.clone()).await.unwrap());
    let last = login("bob", &one);
    committed(registry.commit(last.clone()).await.unwrap());
    servers.fail_over();
    for (key, expected) in [
        (open.key(), true),
        (ended.key(), false),
        (rotated.key(), false),
        (rotation.new_key(), true),
        (evicted.key(), false),
        (last.key(), true),
    ] {
        assert_eq!(is_open(&registry, key).await, expected);
    }
}

/// The servers lose a login that the replica has not acknowledged.
#[tokio::test]
async fn unacknowledged_login_is_lost_with_the_primary() {
    let mut servers = Replicated::start();
    let registry = servers.registry(Duration::from_secs(20)).await;
    let known = sign_in(&registry).await;
    servers.primary.wait_for_replicas(1);
    servers.replication.hold();
    let lost = sign_in(&registry).await;
    servers.fail_over();
    assert!(is_open(&registry, known.key()).await);
    assert_eq!(registry.load(lost.key(), false).await.unwrap(), None);
}

#[tokio::test]
async fn change_fails_while_the_replica_does_not_respond() {
    let servers = Replicated::start();
    let known = sign_in(&servers.waiting().await).await;
    let timeout = Duration::from_secs(1);
    let registry = servers.registry(timeout).await.wait_for_replicas(1);
    servers.replication.hold();
    let began = Instant::now();
    let rotation = KeyRotation::new(session(&known), known.key(), active(NOON));
    let later = Ended::new(Reason::Evicted, NOON.plus(Duration::from_secs(1)));
    let limit = SessionLimit::from(&Policy::new().max_sessions(1));
    let errors = [
        registry.commit(login("bob", &Policy::new())).await.unwrap_err(),
        registry.rotate(rotation).await.unwrap_err(),
        registry.enforce_limit(session(&known), limit, later).await.unwrap_err(),
        registry
            .end(EndSessions::new(EndTarget::All("alice".into()), revoked()))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        let source = error.source().unwrap().to_string();
        assert!(source.contains("0 of 1 replicas"), "{source}");
    }
    assert!(began.elapsed() < timeout * 4 + MARGIN, "took {:?}", began.elapsed());
}

/// A replica that does not respond must not stop the site for the users who are signed in.
#[tokio::test]
async fn loads_and_updates_do_not_wait_for_the_replica() {
    let servers = Replicated::start();
    let registry = servers.waiting().await;
    let known = sign_in(&registry).await;
    servers.replication.hold();
    let signing_in = sign_in(&registry);
    let using = async {
        for _ in 0..20 {
            assert!(is_open(&registry, known.key()).await);
            registry.update(session(&known), active(NOON)).await.unwrap();
        }
        servers.replication.release();
    };
    let (login, ()): (NewLogin, ()) = tokio::join!(signing_in, using);
    assert!(is_open(&registry, login.key()).await);
}

/// The change of the first attempt is stored, but not acknowledged.
#[tokio::test]
async fn repeated_end_waits_for_the_replica() {
    let servers = Replicated::start();
    let known = sign_in(&servers.waiting().await).await;
    let registry = servers.registry(Duration::from_secs(1)).await.wait_for_replicas(1);
    servers.replication.hold();
    for _ in 0..2 {
        let ends = EndSessions::new(EndTarget::All("alice".into()), revoked());
        let ended: Result<Vec<SessionRecord>, _> = registry.end(ends).await;
        assert!(ended.is_err(), "{ended:?}");
    }
    assert!(!is_open(&registry, known.key()).await);
}

#[tokio::test]
async fn end_of_all_sessions_survives_the_loss_of_the_primary() {
    let mut servers = Replicated::start();
    let registry = servers.waiting().await;
    let mut known = vec![];
    for user in ["alice", "bob", "carol", "dave"] {
        let login = login(user, &Policy::new());
        committed(registry.commit(login.clone()).await.unwrap());
        known.push(login.key());
    }
    assert_eq!(registry.end_everyone(revoked()).await.unwrap(), 4);
    servers.fail_over();
    for key in known {
        assert!(!is_open(&registry, key).await);
    }
}
