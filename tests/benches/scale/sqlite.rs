//! Durable logins in an SQLite file, and operations on 100,000 and on a million sessions.

use std::{
    fs,
    future::Future,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use session_expire::{
    Policy, Reason, SqliteRegistry,
    clock::{Clock, ManualClock, Timestamp},
    minutes,
    registry::{Ended, NewLogin, Query, RecordKey, Registry, SessionRef, SessionUpdate},
};
use tempfile::TempDir;
use tokio::runtime;

use crate::quantiles;

const TIME: Duration = Duration::from_secs(3);
const RECORDS: usize = 100_000;
const MANY: usize = 1_000_000;
const SAMPLES: usize = 20_000;
const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

pub(crate) fn measure() {
    println!(
        "Durable logins in a SqliteRegistry (each is synced to the disk before it completes)\n"
    );
    println!("{:<32}{:>12}{:>12}{:>12}", "at once", "logins/s", "p50 µs", "p99 µs");
    for threads in [1_usize, 32, 500] {
        let folder = TempDir::new().unwrap();
        let registry = open(folder.path());
        login_row(&threads.to_string(), &registry, threads);
    }
    let folder = TempDir::new().unwrap();
    let registry = open(folder.path());
    let sessions = fill(&registry);
    println!("\n{RECORDS} sessions of as many users{:>17}{:>12}", "p50 µs", "p99 µs");
    measure_loads(&registry, &sessions);
    measure_one_user(&registry);
    println!("\nlogins while the activity of {RECORDS} sessions is saved");
    measure_activity(&registry, &sessions);
    println!();
    once("list, the newest 50 of all users", || {
        drop(wait(registry.list(Query::new().limit(50))).unwrap());
    });
    drop(registry);
    multiply(&folder.path().join("db"));
    let before = resident();
    let mut opened = None;
    once("open with a million sessions", || opened = Some(open(folder.path())));
    let registry = opened.unwrap();
    println!("{:<40}{:>10} MB", "  memory", resident().saturating_sub(before) >> 20);
    measure_loads(&registry, &sessions);
    once("list, the newest 50 of a million", || {
        drop(wait(registry.list(Query::new().limit(50))).unwrap());
    });
    once("end everyone, a million", || {
        wait(registry.end_everyone(Ended::new(Reason::Revoked, NOON))).unwrap();
    });
}

fn open(folder: &Path) -> SqliteRegistry {
    SqliteRegistry::open(folder.join("db")).unwrap()
}

fn wait<T>(operation: impl Future<Output = T>) -> T {
    thread_local!(static RUNTIME: runtime::Runtime =
        runtime::Builder::new_current_thread().enable_all().build().unwrap());
    RUNTIME.with(|runtime| runtime.block_on(operation))
}

fn once(what: &str, run: impl FnOnce()) {
    let began = Instant::now();
    run();
    println!("{what:<40}{:>10.1} ms", began.elapsed().as_secs_f64() * 1e3);
}

fn row(what: &str, times: Vec<Duration>) {
    let (p50, p99) = quantiles(times);
    println!("{what:<40}{p50:>10.1}{p99:>12.1}");
}

fn login_row(what: &str, registry: &SqliteRegistry, threads: usize) {
    let times = logins(registry, threads, TIME);
    let rate = times.len() as f64 / TIME.as_secs_f64();
    let (p50, p99) = quantiles(times);
    println!("{what:<32}{rate:>12.0}{p50:>12.0}{p99:>12.0}");
}

/// Returns the duration of each login that `threads` complete in `time`.
fn logins(registry: &SqliteRegistry, threads: usize, time: Duration) -> Vec<Duration> {
    let until = Instant::now() + time;
    let clock = ManualClock::default();
    let work = |thread: usize| {
        let mut times = vec![];
        for number in 0.. {
            let began = Instant::now();
            if began >= until {
                break;
            }
            let login =
                NewLogin::new(format!("user {thread}.{number}"), clock.now(), &Policy::new());
            wait(registry.commit(login)).unwrap();
            times.push(began.elapsed());
        }
        times
    };
    thread::scope(|scope| {
        let work = &work;
        let all: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        all.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

type Session = (RecordKey, SessionRef);

fn fill(registry: &SqliteRegistry) -> Vec<Session> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut sessions = vec![];
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= RECORDS {
                return sessions;
            }
            let user = format!("user-{number}@example.org");
            let mut login = NewLogin::new(user, NOON, &Policy::new().max_sessions(5));
            login.client.ip = Some([192, 0, 2, 7].into());
            login.client.device = "Firefox on Linux".into();
            sessions.push((login.key(), SessionRef::new(login.user.clone(), login.id)));
            wait(registry.commit(login)).unwrap();
        }
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..200).map(|_| scope.spawn(work)).collect();
        all.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn timed(mut run: impl FnMut(usize)) -> Vec<Duration> {
    let times = (0..SAMPLES).map(|n| {
        let began = Instant::now();
        run(n);
        began.elapsed()
    });
    times.collect()
}

fn measure_loads(registry: &SqliteRegistry, sessions: &[Session]) {
    let load = |key, count| drop(wait(registry.load(key, count)).unwrap().unwrap());
    let key = |n: usize| sessions[n * 7_919 % sessions.len()].0;
    row("load", timed(|n| load(key(n), true)));
    row("load, one of 100", timed(|n| load(key(n % 100), true)));
    row(
        "load, unknown",
        timed(|n| {
            let key = RecordKey::random(&n.to_string());
            drop(wait(registry.load(key, true)).unwrap());
        }),
    );
}

/// A user with a thousand sessions, each login of which evicts one.
fn measure_one_user(registry: &SqliteRegistry) {
    for count in [1, 1_000] {
        let policy = Policy::new().max_sessions(count);
        let user = format!("user with {count}");
        let login = || drop(wait(registry.commit(NewLogin::new(&*user, NOON, &policy))).unwrap());
        (0..count).for_each(|_| login());
        let times = (0..300).map(|_| {
            let began = Instant::now();
            login();
            began.elapsed()
        });
        row(&format!("login that evicts one of {count}"), times.collect());
    }
}

fn measure_activity(registry: &SqliteRegistry, sessions: &[Session]) {
    login_row("none", registry, 8);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let save = || {
        while !stop.load(Ordering::Relaxed) {
            let Some((_, session)) = sessions.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            let now = NOON.plus(minutes(1));
            let update = SessionUpdate::new(now).active(now);
            wait(registry.update(session.clone(), update)).unwrap();
        }
    };
    thread::scope(|scope| {
        let began = Instant::now();
        let savers: Vec<_> = (0..64).map(|_| scope.spawn(save)).collect();
        login_row("all", registry, 8);
        stop.store(true, Ordering::Relaxed);
        savers.into_iter().for_each(|saver| saver.join().unwrap());
        let saved = next.load(Ordering::Relaxed).min(sessions.len());
        println!("  {saved} saved in {:.1} s", began.elapsed().as_secs_f64());
    });
    // An earlier version saves activity in the background.
    login_row("afterwards", registry, 8);
}

/// Copies the sessions of other users to the file until it contains a million.
fn multiply(file: &Path) {
    let db = Connection::open(file).unwrap();
    db.execute_batch("PRAGMA synchronous = OFF").unwrap();
    let names: Vec<String> = db
        .prepare("SELECT name FROM pragma_table_info('sessions') WHERE name <> 'seq'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let values = names.iter().map(|name| match name.as_str() {
        "key_hash" => "substr(hex(randomblob(20)), 1, length(key_hash))".to_owned(),
        "id" => "hex(randomblob(8))".to_owned(),
        "user" => "'user-' || abs(random()) || '@example.org'".to_owned(),
        "logged_in_at" => "logged_in_at - abs(random() % 1000000)".to_owned(),
        name => name.to_owned(),
    });
    let values: Vec<_> = values.collect();
    let sql = format!(
        "INSERT INTO sessions ({}) SELECT {} FROM sessions WHERE ended_at IS NULL LIMIT {RECORDS}",
        names.join(", "),
        values.join(", ")
    );
    for _ in 1..MANY / RECORDS {
        db.execute(&sql, []).unwrap();
    }
}

/// Returns the resident memory in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1_024
}
