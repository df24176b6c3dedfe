//! Operations on all users of a Cluster: lists and `end_everyone`.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use session_expire::{
    Overflow, Policy, PublicId, Reason, RedisRegistry,
    clock::Timestamp,
    minutes,
    registry::{
        EndSessions, EndTarget, Ended, LoginOutcome, NewLogin, Query, RecordKey, Registry,
        ReserveOutcome, SessionLimit, SessionRecord, SessionRef,
    },
};
use session_expire_tests::{RedisCluster, read_pages};

use crate::{NOON, committed, hash_key};

fn login(user: &str, at: Timestamp) -> NewLogin {
    let mut login = NewLogin::new(user, at, &Policy::new());
    login.limit = SessionLimit::new(1_000_000, Overflow::Evict);
    login
}

async fn sign_in(registry: &RedisRegistry, login: NewLogin) -> SessionRecord {
    committed(registry.commit(login).await.unwrap()).0
}

/// Commits logins of 300 users at 60 different times, and ends every third session.
async fn fill(registry: &RedisRegistry) -> Vec<SessionRecord> {
    let mut records = vec![];
    for n in 0..300_u32 {
        let record =
            sign_in(registry, login(&user(n), NOON.plus(minutes(u64::from(n * 7 % 60))))).await;
        if n % 3 != 0 {
            records.push(record);
            continue;
        }
        let session = SessionRef::new(record.user, record.id);
        let end = EndSessions::new(EndTarget::Session(session), revoked());
        records.extend(registry.end(end).await.unwrap());
    }
    records
}

fn user(n: u32) -> String {
    format!("user {n}")
}

fn revoked() -> Ended {
    Ended::new(Reason::Revoked, NOON.plus(minutes(60)))
}

/// Returns the slots of the first `users` users.
fn slots(cluster: &RedisCluster, users: u32) -> Vec<u16> {
    (0..users).map(|n| cluster.slot_of(&hash_key(&user(n)))).collect()
}

#[tokio::test]
async fn list_needs_commands_only_for_its_page() {
    let cluster = RedisCluster::without_replicas(&[]);
    let registry = cluster.registry().await;
    fill(&registry).await;
    registry.list(Query::new().limit(10)).await.unwrap();
    for n in cluster.primaries() {
        let _: String = cluster.command_on(n, &["CONFIG", "RESETSTAT"]);
    }
    let page = registry.list(Query::new().limit(10)).await.unwrap();
    let calls = |command| cluster.calls(command);
    let tags: HashSet<_> = page.iter().map(|record| hash_key(&record.user)).collect();
    assert_eq!(calls("hmget"), tags.len() as u64);
    // For each list, a command reads its newest login. Further commands read the lists of the page.
    assert_eq!(calls("zrevrange"), 3 * 62 * 62);
    assert!((1..=20).contains(&calls("zrevrangebyscore")), "{}", calls("zrevrangebyscore"));
    assert_eq!((calls("evalsha"), calls("eval")), (0, 0));
    // A marker per group.
    assert!(calls("ping") < 20, "{}", calls("ping"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_complete_while_slots_move() {
    let mut cluster = RedisCluster::without_replicas(&[]);
    let empty = cluster.add_empty_primary();
    // A primary that loses its last slot becomes a replica.
    cluster.move_slots(0..=5, cluster.owner_of(0), empty);
    let registry = cluster.registry().await;
    let records = fill(&registry).await;
    let mut slots = slots(&cluster, 12);
    slots.retain(|slot| *slot > 5);
    let is_done = AtomicBool::new(false);
    let moves = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(SeqCst) {
                let n = moves.fetch_add(1, SeqCst);
                let slot = slots[n % slots.len()];
                let owner = cluster.owner_of(slot);
                let other = [empty, 0, 1, 2].into_iter().find(|n| *n != owner).unwrap();
                cluster.move_slots(slot..=slot, owner, other);
            }
        });
        let stop = StopOnDrop(&is_done);
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                while moves.load(SeqCst) < 100 {
                    for query in [Query::new(), Query::new().ended(true)] {
                        let expected = matching(&records, &query);
                        assert_eq!(read_pages(&registry, &query, 70).await, expected);
                    }
                }
            });
        });
        drop(stop);
    });
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn matching(records: &[SessionRecord], query: &Query) -> Vec<SessionRecord> {
    query.paginate(records.iter().filter(|record| query.matches(record)).cloned().collect())
}

