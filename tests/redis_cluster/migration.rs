//! One slot that migrates, in every state that a migration can have.

use std::time::Duration;

use session_expire::{
    Policy, Reason, RedisRegistry, minutes,
    registry::{
        EndSessions, EndTarget, Ended, KeyRotation, LoginTicket, NewLogin, Query, Registry,
        RotationOutcome, SessionLimit, SessionUpdate,
    },
};
use session_expire_tests::RedisCluster;

use crate::{NOON, committed, hash_key, login, session};

/// Three primaries, and a slot of the first one with the keys of a user.
struct Migrating {
    cluster: RedisCluster,
    user: String,
    slot: u16,
}

impl Migrating {
    fn start() -> Self {
        Self::in_cluster(RedisCluster::without_replicas(&[]))
    }

    fn in_cluster(cluster: RedisCluster) -> Self {
        let names = (0..).map(|n| format!("user {n}"));
        let mut slots = names.map(|name| (cluster.slot_of(&hash_key(&name)), name));
        let (slot, user) = slots.find(|(slot, _)| cluster.owner_of(*slot) == 0).unwrap();
        Self { cluster, user, slot }
    }

    fn login(&self) -> NewLogin {
        login(&self.user, &Policy::new().max_sessions(2))
    }

    fn all(&self) -> EndSessions {
        end_of(EndTarget::All(self.user.as_str().into()))
    }

    fn keys(&self) -> Vec<String> {
        let slot = self.slot.to_string();
        self.cluster.command_on(0, &["CLUSTER", "GETKEYSINSLOT", &slot, "100"])
    }
}

fn end_of(target: EndTarget) -> EndSessions {
    EndSessions::new(target, Ended::new(Reason::Revoked, NOON))
}

async fn is_open(registry: &RedisRegistry, login: &NewLogin) -> bool {
    let loaded = registry.load(login.key(), false).await.unwrap();
    loaded.is_some_and(|loaded| loaded.record.ended.is_none())
}

/// Loads succeed while each key of the user is on either node. Changes wait for the migration, or
/// fail without effect.
#[tokio::test]
async fn half_migrated_slot_serves_loads_and_refuses_changes() {
    let site = Migrating::start();
    let registry = site.cluster.registry().await;
    let impatient = site.cluster.registry().await.timeout(Duration::from_millis(500));
    let known = site.login();
    committed(registry.commit(known.clone()).await.unwrap());
    site.cluster.begin_migration(site.slot, 0, 1);
    let keys = site.keys();
    assert!(keys.len() > 3, "{keys:?}");
    for n in 0..=keys.len() {
        if let Some(n) = n.checked_sub(1) {
            site.cluster.move_some_keys(&keys[n..=n], 0, 1);
        }
        assert!(is_open(&registry, &known).await, "{n} of {keys:?}");
        let refused = site.login();
        let error = impatient.commit(refused.clone()).await.unwrap_err();
        println!("{error}: {}", std::error::Error::source(&error).unwrap());
        impatient.end(site.all()).await.unwrap_err();
        impatient.list(Query::open(&*site.user)).await.unwrap_err();
        assert_eq!(registry.load(refused.key(), false).await.unwrap(), None);
        assert!(is_open(&registry, &known).await, "{n} of {keys:?}");
    }
    site.cluster.move_keys(site.slot, 0, 1);
    site.cluster.finish_migration(site.slot, 0, 1);
    for registry in [&registry, &impatient] {
        let listed = registry.list(Query::open(&*site.user)).await.unwrap();
        assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), [known.id]);
    }
    assert_eq!(registry.end(site.all()).await.unwrap().len(), 1);
}

/// All keys of the tag exist and are on the source, apart from the index of the user.
#[tokio::test]
async fn script_does_not_run_without_the_index_of_its_user() {
    let site = Migrating::start();
    let registry = site.cluster.registry().await;
    let impatient = site.cluster.registry().await.timeout(Duration::from_millis(500));
    for _ in 0..2 {
        committed(registry.commit(site.login()).await.unwrap());
        registry.end_everyone(Ended::new(Reason::Revoked, NOON)).await.unwrap();
        let known = site.login();
        committed(registry.commit(known.clone()).await.unwrap());
        let end = end_of(EndTarget::Session(session(&known)));
        registry.end(end).await.unwrap();
        committed(registry.commit(site.login()).await.unwrap());
    }
    let tag = hash_key(&site.user);
    let named =
        ["", ":open", ":ended", ":due", ":ends", ":former"].map(|name| format!("{tag}{name}"));
    let _: u64 = site.cluster.command_on(0, &["ZADD", &named[5], "0", "absent"]);
    let keys = site.keys();
    assert!(named.iter().all(|key| keys.contains(key)), "{keys:?}");
    let index: Vec<_> = keys.iter().filter(|key| !named.contains(key)).collect();
    site.cluster.begin_migration(site.slot, 0, 1);
    index.iter().for_each(|key| site.cluster.move_some_keys(&[(*key).clone()], 0, 1));
    let dumps =
        || named.each_ref().map(|key| site.cluster.command_on::<Vec<u8>>(0, &["DUMP", key]));
    let before = dumps();
    let error = impatient.commit(site.login()).await.unwrap_err();
    // No script has begun: the operation would have waited.
    assert!(format!("{error:?}").contains("TryAgain"), "{error:?}");
    impatient.list(Query::open(&*site.user)).await.unwrap_err();
    impatient.end(site.all()).await.unwrap_err();
    assert!(dumps() == before, "a script has run partially");
}

