//! Site in a process of its own, which a test can kill and whose disk it can fill.

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
    Limit, MemoryRegistry, Policy, RedisRegistry, SessionExpire, SessionExpireBuilder,
    SqliteRegistry,
    clock::{Clock, SystemClock, Timestamp},
};
use session_expire_tests::{Browser, pages};

use crate::oracle::MAX_SESSIONS;

const REGISTRY: &str = "SESSION_EXPIRE_REGISTRY";
const PORT: &str = "SESSION_EXPIRE_PORT";
const SPEED: &str = "SESSION_EXPIRE_SPEED";

/// Ignores the signal: a write beyond the limit of the file size is an error then, as on a full
/// disk.
const WITHOUT_SIGNAL: &str = r#"trap '' XFSZ; exec "$0" "$@""#;

/// A running site.
pub struct Site {
    registry: String,
    speed: u32,
    port: u16,
    process: Child,
}

impl Site {
    /// Starts a site. `registry` is `memory`, the path of a file, or a Redis URL, with `caching `
    /// in front of it for a cache. The clock runs `speed` times as fast as that of the machine.
    pub fn start(registry: &str, speed: u32) -> Self {
        let port = find_free_port();
        let process = spawn(registry, speed, port);
        Self { registry: registry.to_owned(), speed, port, process }
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.process = spawn(&self.registry, self.speed, self.port);
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes all writes to files fail, or work again.
    pub fn set_disk_full(&self, is_full: bool) {
        let (pid, limit) = (self.process.id(), if is_full { "1" } else { "unlimited" });
        let prlimit = Command::new("prlimit")
            .args(["--pid", &pid.to_string(), &format!("--fsize={limit}:unlimited")])
            .status();
        assert!(prlimit.unwrap().success());
    }

    /// Returns the resident memory in kilobytes.
    pub fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Waits until a login succeeds. Returns how long that took.
    pub fn wait_until_ready(&self) -> Duration {
        let start = Instant::now();
        while Browser::new(self.address()).post("/login", "user=probe").status != 303 {
            assert!(start.elapsed() < Duration::from_secs(30), "the site does not recover");
            thread::sleep(Duration::from_millis(5));
        }
        start.elapsed()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns a free port below those of outgoing connections, which could take it while the site is
/// down.
fn find_free_port() -> u16 {
    loop {
        let port = fastrand::u16(10_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Starts this test program again, which runs [`serve`] until its standard input ends. Thus a test
/// that is killed leaves no site behind.
fn spawn(registry: &str, speed: u32, port: u16) -> Child {
    let mut process = Command::new("sh")
        .args(["-c", WITHOUT_SIGNAL])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "site::serve", "--ignored", "--nocapture", "--test-threads=1"])
        .envs([(REGISTRY, registry), (PORT, &port.to_string()), (SPEED, &speed.to_string())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let started = lines.any(|line| line.is_ok_and(|line| line.contains("@listening")));
    assert!(started, "the site with {registry} does not start");
    thread::spawn(move || lines.for_each(drop));
    process
}

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn serve() {
    let Ok(registry) = env::var(REGISTRY) else { return };
    let number = |name| env::var(name).unwrap().parse::<u32>().unwrap();
    let clock = FastClock {
        speed: number(SPEED),
        system: SystemClock::default(),
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
        let expire = with_registry(builder, &registry).await.build().unwrap();
        let site = move || App::new().configure(pages).wrap(expire.clone());
        let server = HttpServer::new(site).workers(2);
        let server = server.bind(("127.0.0.1", number(PORT).try_into().unwrap())).unwrap();
        println!("\n@listening");
        server.disable_signals().run().await.unwrap();
    });
}

async fn with_registry(builder: SessionExpireBuilder, registry: &str) -> SessionExpireBuilder {
    let limit = Limit::At(5);
    if registry == "memory" {
        builder.registry(MemoryRegistry::new().history_limit(limit))
    } else if let Some(url) = registry.strip_prefix("caching ") {
        let registry = RedisRegistry::connect_caching(url).await.unwrap();
        builder.registry(registry.history_limit(limit))
    } else if registry.starts_with("redis:") {
        builder.registry(RedisRegistry::connect(registry).await.unwrap().history_limit(limit))
    } else {
        builder.registry(SqliteRegistry::open(registry).unwrap().history_limit(limit))
    }
}

/// Clock that runs faster than the system clock.
#[derive(Debug)]
struct FastClock {
    speed: u32,
    system: SystemClock,
    start: Timestamp,
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        self.start.plus(self.system.now().since(self.start) * self.speed)
    }
}
