//! A Redis server of the tests' own.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use session_expire::RedisRegistry;
use tempfile::TempDir;

/// Starts the server and kills it when the shell's input ends: whoever holds the other end may die as
/// they like, and no server is left behind.
const LEASH: &str = r#""$@" >/dev/null & echo $!; read -r _; kill -9 $!"#;

/// A server on a free port, in a folder of its own, gone when it is dropped.
///
/// Needs `redis-server` on the path, or its path in `REDIS_SERVER`.
pub struct RedisServer {
    running: Option<Running>,
    options: Vec<String>,
    folder: TempDir,
    /// Where it listens, also after it was started again.
    pub port: u16,
}

struct Running {
    pid: String,
    leash: Child,
}

impl RedisServer {
    /// An empty server that saves nothing.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A server with more words on its command line.
    pub fn with(options: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = options.iter().map(|&word| word.to_owned()).collect();
        let mut server = Self { running: None, options, folder: TempDir::new().unwrap(), port };
        server.start_again();
        server
    }

    /// Starts it with what its folder holds, at the port that it had.
    pub fn start_again(&mut self) {
        let program = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let mut leash = Command::new("sh")
            .args(["-c", LEASH, "sh", &program, "--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(self.folder.path())
            .args(&self.options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(leash.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        self.running = Some(Running { pid: pid.trim().to_owned(), leash });
        let began = Instant::now();
        while !self.is_up() {
            let patience = Duration::from_secs(10);
            assert!(
                began.elapsed() < patience,
                "these tests need {program}, which does not answer"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it answers; another server at this port is none of ours.
    fn is_up(&self) -> bool {
        let Ok(mut connection) = self.client().get_connection() else { return false };
        let told: Result<String, _> = redis::cmd("INFO").arg("server").query(&mut connection);
        match told {
            Ok(told) => {
                let ours = format!("process_id:{}", self.running.as_ref().unwrap().pid);
                assert!(told.lines().any(|line| line == ours), "somebody else's Redis is there");
                true
            }
            // One that asks for a password, or still reads its file.
            Err(error) => error.code() == Some("NOAUTH"),
        }
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.leash.stdin.take());
            running.leash.wait().unwrap();
        }
    }

    /// Halts it (`STOP`) or lets it go on (`CONT`).
    pub fn signal(&self, signal: &str) {
        let pid = &self.running.as_ref().unwrap().pid;
        assert!(Command::new("kill").args(["-s", signal, pid]).status().unwrap().success());
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).unwrap()
    }

    /// Sends one command past the registry.
    pub fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(word);
        });
        command.query(&mut self.client().get_connection().unwrap()).unwrap()
    }

    /// A registry on it, patient enough for a machine that does other things as well.
    pub async fn registry(&self) -> RedisRegistry {
        RedisRegistry::connect(&self.url()).await.unwrap().timeout(Duration::from_secs(10))
    }

    /// The same with records kept at hand.
    pub async fn caching(&self) -> RedisRegistry {
        let registry = RedisRegistry::connect_caching(&self.url()).await.unwrap();
        registry.timeout(Duration::from_secs(10))
    }

    /// How often each command ran since the last `CONFIG RESETSTAT`.
    pub fn calls(&self, command: &str) -> u64 {
        let stats: String = self.ask(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
        let calls = line.and_then(|line| line.strip_prefix("calls=")?.split(',').next());
        calls.map_or(0, |calls| calls.parse().unwrap())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}
