//! Reports that may be lost: the subscription reports `Change::Any`.

use std::{
    thread,
    time::{Duration, Instant},
};

use session_expire::{
    Policy, RedisRegistry,
    registry::{Change, EndTarget, Registry},
};
use session_expire_tests::{RedisServer, SwitchProxy};
use tokio::runtime::Runtime;

use crate::{committed, end, login, reports::Reports, session, sign_in};

/// Waits for [`Change::Any`], and then until changes by `other` are reported.
async fn recovers(reports: &Reports, other: &RedisRegistry) {
    while reports.next() != Change::Any {}
    // While the subscription reconnects, `Any` replaces a report.
    while !reports_a_session(reports, other).await {}
    assert!(reports.subscription.check().await.unwrap());
}

/// Signs a user in and out. Returns `true` if both are reported.
async fn reports_a_session(reports: &Reports, other: &RedisRegistry) -> bool {
    let login = loop {
        if let Ok(outcome) = other.commit(login("alice", &Policy::new())).await {
            break committed(outcome).0;
        }
    };
    let are_reported = reports.until(&Change::user("alice"));
    assert_eq!(end(other, EndTarget::Session(login.session_ref())).await, 1);
    reports.until(&Change::session(&login.session_ref())) && are_reported
}

#[tokio::test]
async fn killed_connection_reports_any_change_and_returns() {
    let server = RedisServer::start();
    let (registry, other) = (server.registry().await, server.registry().await);
    let reports = Reports::connected(&registry);
    for _ in 0..5 {
        let killed: u64 = server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        assert_eq!(killed, 1);
        recovers(&reports, &other).await;
    }
}

#[tokio::test]
async fn restarted_server_reports_any_change() {
    let mut server = RedisServer::start();
    let (registry, other) = (server.registry().await, server.registry().await);
    let reports = Reports::connected(&registry);
    sign_in(&other).await;
    for _ in 0..2 {
        server.stop();
        server.restart();
        recovers(&reports, &other).await;
    }
}

/// The registry subscribes before the server is available again.
#[tokio::test]
async fn subscription_during_an_outage_takes_effect_after_it() {
    let mut server = RedisServer::start();
    let (registry, other) = (server.registry().await, server.registry().await);
    let registry = registry.timeout(Duration::from_millis(300));
    server.stop();
    let reports = Reports::of(&registry);
    assert!(reports.subscription.check().await.is_err());
    server.restart();
    recovers(&reports, &other).await;
}

/// The connections of the registry stay open to the former primary, which becomes a replica.
#[tokio::test]
async fn subscription_connects_to_a_new_primary() {
    let old = RedisServer::start();
    let new = old.start_replica();
    let proxy = SwitchProxy::new(old.port);
    let registry = RedisRegistry::connect(&proxy.url()).await.unwrap();
    let registry = registry.timeout(Duration::from_secs(5));
    let reports = Reports::connected(&registry);
    sign_in(&registry).await;
    assert_eq!(reports.next(), Change::user("alice"));
    old.wait_for_replicas(1);
    new.promote();
    proxy.switch(new.port);
    let _: String = old.command(&["REPLICAOF", "127.0.0.1", "1"]);
    recovers(&reports, &new.registry().await).await;
}

/// Only the connection of the subscription stays open to the former primary.
#[tokio::test]
async fn subscription_leaves_a_primary_that_the_registry_has_left() {
    let old = RedisServer::start();
    let new = old.start_replica();
    let proxy = SwitchProxy::new(old.port);
    let registry = RedisRegistry::connect(&proxy.url()).await.unwrap();
    let registry = registry.timeout(Duration::from_secs(5));
    let reports = Reports::connected(&registry);
    new.promote();
    proxy.switch(new.port);
    let _: u64 = old.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    recovers(&reports, &new.registry().await).await;
}

#[test]
fn paused_server_loses_no_report_silently() {
    let (server, runtime) = (RedisServer::start(), Runtime::new().unwrap());
    let (registry, other) =
        runtime.block_on(async { (server.registry().await, server.registry().await) });
    let reports = Reports::connected(&registry);
    for _ in 0..2 {
        let login = runtime.block_on(sign_in(&other));
        reports.until_login_of("alice");
        server.signal("STOP");
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_secs(2));
                server.signal("CONT");
            });
            runtime.block_on(end(&other, EndTarget::Session(session(&login))));
        });
        let change = reports.next();
        assert!([Change::Any, Change::session(&session(&login))].contains(&change), "{change:?}");
        // From here on, no report is lost.
        let _: String = server.command(&["PING"]);
        runtime.block_on(async {
            sign_in(&other).await;
            reports.until_login_of("alice");
            assert!(reports.subscription.check().await.unwrap());
        });
    }
}

/// The network loses the responses without an error.
#[test]
fn silent_connection_is_detected_by_a_check() {
    let (server, runtime) = (RedisServer::start(), Runtime::new().unwrap());
    let proxy = SwitchProxy::new(server.port);
    runtime.block_on(async {
        let registry = RedisRegistry::connect(&proxy.url()).await.unwrap();
        let registry = registry.timeout(Duration::from_millis(300));
        let (reports, other) = (Reports::connected(&registry), server.registry().await);
        proxy.hold();
        sign_in(&other).await;
        let began = Instant::now();
        assert!(reports.subscription.check().await.is_err());
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        proxy.cut();
        proxy.release();
        recovers(&reports, &other).await;
    });
}

#[tokio::test]
async fn check_detects_a_lost_report() {
    let server = RedisServer::start();
    let (registry, other) = (server.registry().await, server.registry().await);
    let reports = Reports::connected(&registry);
    assert!(reports.subscription.check().await.unwrap());
    // As if `end_everyone` had run its first script, but sent no report.
    let _: String = server.command(&["SET", "sx3:{00}:epoch", "other"]);
    assert!(!reports.subscription.check().await.unwrap());
    recovers(&reports, &other).await;
    for _ in 0..2 {
        let _: String = server.command(&["FLUSHALL"]);
        assert!(!reports.subscription.check().await.unwrap());
        recovers(&reports, &other).await;
    }
}

#[tokio::test]
async fn quiet_subscription_sends_nothing_and_a_check_one_command() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let reports = Reports::connected(&registry);
    sign_in(&registry).await;
    let _: String = server.command(&["CONFIG", "RESETSTAT"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Every registry sends `INFO` each second.
    let own = ["config|resetstat", "info", "client|setinfo", "hello"];
    let commands = || {
        let stats: String = server.command(&["INFO", "commandstats"]);
        let calls = stats.lines().filter_map(|line| {
            let (name, calls) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), calls.split(',').next()?.to_owned()))
        });
        calls.filter(|(name, _)| !own.contains(&&**name)).collect::<Vec<_>>()
    };
    assert_eq!(commands(), []);
    assert!(reports.subscription.check().await.unwrap());
    assert_eq!(commands(), [("get".to_owned(), "1".to_owned())]);
}
