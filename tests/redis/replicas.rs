//! Changes that replicas acknowledge, on a primary whose replication a test holds back.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use session_expire::{
    Policy, Reason,
    registry::{
        EndSessions, EndTarget, Ended, KeyRotation, NewLogin, Registry, RotationOutcome,
        SessionLimit, SessionRecord,
    },
};
use session_expire_tests::RedisServer;

use crate::{
    NOON, active, committed, end, is_open, login, replicated::Replicated, revoked, session, sign_in,
};

/// How much longer than the timeout an operation may take on a busy machine.
const MARGIN: Duration = Duration::from_secs(5);

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
    let waiting = servers.waiting().await;
    let (known, bob) = (sign_in(&waiting).await, login("bob", &Policy::new()));
    committed(waiting.commit(bob.clone()).await.unwrap());
    let timeout = Duration::from_secs(5);
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
        registry.count_confirmation_attempt(session(&bob), revoked()).await.unwrap_err(),
    ];
    for error in errors {
        let source = error.source().unwrap().to_string();
        assert!(source.contains("0 of 1 replicas"), "{source}");
    }
    assert!(began.elapsed() < timeout * 5 + MARGIN, "took {:?}", began.elapsed());
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

/// Neither a sign-out nor a lost key may follow from a change that the user sees as failed.
#[tokio::test]
async fn login_and_rotation_change_nothing_while_replicas_are_missing() {
    let server = RedisServer::start();
    let policy = Policy::new().max_sessions(1);
    let known = login("alice", &policy);
    committed(server.registry().await.commit(known.clone()).await.unwrap());
    let registry = server.registry().await.timeout(Duration::from_secs(1)).wait_for_replicas(1);
    let rotation = KeyRotation::new(session(&known), known.key(), active(NOON));
    for _ in 0..2 {
        let refused = login("alice", &policy);
        registry.commit(refused.clone()).await.unwrap_err();
        // The middleware cancels a login that has failed.
        registry.cancel(refused.key(), revoked()).await.unwrap_err();
        registry.rotate(rotation.clone()).await.unwrap_err();
        assert!(is_open(&registry, known.key()).await);
        assert_eq!(registry.load(refused.key(), false).await.unwrap(), None);
    }
}

/// The replica stops responding during the rotation.
#[tokio::test]
async fn rotation_that_has_run_returns_the_new_key() {
    let servers = Replicated::start();
    let known = sign_in(&servers.waiting().await).await;
    let registry = servers.registry(Duration::from_secs(5)).await.wait_for_replicas(1);
    // A waiting registry knows of the replica from its last change.
    sign_in(&registry).await;
    servers.replication.hold();
    let rotation = KeyRotation::new(session(&known), known.key(), active(NOON));
    assert_eq!(registry.rotate(rotation.clone()).await.unwrap(), RotationOutcome::Rotated);
    let next = KeyRotation::new(session(&known), rotation.new_key(), active(NOON));
    registry.rotate(next).await.unwrap_err();
    assert!(is_open(&registry, rotation.new_key()).await);
}

#[tokio::test]
async fn login_succeeds_when_the_replica_responds_again() {
    let servers = Replicated::start();
    let registry = servers.registry(Duration::from_secs(5)).await.wait_for_replicas(1);
    sign_in(&registry).await;
    servers.replication.hold();
    for _ in 0..2 {
        registry.commit(login("alice", &Policy::new())).await.unwrap_err();
    }
    servers.replication.release();
    servers.primary.wait_for_replicas(1);
    sign_in(&registry).await;
}
