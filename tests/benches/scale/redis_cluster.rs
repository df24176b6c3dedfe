//! Operations on all users of one server, and of a Cluster of three primaries and three replicas.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use session_expire::{
    Overflow, Reason, RedisRegistry,
    registry::{EndSessions, EndTarget, Ended, Query, Registry, SessionLimit, SessionRef},
};
use session_expire_tests::{RedisCluster, RedisServer};
use tokio::runtime::Runtime;

use crate::redis::{at, commit_all, login, timed};

const USERS: usize = 100_000;
/// Number of users with an ended session.
const ENDED: usize = 1_000;
const SAMPLES: usize = 21;

pub(crate) fn measure() {
    Runtime::new().unwrap().block_on(async {
        let server = RedisServer::start();
        let replica = server.start_replica();
        let single = measure_registry(server.registry().await, server.registry().await).await;
        drop((server, replica));
        let cluster = RedisCluster::start();
        let several = measure_registry(cluster.registry().await, cluster.registry().await).await;
        println!("{USERS} users on one server and on a Cluster (3 + 3)\n");
        println!("{:<44}{:>12}{:>12}{:>8}", "", "one server", "Cluster", "ratio");
        for ((what, single), (_, several)) in single.into_iter().zip(several) {
            println!("{what:<44}{single:>12.1}{several:>12.1}{:>8.1}", several / single);
        }
    });
}

/// Returns the milliseconds of operations on all users.
async fn measure_registry(
    registry: RedisRegistry,
    acknowledging: RedisRegistry,
) -> Vec<(&'static str, f64)> {
    let registry = Arc::new(registry);
    fill(&registry).await;
    let newest = Query::new().limit(50);
    let page = registry.list(newest.clone()).await.unwrap();
    let second = newest.clone().after(Query::cursor(page.last().unwrap()));
    let mut times = vec![];
    for (what, query) in [
        ("newest 50, ms", newest.clone()),
        ("second page, ms", second),
        ("newest 50 open, ms", newest.clone().ended(false)),
        ("newest 50 revoked, ms", newest.reason(Reason::Revoked)),
    ] {
        let list = async |_| assert_eq!(registry.list(query.clone()).await.unwrap().len(), 50);
        times.push((what, fastest(timed(SAMPLES, list).await)));
    }
    let open = u64::try_from(USERS).unwrap();
    times.push(("end of all sessions, ms", time_end(&registry, open).await));
    fill(&registry).await;
    let acknowledging = acknowledging.wait_for_replicas(1);
    times.push(("the same, acknowledged, ms", time_end(&acknowledging, open).await));
    times
}

/// Returns the shortest time in milliseconds, because other load can only increase it.
fn fastest(times: Vec<Duration>) -> f64 {
    times.into_iter().min().unwrap_or_default().as_secs_f64() * 1e3
}

async fn fill(registry: &Arc<RedisRegistry>) {
    let users: Vec<_> = (0..USERS).map(|number| format!("user-{number}@example.org")).collect();
    let logins = users.iter().enumerate().map(|(n, user)| (user.as_str(), at(n)));
    let sessions = commit_all(registry, logins, SessionLimit::new(1, Overflow::Evict)).await;
    for (_, session) in sessions.iter().step_by(USERS / ENDED) {
        end(registry, session).await;
        let limit = SessionLimit::new(5, Overflow::Evict);
        registry.commit(login(&session.user, at(USERS), limit)).await.unwrap();
    }
}

async fn end(registry: &RedisRegistry, session: &SessionRef) {
    let ended = Ended::new(Reason::Revoked, at(USERS));
    let target = EndTarget::Session(session.clone());
    registry.end(EndSessions::new(target, ended)).await.unwrap();
}

async fn time_end(registry: &RedisRegistry, open: u64) -> f64 {
    let began = Instant::now();
    let ended = registry.end_everyone(Ended::new(Reason::Revoked, at(USERS))).await.unwrap();
    let took: Duration = began.elapsed();
    assert!(ended >= open, "{ended}");
    took.as_secs_f64() * 1e3
}
