//! Every registry under load, while its process, its server or its disk goes away and comes back.
//!
//! `cargo test --release -p session-expire-tests --test outages -- --nocapture --test-threads=1` prints
//! what happened. `OUTAGES=100` in front of it takes a hundred rounds instead of a few, and `--ignored
//! soak` behind it lets sites run for minutes (`SOAK=300` seconds), whose memory must not grow.
//!
//! People sign in, are evicted, ask and sign out. At every moment: no session that has ended is accepted,
//! and no request takes longer than its limit. When all is well again, without anybody's doing: every
//! login that was acknowledged is there, unless it yielded to another, and at every process.

mod load;
mod site;
mod soak;
mod worlds;

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use load::{Scene, Tally, User};
use session_expire_tests::RedisServer;
use site::Site;

const ROUNDS: usize = 5;
const THREADS: usize = 8;
const USERS_OF_EACH: usize = 3;

/// Redis may take half a second for each of the two operations of a request; the rest is for a
/// machine that has other things to do.
const LONGEST: Duration = Duration::from_millis(2_500);

/// What goes away, and how it comes back.
type Fault<T> = (&'static str, fn(&mut T, &Scene));

fn pause(millis: u64) {
    thread::sleep(Duration::from_millis(millis));
}

/// Rounds of load, each with the next of these faults in its middle.
fn endure<T>(world: &mut T, sites: fn(&T) -> Vec<&Site>, faults: &[Fault<T>]) {
    let addresses = sites(world).into_iter().map(Site::address).collect();
    let mut scene = Scene { addresses, ..Scene::default() };
    let mut users: Vec<_> =
        (0..THREADS * USERS_OF_EACH).map(|number| User::new(format!("user {number}"))).collect();
    let mut whole = Tally::default();
    let rounds = env::var("OUTAGES").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    for (name, fault) in faults.iter().cycle().take(rounds) {
        let mut back = Duration::ZERO;
        *scene.over.get_mut() = false;
        under_load(&mut users, &scene, || {
            fault(world, &scene);
            back = sites(world).into_iter().map(Site::until_it_works).max().unwrap();
        });
        pause(600); // what was under way has happened by then, or never will
        for user in &mut users {
            user.audit(&scene).unwrap_or_else(|broken| panic!("after {name}: {broken}"));
        }
        whole.add(&report(name, &mut users, back));
    }
    // On a busy machine one round may have too few requests to meet everything.
    let met = whole.refused > 0 && whole.unanswered > 0 && whole.kept > 0;
    assert!(met, "the rounds have tested nothing");
}

fn under_load(users: &mut [User], scene: &Scene, during: impl FnOnce()) {
    thread::scope(|scope| {
        for users in users.chunks_mut(USERS_OF_EACH) {
            scope.spawn(move || {
                while !scene.over.load(Ordering::SeqCst) {
                    for user in &mut *users {
                        user.act(scene).unwrap();
                    }
                }
            });
        }
        let _end = AtTheEnd(&scene.over);
        pause(300);
        during();
        pause(300);
    });
}

/// Sends everybody home, also when the test has failed.
struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn report(name: &str, users: &mut [User], back: Duration) -> Tally {
    let mut all = Tally::default();
    users.iter_mut().for_each(|user| all.add(&std::mem::take(&mut user.tally)));
    let Tally { requests, logins, refused, unanswered, kept, longest } = all;
    println!(
        "{name:24} {requests:6} requests, {logins:5} logins, {refused:5} refused, {unanswered:4} unanswered, \
         {kept:3} kept; longest {longest:7.1?}, back in {back:7.1?}"
    );
    assert!(longest < LONGEST, "a request took {longest:?}");
    all
}

fn kill(site: &mut Site, scene: &Scene, forgets: bool) {
    scene.forgotten.fetch_add(forgets.into(), Ordering::SeqCst);
    site.kill();
    pause(100);
    site.start_again();
}

#[test]
fn memory() {
    let mut site = Site::start("memory", 1);
    endure(
        &mut site,
        |site| vec![site],
        &[("memory: site killed", |site, scene| kill(site, scene, true))],
    );
}

#[test]
fn sqlite() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut site = Site::start(folder.path().join("sessions.db").to_str().unwrap(), 1);
    endure(
        &mut site,
        |site| vec![site],
        &[
            ("sqlite: site killed", |site, scene| kill(site, scene, false)),
            ("sqlite: disk full", |site, _| {
                site.disk_has_room(false);
                pause(400);
                site.disk_has_room(true);
            }),
        ],
    );
}

struct WithRedis {
    redis: RedisServer,
    sites: [Site; 2],
}

fn with_redis(how: &str) {
    let redis = RedisServer::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let place = format!("{how}{}", redis.url());
    let sites = [(); 2].map(|()| Site::start(&place, 1));
    let faults: [Fault<WithRedis>; 5] = [
        ("Redis killed", |with, _| {
            with.redis.stop();
            pause(300);
            with.redis.start_again();
        }),
        ("Redis silent", |with, _| {
            with.redis.signal("STOP");
            pause(1_500);
            with.redis.signal("CONT");
        }),
        ("lines to Redis cut", |with, _| {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(300) {
                let _: u32 = with.redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
            }
        }),
        ("a site killed", |with, scene| kill(&mut with.sites[0], scene, false)),
        ("Redis and a site killed", |with, scene| {
            with.redis.stop();
            with.sites[1].kill();
            with.redis.start_again();
            kill(&mut with.sites[1], scene, false);
        }),
    ];
    let mut with = WithRedis { redis, sites };
    endure(&mut with, |with| with.sites.iter().collect(), &faults);
}

#[test]
fn redis() {
    with_redis("");
}

#[test]
fn redis_with_records_at_hand() {
    with_redis("caching ");
}
