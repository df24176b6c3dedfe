//! A site in a process of its own, which can be killed, and whose disk can go away.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use actix_web::{App, HttpServer, cookie::Key, rt::System};
use session_expire::{
    Clock, Limit, MemoryRegistry, Policy, RedisRegistry, SessionExpire, SessionExpireBuilder,
    SqliteRegistry, SystemClock, Timestamp,
};
use session_expire_tests::{Browser, pages};

use crate::worlds::MAX_SESSIONS;

const PLACE: &str = "SESSION_EXPIRE_PLACE";
const PORT: &str = "SESSION_EXPIRE_PORT";
const SPEED: &str = "SESSION_EXPIRE_SPEED";

/// Without the signal, a write beyond the limit of the file size is an error, as on a full disk.
const WITHOUT_SIGNAL: &str = r#"trap '' XFSZ; exec "$0" "$@""#;

/// A running site.
pub struct Site {
    place: String,
    speed: u32,
    port: u16,
    process: Child,
}

impl Site {
    /// Starts a site that records its logins at `place`: `memory`, a path, or a Redis URL, after
    /// `caching ` for records kept at hand. Its clock runs `speed` times as fast as the machine's.
    pub fn start(place: &str, speed: u32) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { place: place.to_owned(), speed, port, process: play(place, speed, port) }
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn start_again(&mut self) {
        self.process = play(&self.place, self.speed, self.port);
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Gives the disk room again, or takes it away: nothing more can be written to any file.
    pub fn disk_has_room(&self, room: bool) {
        let (pid, limit) = (self.process.id(), if room { "unlimited" } else { "1" });
        let prlimit = Command::new("prlimit")
            .args(["--pid", &pid.to_string(), &format!("--fsize={limit}:unlimited")])
            .status();
        assert!(prlimit.unwrap().success());
    }

    /// The memory that it has, in kilobytes.
    pub fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_end_matches("kB").trim().parse().unwrap()
    }

    /// How long it takes until somebody can sign in.
    pub fn until_it_works(&self) -> Duration {
        let began = Instant::now();
        while Browser::new(self.address()).post("/login", "user=probe").status != 303 {
            assert!(began.elapsed() < Duration::from_secs(30), "it does not recover");
            thread::sleep(Duration::from_millis(5));
        }
        began.elapsed()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}

/// This program again, in the part of the site. It ends with its input, however this process dies.
fn play(place: &str, speed: u32, port: u16) -> Child {
    let mut process = Command::new("sh")
        .args(["-c", WITHOUT_SIGNAL])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "site::serve", "--ignored", "--nocapture", "--test-threads=1"])
        .envs([(PLACE, place), (PORT, &port.to_string()), (SPEED, &speed.to_string())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let started = lines.any(|line| line.is_ok_and(|line| line.contains("@listening")));
    assert!(started, "the site at {place} does not start");
    thread::spawn(move || lines.for_each(drop));
    process
}

#[test]
#[ignore = "the part that the other tests have played"]
fn serve() {
    let Ok(place) = env::var(PLACE) else { return };
    let number = |name| env::var(name).unwrap().parse::<u32>().unwrap();
    let clock = Fast {
        speed: number(SPEED),
        real: SystemClock::default(),
        start: SystemClock::default().now(),
    };
    thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    System::new().block_on(async {
        let policy = Policy::new().max_sessions(MAX_SESSIONS as u32);
        let key = Key::from(&[7; 64]);
        let builder = SessionExpire::builder(policy).clock(clock).plain_http(true).cookie_key(key);
        let expire = at(builder, &place).await.build().unwrap();
        let site = move || App::new().configure(pages).wrap(expire.clone());
        let server = HttpServer::new(site).workers(2);
        let server = server.bind(("127.0.0.1", number(PORT).try_into().unwrap())).unwrap();
        println!("\n@listening");
        server.disable_signals().run().await.unwrap();
    });
}

async fn at(builder: SessionExpireBuilder, place: &str) -> SessionExpireBuilder {
    if place == "memory" {
        return builder.registry(MemoryRegistry::new().history_limit(Limit::At(5)));
    }
    let at_hand = place.strip_prefix("caching ");
    if let Some(url) = at_hand {
        builder.registry(
            RedisRegistry::connect_caching(url).await.unwrap().history_limit(Limit::At(5)),
        )
    } else if place.starts_with("redis:") {
        builder.registry(RedisRegistry::connect(place).await.unwrap().history_limit(Limit::At(5)))
    } else {
        builder.registry(SqliteRegistry::open(place).unwrap().history_limit(Limit::At(5)))
    }
}

/// A clock that makes a week of some minutes.
#[derive(Debug)]
struct Fast {
    speed: u32,
    real: SystemClock,
    start: Timestamp,
}

impl Clock for Fast {
    fn now(&self) -> Timestamp {
        self.start.plus(self.real.now().since(self.start) * self.speed)
    }
}
