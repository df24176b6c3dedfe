//! Redis server that a test starts and stops.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use session_expire::{
    RedisRegistry,
    registry::{Query, Registry, SessionRecord},
};
use tempfile::TempDir;

/// Runs the server, and kills it when standard input ends. A killed test leaves no server
/// running.
const RUN_UNTIL_INPUT_ENDS: &str =
    r#""$@" >/dev/null & echo $!; read -r _; kill -9 $!; wait $! 2>/dev/null"#;

/// Options with a user for replicas and Sentinels. A test disables the user to cut them off.
pub(crate) const WATCHING: [&str; 11] = [
    "--user",
    "watch",
    "on",
    ">watching",
    "~*",
    "&*",
    "+@all",
    "--masteruser",
    "watch",
    "--masterauth",
    "watching",
];

/// A server on a free port, with a directory of its own. Dropping it stops the server.
///
/// Needs `redis-server` in `PATH`, or its path in `REDIS_SERVER`.
pub struct RedisServer {
    running: Option<Running>,
    options: Vec<String>,
    directory: TempDir,
    /// User and password for the commands of the test, as in a URL.
    user: String,
    /// Port, which stays the same after a restart.
    pub port: u16,
}

struct Running {
    pid: String,
    shell: Child,
}

impl RedisServer {
    /// Starts an empty server without persistence.
    pub fn start() -> Self {
        Self::with_options(&[])
    }

