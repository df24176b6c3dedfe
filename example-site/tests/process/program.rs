//! A process of the example site.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

/// Timeout of a read, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Returns a command that starts the site on a free port, with a registry in memory.
pub(crate) fn command() -> Command {
    let key = std::env::temp_dir().join(format!("example-site-key-{}", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-site"));
    command.args(["--bind", "127.0.0.1:0", "--registry", "memory", "--key-file"]).arg(key);
    command.env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running site. It is killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    address: String,
}

impl Program {
    /// Starts the site, and waits until it accepts connections.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address }
    }

    /// Starts a site that is expected to fail. Returns `true` if it starts, and its log.
    pub(crate) fn start_failing(command: &mut Command) -> (bool, String) {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let site = Self { child, address: String::new() };
        if !line.is_empty() {
            site.signal("TERM");
        }
        (!line.is_empty(), site.wait().1)
    }

    /// Opens a connection and sends `text`.
    pub(crate) fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until the site has stopped. Returns its status and its log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let (status, mut log) = (self.child.wait().unwrap(), String::new());
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status, log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
