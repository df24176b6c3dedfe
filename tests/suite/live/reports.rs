//! Reports of a registry on changes by other processes.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
    time::Duration,
};

use session_expire::{Limit, SqliteRegistry};
use session_expire_tests::{RedisServer, Site, SiteBuilder, TestRegistry, Watched, block_on};

use super::{end_all, routes, wait_until};

fn process(registry: &TestRegistry, check: impl Into<Limit<Duration>>) -> Site {
    let check = check.into();
    builder(registry).customise(move |builder| builder.live_check(check)).start()
}

fn builder(registry: &TestRegistry) -> SiteBuilder {
    Site::builder().registry(registry.clone()).routes(routes)
}

#[test]
fn end_in_another_process_arrives_without_a_check() {
    let registry = TestRegistry::shared();
    let (site, other) = (process(&registry, Limit::Off), process(&registry, Limit::Off));
    let stream = site.signed_in("alice").watch("/watch");
    end_all(&other, "alice");
    assert_eq!(stream.reason(), "revoked");
    assert!(!registry.take_operations().contains(&"check"));
}

#[test]
fn check_makes_up_for_lost_reports() {
    let registry = TestRegistry::shared();
    let check = Duration::from_millis(5);
    let (site, other) = (process(&registry, check), process(&registry, check));
    let stream = site.signed_in("alice").watch("/watch");
    wait_until("a subscription", || registry.subscriptions() == 1);
    registry.set_silent(true);
    end_all(&other, "alice");
    assert_eq!(stream.reason(), "revoked");
}

/// A check that finds no lost report loads no session.
#[test]
fn complete_check_costs_one_operation() {
    let registry = TestRegistry::shared();
    let site = process(&registry, Duration::from_millis(5));
    let streams = ["alice", "bob"].map(|user| site.signed_in(user).watch("/watch"));
    super::settle(&site);
    registry.take_operations();
    for _ in 0..3 {
        wait_until("a check", || has_checked(&registry));
    }
    drop(streams);
}

/// Returns `true` if there was a check since the last call. Panics if there was a load.
fn has_checked(registry: &TestRegistry) -> bool {
    let operations = registry.take_operations();
    assert!(operations.iter().all(|name| *name == "check"), "{operations:?}");
    !operations.is_empty()
}

/// Waker that records the order of its kind.
struct Order {
    number: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Order {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap().push(self.number);
    }
}

/// Ends 100 sessions of `site` at `other`, and asserts that the streams end in this order.
fn assert_ends_arrive_in_order(site: &Site, other: &Site) {
    let users: Vec<_> = (0..100).map(|number| format!("user {number}")).collect();
    let mut streams: Vec<Watched> =
        users.iter().map(|user| site.signed_in(user).watch("/watch")).collect();
    super::settle(site);
    let woken = Arc::<Mutex<Vec<usize>>>::default();
    for (number, stream) in streams.iter_mut().enumerate() {
        let order = Order { number, woken: Arc::clone(&woken) };
        let waker = Waker::from(Arc::new(order));
        assert!(stream.poll(&mut Context::from_waker(&waker)).is_pending());
    }
    // A permutation: 37 and 100 have no common divisor.
    let order: Vec<_> = (0..100).map(|n| n * 37 % 100).collect();
    order.iter().for_each(|number| end_all(other, &users[*number]));
    wait_until("100 ends", || woken.lock().unwrap().len() == 100);
    assert_eq!(*woken.lock().unwrap(), order);
}

#[test]
fn ends_in_another_process_arrive_in_order() {
    let registry = TestRegistry::shared();
    let [site, other] = [(); 2].map(|()| process(&registry, Limit::Off));
    assert_ends_arrive_in_order(&site, &other);
}

#[test]
fn ends_in_another_process_arrive_in_order_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteRegistry::open(folder.path().join("db")).unwrap();
    let [site, other] = [(); 2].map(|()| process(&TestRegistry::over(open()), Limit::Off));
    assert_ends_arrive_in_order(&site, &other);
}

#[test]
fn ends_in_another_process_arrive_in_order_from_redis() {
    let server = RedisServer::start();
    let open = || TestRegistry::over(block_on(server.registry()));
    let [site, other] = [(); 2].map(|()| process(&open(), Limit::Off));
    assert_ends_arrive_in_order(&site, &other);
}