    /// Starts an empty server with these options on its command line.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn with_options(options: &[&str]) -> Self {
        Self::with_user("", options)
    }

    /// Starts an empty server with these options. [`command`](Self::command) connects as `user`,
    /// such as `name:password@`.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn with_user(user: &str, options: &[&str]) -> Self {
        Self::start_with(user, || options.iter().map(|&word| word.to_owned()).collect())
    }

    /// Starts an empty server with the options that `options` returns. It is called again for each
    /// attempt, because another process may have taken a port by now.
    pub(crate) fn start_with(user: &str, mut options: impl FnMut() -> Vec<String>) -> Self {
        for _ in 0..5 {
            let mut server = Self::new(user, options());
            if server.try_start().is_ok() {
                return server;
            }
        }
        panic!("{} does not start", program());
    }

    /// Starts a Sentinel with this configuration.
    pub(crate) fn sentinel(user: &str, configuration: &str) -> Self {
        for _ in 0..5 {
            let mut server = Self::new(user, vec![]);
            fs::write(server.sentinel_file(), configuration).unwrap();
            if server.try_start().is_ok() {
                return server;
            }
        }
        panic!("{} --sentinel does not start", program());
    }

    fn new(user: &str, options: Vec<String>) -> Self {
        let (directory, user, port) = (TempDir::new().unwrap(), user.to_owned(), find_free_port());
        Self { running: None, options, directory, user, port }
    }

    /// Returns the configuration file of a Sentinel, which the Sentinel rewrites.
    fn sentinel_file(&self) -> PathBuf {
        self.directory.path().join("sentinel.conf")
    }

    /// Starts a replica of this server, and waits until it has copied its records.
    #[must_use]
    pub fn start_replica(&self) -> Self {
        Self::start_replica_of(self.port)
    }

    /// Starts a replica of the server behind a local port, and waits until it has copied its
    /// records.
    #[must_use]
    pub fn start_replica_of(port: u16) -> Self {
        let replica = Self::with_options(&["--replicaof", "127.0.0.1", &port.to_string()]);
        while !replica.is_linked() {
            thread::sleep(Duration::from_millis(50));
        }
        replica
    }

    /// Returns `true` for a replica with a connection to its primary.
    fn is_linked(&self) -> bool {
        let replication: String = self.command(&["INFO", "replication"]);
        replication.contains("master_link_status:up")
    }

    /// Waits until this many replicas have all records.
    ///
    /// # Panics
    ///
    /// Panics if the server is not reachable.
    pub fn wait_for_replicas(&self, replicas: u32) {
        let mut pipeline = redis::pipe();
        // `WAIT` waits for the last write of its own connection.
        pipeline.cmd("SET").arg("wait").arg(1).ignore().cmd("DEL").arg("wait").ignore();
        pipeline.cmd("WAIT").arg(replicas).arg(0).ignore();
        pipeline.exec(&mut self.client().get_connection().unwrap()).unwrap();
    }

    /// Makes this server a replica of another one.
    pub fn follow(&self, primary: &Self) {
        let _: String = self.command(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    }

    /// Makes this replica a primary.
    pub fn promote(&self) {
        let _: String = self.command(&["REPLICAOF", "NO", "ONE"]);
    }

    /// Starts the server again, on the same port and with the files of its directory.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn restart(&mut self) {
        self.try_start().unwrap();
    }

    /// Starts the server again, in cluster mode and without slots.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn restart_in_cluster_mode(&mut self) {
        let bus = find_free_port().to_string();
        let options = ["--cluster-enabled", "yes", "--cluster-port", &bus];
        self.options.extend(options.map(str::to_owned));
        self.restart();
    }

    /// Starts the server again, and waits until it has loaded its file. Until then it responds
    /// `LOADING` to every command.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn restart_and_load(&mut self) {
        self.restart();
        while self.command::<String>(&["INFO", "persistence"]).contains("\nloading:1") {
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn try_start(&mut self) -> Result<(), &'static str> {
        let file = Some(self.sentinel_file()).filter(|file| file.exists());
        let mut shell = Command::new("sh")
            .args(["-c", RUN_UNTIL_INPUT_ENDS, "sh", &program()])
            .args(&file)
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--repl-diskless-sync-delay", "0", "--dir"])
            .arg(self.directory.path())
            .args(&self.options)
            .args(file.map(|_| "--sentinel"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        self.running = Some(Running { pid: pid.trim().to_owned(), shell });
        let start = Instant::now();
        while !self.is_ready()? {
            if start.elapsed() > Duration::from_secs(60) {
                return Err("the server does not respond");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Returns `true` if the server responds, and an error if another process has its port.
    fn is_ready(&self) -> Result<bool, &'static str> {
        let Ok(mut connection) = self.client().get_connection() else {
            return if self.has_ended() { Err("the server has ended") } else { Ok(false) };
        };
        let info: Result<String, _> = redis::cmd("INFO").arg("server").query(&mut connection);
        match info {
            Ok(info) => {
                let own = format!("process_id:{}", self.running.as_ref().unwrap().pid);
                let is_own = info.lines().any(|line| line == own);
                if is_own { Ok(true) } else { Err("another server has the port") }
            }
            // A server that requires a password is ready. A server that is still loading its file
            // responds `LOADING`.
            Err(error) => {
                let needs_password = self.options.iter().any(|option| option == "--requirepass");
                Ok(needs_password && error.code() == Some("NOAUTH"))
            }
        }
    }

    /// Returns `true` if the process has ended, for example because another one has a port of it.
    fn has_ended(&self) -> bool {
        let pid = &self.running.as_ref().unwrap().pid;
        // The shell does not collect it before the test stops it. The state follows the name.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('Z'))
    }

    /// Kills the server.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.shell.stdin.take());
            running.shell.wait().unwrap();
        }
    }

    /// Sends a signal to the server, such as `STOP` or `CONT`.
    pub fn signal(&self, signal: &str) {
        let pid = &self.running.as_ref().unwrap().pid;
        assert!(Command::new("kill").args(["-s", signal, pid]).status().unwrap().success());
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    fn client(&self) -> redis::Client {
        redis::Client::open(format!("redis://{}127.0.0.1:{}/", self.user, self.port)).unwrap()
    }

    /// Sends a command to the server, without a registry.
    pub fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).unwrap()
    }

    /// Sends a command to the server, without a registry.
    ///
    /// # Errors
    ///
    /// Returns the error of the server, or that of the connection.
    pub fn try_command<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(word);
        });
        command.query(&mut self.client().get_connection()?)
    }

    /// Connects a registry whose timeout allows for a busy machine.
    pub async fn registry(&self) -> RedisRegistry {
        RedisRegistry::connect(&self.url()).await.unwrap().timeout(Duration::from_secs(10))
    }

    /// Connects a registry that caches records, with the same timeout.
    pub async fn caching(&self) -> RedisRegistry {
        let registry = RedisRegistry::connect_caching(&self.url()).await.unwrap();
        registry.timeout(Duration::from_secs(10))
    }

    /// Returns the number of calls of a command since the last `CONFIG RESETSTAT`.
    pub fn calls(&self, command: &str) -> u64 {
        let stats: String = self.command(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
        let calls = line.and_then(|line| line.strip_prefix("calls=")?.split(',').next());
        calls.map_or(0, |calls| calls.parse().unwrap())
    }
}

/// Reads all pages of a query.
///
/// # Panics
///
/// Panics if the registry returns an error.
pub async fn read_pages(
    registry: &RedisRegistry,
    query: &Query,
    limit: usize,
) -> Vec<SessionRecord> {
    let (mut all, mut query) = (vec![], query.clone().limit(limit));
    loop {
        let page = registry.list(query.clone()).await.unwrap();
        let Some(last) = page.last() else { return all };
        query = query.after(Query::cursor(last));
        all.extend(page);
    }
}

fn program() -> String {
    std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

/// Returns a free port below the range that Linux assigns to outgoing connections. A connection of
/// another process must not take the port while the server is stopped.
#[must_use]
pub fn find_free_port() -> u16 {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = 10_000 + (random % 20_000) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}