#[tokio::test]
async fn page_is_complete_while_a_slot_is_half_moved() {
    let cluster = RedisCluster::without_replicas(&[]);
    let registry = cluster.registry().await;
    let records = fill(&registry).await;
    let slot = slots(&cluster, 1)[0];
    let owner = cluster.owner_of(slot);
    let target = (owner + 1) % 3;
    cluster.begin_migration(slot, owner, target);
    let keys: Vec<String> =
        cluster.command_on(owner, &["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "100"]);
    for key in &keys {
        // A registry that knows the former owners, and one that connects now.
        for registry in [&registry, &cluster.registry().await] {
            let listed = registry.list(Query::new()).await.unwrap();
            assert_eq!(listed, matching(&records, &Query::new()));
        }
        cluster.move_some_keys(&[key], owner, target);
    }
    cluster.finish_migration(slot, owner, target);
    assert_eq!(registry.list(Query::new()).await.unwrap(), matching(&records, &Query::new()));
}

#[tokio::test]
async fn end_everyone_waits_for_a_slot_that_moves() {
    let cluster = RedisCluster::start();
    for replicas in [0, 1] {
        let registry = cluster.registry().await.wait_for_replicas(replicas);
        fill(&registry).await;
        let open = registry.list(Query::new().ended(false)).await.unwrap().len();
        let slot = slots(&cluster, 1)[0];
        let owner = cluster.owner_of(slot);
        let target = (owner + 1) % 3;
        cluster.begin_migration(slot, owner, target);
        cluster.move_some_keys(&[hash_key(&user(0))], owner, target);
        let ends = registry.end_everyone(revoked());
        let finish = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cluster.move_keys(slot, owner, target);
            cluster.finish_migration(slot, owner, target);
        };
        let (ended, ()) = tokio::join!(ends, finish);
        assert_eq!(ended.unwrap(), open as u64);
        assert_eq!(registry.list(Query::new().ended(false)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn end_everyone_ends_all_with_an_unknown_topology() {
    let cluster = RedisCluster::start();
    for replicas in [0, 1] {
        let registry = cluster.registry().await.wait_for_replicas(replicas);
        fill(&registry).await;
        let open = registry.list(Query::new().ended(false)).await.unwrap().len();
        // The registry does not know the new owners, and they do not know the script.
        for slots in [0..=50, 5_000..=5_050] {
            let owner = cluster.owner_of(*slots.start());
            cluster.move_slots(slots, owner, (owner + 1) % 3);
        }
        for n in cluster.primaries() {
            let _: String = cluster.command_on(n, &["SCRIPT", "FLUSH"]);
        }
        assert_eq!(registry.end_everyone(revoked()).await.unwrap(), open as u64);
        assert_eq!(registry.list(Query::new().ended(false)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn end_everyone_is_acknowledged_on_each_node() {
    let mut cluster = RedisCluster::start();
    let registry = cluster.registry().await.wait_for_replicas(1);
    fill(&registry).await;
    let replica = cluster.replica_of(1);
    cluster.signal(replica, "STOP");
    let error = registry.end_everyone(revoked()).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("0 of 1 replicas"), "{cause}");
    cluster.signal(replica, "CONT");
    registry.end_everyone(revoked()).await.unwrap();
    // Every round of at most 200 tags waits for the replica of its node.
    for n in cluster.primaries() {
        let _: String = cluster.command_on(n, &["CONFIG", "RESETSTAT"]);
    }
    registry.end_everyone(revoked()).await.unwrap();
    assert!(cluster.calls("wait") >= 62 * 62 / 200, "{}", cluster.calls("wait"));
}

/// Calls of `end_everyone` that have begun and that have returned.
#[derive(Default)]
struct Calls {
    begun: AtomicUsize,
    returned: AtomicUsize,
    is_done: AtomicBool,
    logins: Mutex<Vec<Login>>,
    voided: AtomicUsize,
}

/// Committed login.
#[derive(Clone)]
struct Login {
    key: RecordKey,
    id: PublicId,
    /// Number of calls that had returned when it began.
    returned: usize,
    /// Number of calls that had begun when it, or its reservation, was acknowledged.
    begun: usize,
}

const THREADS: usize = 8;
const ROUNDS: usize = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn login_that_races_with_end_everyone_is_void() {
    let cluster = RedisCluster::start();
    let registry = Arc::new(cluster.registry().await);
    let calls = Arc::new(Calls::default());
    let tasks = (0..THREADS).map(|thread| {
        let (registry, calls) = (Arc::clone(&registry), Arc::clone(&calls));
        tokio::spawn(async move {
            for n in 0.. {
                if calls.is_done.load(SeqCst) {
                    return;
                }
                sign_in_beside(&registry, &calls, &format!("{thread} {n}"), n).await;
            }
        })
    });
    let mut tasks: Vec<_> = tasks.collect();
    let (registry_of_lists, calls_of_lists) = (Arc::clone(&registry), Arc::clone(&calls));
    tasks.push(tokio::spawn(async move { list_beside(&registry_of_lists, &calls_of_lists).await }));
    for _ in 0..ROUNDS {
        // Each round waits for some logins.
        let count = calls.logins.lock().unwrap().len();
        while calls.logins.lock().unwrap().len() < count + 2 * THREADS {
            tokio::task::yield_now().await;
        }
        let round = calls.begun.fetch_add(1, SeqCst) + 1;
        registry.end_everyone(revoked()).await.unwrap();
        calls.returned.store(round, SeqCst);
        let logins = calls.logins.lock().unwrap().clone();
        if round % 5 == 0 {
            let open = registry.list(Query::new().ended(false)).await.unwrap();
            let open: HashSet<_> = open.iter().map(|record| record.id).collect();
            assert!(!logins.iter().any(|login| login.begun < round && open.contains(&login.id)));
        }
        let recent = &logins[logins.len().saturating_sub(50)..];
        assert_ends(&registry, recent.iter().filter(|login| login.begun < round)).await;
    }
    calls.is_done.store(true, SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    let logins = calls.logins.lock().unwrap().clone();
    let voided = calls.voided.load(SeqCst);
    println!("{} logins, {voided} void", logins.len());
    assert!(voided >= THREADS, "{voided}");
    let listed = registry.list(Query::new().ended(false)).await.unwrap();
    let open: HashSet<_> = listed.iter().map(|record| record.id).collect();
    let later = logins.iter().filter(|login| login.returned == ROUNDS);
    assert!(later.clone().all(|login| open.contains(&login.id)));
    let earlier = logins.iter().filter(|login| login.begun < ROUNDS);
    assert!(!earlier.clone().any(|login| open.contains(&login.id)));
    assert_ends(&registry, earlier.step_by(20)).await;
}

async fn assert_ends(registry: &RedisRegistry, logins: impl Iterator<Item = &Login>) {
    for login in logins {
        assert!(!is_open(registry, login.key).await);
    }
}

async fn is_open(registry: &RedisRegistry, key: RecordKey) -> bool {
    let loaded = registry.load(key, false).await.unwrap();
    loaded.is_some_and(|loaded| loaded.record.ended.is_none())
}

/// Commits a login. Two of three have a reservation, and some of these wait for the next call.
async fn sign_in_beside(registry: &RedisRegistry, calls: &Calls, user: &str, n: usize) {
    let mut login = login(user, NOON);
    let (mut begun, began_after) = (None, calls.returned.load(SeqCst));
    if !n.is_multiple_of(3) {
        let reservation = login.reservation(NOON.plus(minutes(10)));
        let ReserveOutcome::Reserved { generation } = registry.reserve(reservation).await.unwrap()
        else {
            panic!("the limit is high");
        };
        begun = Some(calls.begun.load(SeqCst));
        login.reserved_in = Some(generation);
        let start = Instant::now();
        while n % 10 == 1
            && Some(calls.returned.load(SeqCst)) <= begun
            && !calls.is_done.load(SeqCst)
            && start.elapsed() < Duration::from_secs(1)
        {
            tokio::task::yield_now().await;
        }
    }
    let (key, id, returned) = (login.key(), login.id, calls.returned.load(SeqCst));
    let outcome = registry.commit(login).await.unwrap();
    let is_void = matches!(outcome, LoginOutcome::Voided);
    if let Some(begun) = begun
        && begun < returned
    {
        assert!(is_void, "the reservation is older than a call that has returned");
    }
    if is_void {
        calls.voided.fetch_add(1, SeqCst);
        return;
    }
    let begun = begun.unwrap_or_else(|| calls.begun.load(SeqCst));
    calls.logins.lock().unwrap().push(Login { key, id, returned: began_after, begun });
}

/// Lists sessions until the end. A list that begins a second after a call has returned contains no
/// session that the call has ended.
async fn list_beside(registry: &RedisRegistry, calls: &Calls) {
    while !calls.is_done.load(SeqCst) {
        let returned = calls.returned.load(SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let ended = calls.logins.lock().unwrap().clone();
        let ended: HashSet<_> =
            ended.iter().filter(|login| login.begun < returned).map(|login| login.id).collect();
        let listed = registry.list(Query::new().ended(false)).await.unwrap();
        assert!(listed.iter().all(|record| !ended.contains(&record.id)));
        let ids: HashSet<_> = listed.iter().map(|record| record.id).collect();
        assert_eq!(ids.len(), listed.len());
    }
}
