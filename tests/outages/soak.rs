//! A week of ordinary use in some minutes: what a site remembers must not grow.

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

/// So few that the login log of each is full before the second quarter begins: until then it grows, as it
/// should.
const USERS: u32 = 20;

/// How much more memory a site may have in the last quarter than in the second one.
const GROWTH: f64 = 1.05;

#[test]
#[ignore = "takes some minutes for each registry"]
fn soak() {
    let time = Duration::from_secs(env::var("SOAK").map_or(120, |time| time.parse().unwrap()));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (file, redis) = (folder.path().join("sessions.db"), RedisServer::start());
    let places = [
        "memory".to_owned(),
        file.to_str().unwrap().to_owned(),
        redis.url(),
        format!("caching {}", redis.url()),
    ];
    let grown: Vec<_> = places.iter().filter(|place| !stays_flat(place, time)).collect();
    println!("the file has {} kB at the end", file.metadata().unwrap().len() / 1024);
    assert!(grown.is_empty(), "{grown:?} grew");
}

fn stays_flat(place: &str, time: Duration) -> bool {
    let speed = WEEK.as_secs() / time.as_secs();
    let site = Site::start(place, speed.try_into().unwrap());
    let (over, requests, logins) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let samples: Vec<_> = thread::scope(|scope| {
        for number in 0..3 {
            let (over, requests, logins, address) = (&over, &requests, &logins, site.address());
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
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
        over.store(true, Ordering::Relaxed);
        samples
    });
    let quarter =
        |number: usize| samples[number * SAMPLES / 4..][..SAMPLES / 4].iter().max().unwrap();
    let [second, last] = [*quarter(1), *quarter(3)];
    println!(
        "{place:40} {:9} requests, {:6} logins, {second} kB in the second quarter, {last} kB in the last: {samples:?}",
        requests.into_inner(),
        logins.into_inner(),
    );
    last as f64 <= second as f64 * GROWTH
}

/// Somebody signs in, works for a while, and signs out or just goes away; answers the requests.
fn visit(address: &str, number: u32) -> u64 {
    let browser = Browser::new(address.to_owned());
    let user = format!("user {number} {}", fastrand::u32(..USERS));
    browser.sign_in(&user);
    let began = Instant::now();
    let mut requests = 1;
    while began.elapsed() < Duration::from_millis(50) {
        let answer = browser.get("/private");
        assert!(matches!(answer.status, 200 | 303), "{answer:?}");
        requests += 1;
    }
    if fastrand::bool() {
        assert_eq!(browser.post("/logout", "").status, 303);
        requests += 1;
    }
    requests
}
