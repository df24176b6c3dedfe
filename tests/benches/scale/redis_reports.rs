//! Reports of changes from one Redis registry to another.

use std::{
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use session_expire::{
    Overflow, Reason, RedisRegistry,
    registry::{
        Change, ChangeListener, EndSessions, EndTarget, Ended, NewLogin, Registry, SessionLimit,
        SessionRef, Subscription,
    },
};
use session_expire_tests::{RedisCluster, RedisServer};
use tokio::runtime::Runtime;

use crate::{
    quantiles,
    redis::{at, login, reset_stats, server_time},
};

const ENDS: usize = 1_000;

pub(crate) fn measure() {
    Runtime::new().unwrap().block_on(async {
        println!("{:<44}{:>12}{:>12}", "", "p50 µs", "p99 µs");
        let server = RedisServer::start();
        let (here, there) = (server.registry().await, server.registry().await);
        measure_subscriber(Some(&server), &here, &there).await;
        println!("Redis Cluster of 3 primaries and 3 replicas");
        let cluster = RedisCluster::start();
        let (here, there) = (cluster.registry().await, cluster.registry().await);
        measure_subscriber(None, &here, &there).await;
    });
}

async fn measure_subscriber(
    server: Option<&RedisServer>,
    here: &RedisRegistry,
    there: &RedisRegistry,
) {
    measure_ends(server, there, None).await;
    let (subscription, reports) = subscribe(here).await;
    measure_ends(server, there, Some(&reports)).await;
    let mut times = vec![];
    for _ in 0..ENDS {
        let began = Instant::now();
        assert!(subscription.check().await.unwrap());
        times.push(began.elapsed());
    }
    row("check", times);
}

/// Subscribes, and waits until a check succeeds.
async fn subscribe(
    registry: &RedisRegistry,
) -> (Box<dyn Subscription>, Receiver<(Instant, Change)>) {
    let (sender, reports) = channel();
    let listener = ChangeListener::new(move |change| _ = sender.send((Instant::now(), change)));
    let subscription = registry.subscribe(listener);
    while !subscription.check().await.unwrap() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    reports.try_iter().for_each(drop);
    (subscription, reports)
}

/// Prints the times of logins and ends, and the times from the call of an end to its report.
async fn measure_ends(
    server: Option<&RedisServer>,
    registry: &RedisRegistry,
    reports: Option<&Receiver<(Instant, Change)>>,
) {
    let count = if reports.is_some() { "one subscriber" } else { "no subscriber" };
    let limit = SessionLimit::new(5, Overflow::Evict);
    let logins: Vec<_> = (0..ENDS).map(|n| login(&format!("{count} {n}"), at(n), limit)).collect();
    server.into_iter().for_each(reset_stats);
    let mut times = vec![];
    for login in &logins {
        let began = Instant::now();
        registry.commit(login.clone()).await.unwrap();
        times.push(began.elapsed());
    }
    row(&format!("login, {count}"), times);
    server.into_iter().for_each(print_server_times);
    if let Some(reports) = reports {
        drop(reports.iter().take(ENDS).collect::<Vec<_>>());
    }
    server.into_iter().for_each(reset_stats);
    let (mut times, mut delays) = (vec![], vec![]);
    for login in &logins {
        let began = Instant::now();
        registry.end(end_of(login)).await.unwrap();
        times.push(began.elapsed());
        if let Some((reported, _)) = reports.map(|reports| reports.recv().unwrap()) {
            delays.push(reported - began);
        }
    }
    row(&format!("end, {count}"), times);
    server.into_iter().for_each(print_server_times);
    if !delays.is_empty() {
        row("call of an end to its report", delays);
    }
}

fn print_server_times(server: &RedisServer) {
    let [script, publish] = ["evalsha", "publish"].map(|command| server_time(server, command));
    println!("{:<44}{script:>12.1}", "time on the server, mean");
    println!("{:<44}{publish:>12.1}", "of which PUBLISH, mean");
}

fn end_of(login: &NewLogin) -> EndSessions {
    let session = SessionRef::new(login.user.clone(), login.id);
    EndSessions::new(EndTarget::Session(session), Ended::new(Reason::Revoked, login.at))
}

fn row(what: &str, times: Vec<Duration>) {
    let (p50, p99) = quantiles(times);
    println!("{what:<44}{p50:>12.0}{p99:>12.0}");
}
