//! Every registry under load while its process, its server or its disk fails and recovers.
//!
//! Users sign in, are evicted, open pages and sign out. At every moment an ended session is
//! rejected, and no request takes longer than its limit. After the recovery every acknowledged
//! login is open at every process, unless it was evicted.
//!
//! `OUTAGES` sets the number of outages per registry, and `SOAK` the duration of [`soak`] in
//! seconds: see `tests/endure`.

mod load;
mod oracle;
mod site;
mod soak;

use std::{
    env, mem,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use load::{Load, Totals, User};
use session_expire_tests::RedisServer;
use site::Site;

const THREADS: usize = 8;
const USERS_PER_THREAD: usize = 3;

/// Redis may take half a second for each of the two operations of a request; the rest is for a busy
/// machine.
const MAX_DURATION: Duration = Duration::from_millis(4_500);

/// A name, and a function that causes an outage and ends it.
type Outage<T> = (&'static str, fn(&mut T, &Load));

fn sleep(millis: u64) {
    thread::sleep(Duration::from_millis(millis));
}

/// Causes the outages under load, one after the other: each once, or as many as `OUTAGES` says.
fn run<T>(subject: &mut T, sites: fn(&T) -> Vec<&Site>, outages: &[Outage<T>]) {
    let addresses = sites(subject).into_iter().map(Site::address).collect();
    let mut load = Load { addresses, ..Load::default() };
    let users = (0..THREADS * USERS_PER_THREAD).map(|number| User::new(format!("user {number}")));
    let mut users: Vec<_> = users.collect();
    let mut totals = Totals::default();
    let count = env::var("OUTAGES").map_or(outages.len(), |count| count.parse().unwrap());
    for (name, outage) in outages.iter().cycle().take(count) {
        let mut recovery = Duration::ZERO;
        *load.is_over.get_mut() = false;
        under_load(&mut users, &load, || {
            outage(subject, &load);
            recovery = sites(subject).into_iter().map(Site::wait_until_ready).max().unwrap();
        });
        // Longer than the timeout of an operation: the rest never runs.
        sleep(600);
        for user in &mut users {
            user.check_all(&load).unwrap_or_else(|error| panic!("after {name}: {error}"));
        }
        totals.add(&report(name, &mut users, recovery));
    }
    let is_meaningful = totals.rejected > 0 && totals.unanswered > 0 && totals.kept > 0;
    assert!(is_meaningful, "some kind of response is missing: {totals:?}");
}

fn under_load(users: &mut [User], load: &Load, during: impl FnOnce()) {
    thread::scope(|scope| {
        for users in users.chunks_mut(USERS_PER_THREAD) {
            scope.spawn(move || {
                while !load.is_over.load(Ordering::SeqCst) {
                    for user in &mut *users {
                        user.send_one(load).unwrap();
                    }
                }
            });
        }
        let _stop = SetOnDrop(&load.is_over);
        sleep(300);
        during();
        sleep(300);
    });
}

/// Stops the users, even if the test panics.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn report(name: &str, users: &mut [User], recovery: Duration) -> Totals {
    let mut all = Totals::default();
    users.iter_mut().for_each(|user| all.add(&mem::take(&mut user.totals)));
    let Totals { requests, logins, rejected, unanswered, kept, longest } = all;
    println!(
        "{name:24} {requests:6} requests, {logins:5} logins, {rejected:5} rejected, \
         {unanswered:4} unanswered, {kept:3} kept; longest {longest:7.1?}, recovery {recovery:7.1?}"
    );
    assert!(longest < MAX_DURATION, "a request took {longest:?}");
    all
}

fn kill_site(site: &mut Site, load: &Load, is_reset: bool) {
    load.resets.fetch_add(is_reset.into(), Ordering::SeqCst);
    site.kill();
    sleep(100);
    site.restart();
}

#[test]
fn memory_site_recovers_from_a_kill() {
    let mut site = Site::start("memory", 1);
    let outage: Outage<Site> = ("memory: site killed", |site, load| kill_site(site, load, true));
    run(&mut site, |site| vec![site], &[outage, outage]);
}

#[test]
fn sqlite_site_recovers_from_a_kill_and_a_full_disk() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut site = Site::start(folder.path().join("sessions.db").to_str().unwrap(), 1);
    run(
        &mut site,
        |site| vec![site],
        &[
            ("sqlite: site killed", |site, load| kill_site(site, load, false)),
            ("sqlite: disk full", |site, _| {
                site.set_disk_full(true);
                sleep(400);
                site.set_disk_full(false);
            }),
        ],
    );
}

struct RedisSites {
    redis: RedisServer,
    sites: [Site; 2],
}

/// Two sites with one server. `cache` is `caching ` or empty.
fn run_with_redis(cache: &str) {
    let redis = RedisServer::with_options(&["--appendonly", "yes", "--appendfsync", "always"]);
    let registry = format!("{cache}{}", redis.url());
    let sites = [(); 2].map(|()| Site::start(&registry, 1));
    let outages: [Outage<RedisSites>; 5] = [
        ("redis: server killed", |all, _| {
            all.redis.stop();
            sleep(300);
            all.redis.restart();
        }),
        ("redis: server halted", |all, _| {
            all.redis.signal("STOP");
            sleep(5_000);
            all.redis.signal("CONT");
        }),
        ("redis: connections cut", |all, _| {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(300) {
                let _: u32 = all.redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
            }
        }),
        ("redis: site killed", |all, load| kill_site(&mut all.sites[0], load, false)),
        ("redis: both killed", |all, load| {
            all.redis.stop();
            all.sites[1].kill();
            all.redis.restart();
            kill_site(&mut all.sites[1], load, false);
        }),
    ];
    let mut all = RedisSites { redis, sites };
    run(&mut all, |all| all.sites.iter().collect(), &outages);
}

#[test]
fn redis_sites_recover_from_outages() {
    run_with_redis("");
}

#[test]
fn caching_redis_sites_recover_from_outages() {
    run_with_redis("caching ");
}
