//! Time between an end in another process and the end of the stream.

use std::{
    cell::RefCell,
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    rc::Rc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::rt::{System, spawn};
use session_expire::{Reason, RedisRegistry, SqliteRegistry, clock::SystemClock};
use session_expire::{
    clock::Clock,
    registry::{EndSessions, EndTarget, Ended, Registry},
};
use session_expire_tests::RedisServer;

use crate::{row, streams};

/// First argument of the process that ends the sessions. The second is the location
/// of the registry.
pub(crate) const FLAG: &str = "--end-sessions";

const SESSIONS: usize = 300;
const PAUSE: Duration = Duration::from_millis(20);

/// Prints the latency with the registries that several processes can share.
pub(crate) fn measure() {
    println!("{SESSIONS} sessions end in another process, one after the other\n");
    System::new().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let place = path.to_str().unwrap();
        measure_registry("SQLite", SqliteRegistry::open(&path).unwrap(), place).await;
        let server = RedisServer::start();
        measure_registry("Redis", server.registry().await, &server.url()).await;
    });
}

async fn measure_registry(name: &str, registry: impl Registry + 'static, place: &str) {
    let expire = streams::middleware(registry);
    let cookies = streams::log_in(&expire, SESSIONS).await;
    let open = streams::open(&expire, &cookies, 1).await;
    let arrived = Rc::<RefCell<Vec<(usize, Duration)>>>::default();
    let watches = open.into_iter().enumerate().map(|(number, end)| {
        let arrived = Rc::clone(&arrived);
        spawn(async move {
            assert_eq!(end.await.as_str(), "revoked");
            arrived.borrow_mut().push((number, since_epoch()));
        })
    });
    let watches: Vec<_> = watches.collect();
    let mut child = Command::new(env::current_exe().unwrap());
    let mut child = child.args([FLAG, place]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ended = thread::spawn(move || lines.map(|line| parse(&line.unwrap())).collect::<Vec<_>>());
    for watch in watches {
        watch.await.unwrap();
    }
    assert!(child.wait().unwrap().success());
    let (ended, arrived) = (ended.join().unwrap(), arrived.take());
    assert!(arrived.iter().map(|(number, _)| *number).eq(0..SESSIONS), "out of order");
    let mut times: Vec<_> =
        arrived.iter().zip(ended).map(|((_, at), ended)| at.saturating_sub(ended)).collect();
    times.sort_unstable();
    let at = |index: usize| times[index].as_secs_f64() * 1e3;
    row(&format!("{name}: end to stream, median"), at(SESSIONS / 2), 200.0, "ms");
    row(&format!("{name}: end to stream, p99"), at(SESSIONS * 99 / 100), 200.0, "ms");
    println!("{name}: all in order, the longest {:.1} ms", at(SESSIONS - 1));
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn parse(line: &str) -> Duration {
    Duration::from_nanos(line.parse().unwrap())
}

/// Ends all sessions of the registry at `place`, and prints the time of each end. Runs in a
/// separate process.
pub(crate) fn end_sessions(place: &str) {
    System::new().block_on(async {
        match place.starts_with("redis") {
            true => end_each(&RedisRegistry::connect(place).await.unwrap()).await,
            false => end_each(&SqliteRegistry::open(place).unwrap()).await,
        }
    });
}

async fn end_each(registry: &dyn Registry) {
    for number in 0..SESSIONS {
        let ended = Ended::new(Reason::Revoked, SystemClock::default().now());
        let end = EndSessions::new(EndTarget::All(streams::user(number).into()), ended);
        assert_eq!(registry.end(end).await.unwrap().len(), 1);
        println!("{}", since_epoch().as_nanos());
        thread::sleep(PAUSE);
    }
}
