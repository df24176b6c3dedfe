//! A week of ordinary use within minutes: the memory of a site must not grow.

use std::{
    env,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use session_expire_tests::{Browser, RedisServer};

use crate::site::Site;

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const SAMPLES: usize = 40;

/// So few that the history of each is full before the second quarter begins: until then it grows.
const USERS: u32 = 20;

/// The allowed ratio of the memory in the last quarter to that in the second one.
const MAX_GROWTH: f64 = 1.05;

#[test]
#[ignore = "takes minutes for each registry"]
fn soak() {
    let time = Duration::from_secs(env::var("SOAK").map_or(120, |time| time.parse().unwrap()));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (file, redis) = (folder.path().join("sessions.db"), RedisServer::start());
    let registries = [
        "memory".to_owned(),
        file.to_str().unwrap().to_owned(),
        redis.url(),
        format!("caching {}", redis.url()),
    ];
    let grown: Vec<_> =
        registries.iter().filter(|registry| !keeps_its_memory(registry, time)).collect();
    println!("the file has {} kB at the end", file.metadata().unwrap().len() / 1024);
    assert!(grown.is_empty(), "{grown:?} grew");
}

/// Returns `true` if the memory of a site with this registry does not grow.
fn keeps_its_memory(registry: &str, time: Duration) -> bool {
    let speed = WEEK.as_secs() / time.as_secs();
    let site = Site::start(registry, speed.try_into().unwrap());
    let (is_over, requests, logins) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let samples: Vec<_> = thread::scope(|scope| {
        for number in 0..3 {
            let (is_over, requests, logins, address) =
                (&is_over, &requests, &logins, site.address());
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    requests.fetch_add(visit(&address, number), Ordering::Relaxed);
                    logins.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let samples = (0..SAMPLES).map(|_| {
            thread::sleep(time / SAMPLES as u32);
            site.memory()
        });
        let samples = samples.collect();
        is_over.store(true, Ordering::Relaxed);
        samples
    });
    let quarter =
        |number: usize| samples[number * SAMPLES / 4..][..SAMPLES / 4].iter().max().unwrap();
    let [second, last] = [*quarter(1), *quarter(3)];
    println!(
        "{registry:40} {:9} requests, {:6} logins, {second} kB in the second quarter, \
         {last} kB in the last: {samples:?}",
        requests.into_inner(),
        logins.into_inner(),
    );
    last as f64 <= second as f64 * MAX_GROWTH
}

/// Signs a user in and opens pages. One half of the users sign out. Returns the number of requests.
fn visit(address: &str, number: u32) -> u64 {
    let browser = Browser::new(address.to_owned());
    let user = format!("user {number} {}", fastrand::u32(..USERS));
    browser.sign_in(&user);
    let start = Instant::now();
    let mut requests = 1;
    while start.elapsed() < Duration::from_millis(50) {
        let response = browser.get("/private");
        assert!(matches!(response.status, 200 | 303), "{response:?}");
        requests += 1;
    }
    if fastrand::bool() {
        assert_eq!(browser.post("/logout", "").status, 303);
        requests += 1;
    }
    requests
}