/// The user has no key on either node.
#[tokio::test]
async fn login_of_a_new_user_waits_for_the_migration() {
    let site = Migrating::start();
    let registry = site.cluster.registry().await;
    let known = site.login();
    site.cluster.begin_migration(site.slot, 0, 1);
    let finish = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        site.cluster.move_keys(site.slot, 0, 1);
        site.cluster.finish_migration(site.slot, 0, 1);
    };
    let (outcome, ()) = tokio::join!(registry.commit(known.clone()), finish);
    committed(outcome.unwrap());
    assert!(is_open(&registry, &known).await);
}

/// The test write that waits for replicas must not create its key on the target: the source could
/// then no longer move the key.
#[tokio::test]
async fn acknowledged_changes_do_not_hinder_the_migration() {
    let site = Migrating::in_cluster(RedisCluster::start());
    let registry = site.cluster.registry().await.wait_for_replicas(1);
    let known = site.login();
    committed(registry.commit(known.clone()).await.unwrap());
    let test_key = format!("{}:wait", hash_key(&site.user));
    let _: String = site.cluster.command_on(0, &["SET", &test_key, "", "PX", "600000"]);
    site.cluster.begin_migration(site.slot, 0, 1);
    let others: Vec<_> = site.keys().into_iter().filter(|key| *key != test_key).collect();
    site.cluster.move_some_keys(&others, 0, 1);
    let impatient = site.cluster.registry().await.wait_for_replicas(1);
    let impatient = impatient.timeout(Duration::from_secs(1));
    impatient.commit(site.login()).await.unwrap_err();
    impatient.end(site.all()).await.unwrap_err();
    site.cluster.move_keys(site.slot, 0, 1);
    site.cluster.finish_migration(site.slot, 0, 1);
    assert_eq!(registry.end(site.all()).await.unwrap().len(), 1);
}

/// Moves the slot before each operation, so the registry sends the operation to the former owner.
#[tokio::test]
async fn every_operation_follows_a_slot_that_has_moved() {
    let site = Migrating::start();
    let (registry, user) = (site.cluster.registry().await, site.user.as_str());
    let mut owner = 0;
    let mut known = site.login();
    committed(registry.commit(known.clone()).await.unwrap());
    macro_rules! after_a_move {
        ($operation:expr) => {{
            let next = (owner + 1) % 3;
            site.cluster.move_slots(site.slot..=site.slot, owner, next);
            owner = next;
            let _ = owner;
            $operation.await.unwrap()
        }};
    }
    let stored = after_a_move!(registry.load(known.key(), false)).unwrap();
    assert_eq!(stored.record.id, known.id);
    let stored = after_a_move!(registry.load(known.key(), true)).unwrap();
    assert_eq!(stored.open, Some(1));
    let second = site.login();
    after_a_move!(registry.reserve(second.reservation(NOON.plus(minutes(1)))));
    committed(after_a_move!(registry.commit(second.clone())));
    let third = site.login();
    after_a_move!(registry.reserve(third.reservation(NOON.plus(minutes(1)))));
    after_a_move!(registry.cancel(third.key(), Ended::new(Reason::Revoked, NOON)));
    let ticket = LoginTicket::new(user, NOON, NOON.plus(minutes(5)));
    after_a_move!(registry.issue_ticket(ticket));
    let update = SessionUpdate::new(NOON).active(NOON.plus(minutes(1)));
    after_a_move!(registry.update(session(&known), update.clone()));
    let rotation = KeyRotation::new(session(&known), known.key(), update);
    known = known.with_key(rotation.new_key());
    assert_eq!(after_a_move!(registry.rotate(rotation)), RotationOutcome::Rotated);
    let ended = Ended::new(Reason::Revoked, NOON);
    let counted = registry.count_confirmation_attempt(session(&known), ended.clone());
    assert_eq!(after_a_move!(counted).unwrap().confirmation_attempts, 1);
    assert_eq!(after_a_move!(registry.list(Query::open(user))).len(), 2);
    assert_eq!(after_a_move!(registry.list(Query::new())).len(), 2);
    after_a_move!(registry.export(user.into()));
    let limit = SessionLimit::from(&Policy::new().max_sessions(1));
    let evicted = registry.enforce_limit(session(&known), limit, ended.clone());
    assert_eq!(after_a_move!(evicted).len(), 1);
    let target = EndTarget::Session(session(&known));
    assert_eq!(after_a_move!(registry.end(end_of(target))).len(), 1);
    committed(after_a_move!(registry.commit(site.login())));
    assert_eq!(after_a_move!(registry.end_everyone(ended)), 1);
    after_a_move!(registry.erase(user.into()));
    assert_eq!(after_a_move!(registry.list(Query::all(user))).len(), 0);
}

/// The first responses with the new owner arrive while the registry still connects to it.
#[tokio::test]
async fn lists_of_all_users_follow_a_slot_that_has_moved() {
    let site = Migrating::start();
    let registry = site.cluster.registry().await;
    for n in 0..20 {
        committed(registry.commit(login(&format!("user {n}"), &Policy::new())).await.unwrap());
    }
    for n in 0..6 {
        site.cluster.move_slots(site.slot..=site.slot, n % 3, (n + 1) % 3);
        assert_eq!(registry.list(Query::new()).await.unwrap().len(), 20);
    }
}
