//! Second process of a test: this test program again, which runs one ignored test.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write, stdout},
    path::{Path, PathBuf},
    pin::pin,
    process::{Child, ChildStdout, Command, Stdio, id},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use session_expire::{
    Policy, Reason, SqliteRegistry,
    clock::Timestamp,
    error::RegistryError,
    registry::{
        DataChanges, EndSessions, EndTarget, Ended, LoginOutcome, NewLogin, Registry,
        RegistryFuture, SessionRecord, SessionUpdate, UpdateOutcome,
    },
};
pub use session_expire_tests::{NOON, session};

const FILE: &str = "SESSION_EXPIRE_TEST_FILE";

/// A folder on a disk that is deleted when the test ends.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sqlite-{}-{}", id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("sessions.db")
    }

    pub fn open(&self) -> SqliteRegistry {
        SqliteRegistry::open(self.file()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the command that runs the test `part` with `file`, wrapped in `before` unless it is
/// empty.
pub fn child(part: &str, file: &Path, before: &[&str]) -> Command {
    let program = env::current_exe().unwrap();
    let mut command = match before {
        [] => Command::new(program),
        [shell, arguments @ ..] => {
            let mut command = Command::new(shell);
            command.args(arguments).arg(program);
            command
        }
    };
    command.args(["--exact", part, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(FILE, file).stdout(Stdio::piped()).stdin(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Returns the file of a child; `None` if the ignored tests are run manually.
pub fn file() -> Option<PathBuf> {
    env::var_os(FILE).map(PathBuf::from)
}

/// Sends a line to the parent, in one write that a kill cannot tear.
pub fn send(line: &str) {
    let mut out = stdout().lock();
    out.write_all(format!("\n@{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Returns the lines that the child sends, without the other output of the test program.
pub fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out: ChildStdout = child.stdout.take().unwrap();
    let lines = BufReader::new(out).lines().map_while(Result::ok);
    lines.filter_map(|line| line.strip_prefix('@').map(str::to_owned))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub fn wait<T>(outcome: RegistryFuture<'_, T>) -> Result<T, RegistryError> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut outcome = pin!(outcome);
    loop {
        match outcome.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => thread::park(),
        }
    }
}

pub fn log_in(registry: &SqliteRegistry, user: &str) -> Result<NewLogin, RegistryError> {
    let login = NewLogin::new(user, NOON, &Policy::new());
    let outcome = wait(registry.commit(login.clone()))?;
    assert!(matches!(outcome, LoginOutcome::Committed { .. }));
    Ok(login)
}

pub fn log_out(
    registry: &SqliteRegistry,
    login: &NewLogin,
) -> Result<Vec<SessionRecord>, RegistryError> {
    let target = EndTarget::Session(session(login));
    wait(registry.end(EndSessions::new(target, Ended::new(Reason::LoggedOut, NOON))))
}

/// Records activity at `at`.
pub fn record_activity(registry: &SqliteRegistry, login: &NewLogin, at: Timestamp) {
    let update = registry.update(session(login), SessionUpdate::new(at).active(at));
    assert_eq!(wait(update).unwrap(), UpdateOutcome::Updated);
}

/// Stores an entry of session data, which must be durable.
pub fn store_data(registry: &SqliteRegistry, login: &NewLogin) -> Result<(), RegistryError> {
    let mut data = DataChanges::default();
    data.set("stored", serde_json::value::to_raw_value(&true).unwrap());
    let mut update = SessionUpdate::new(NOON);
    update.data = data;
    assert_eq!(wait(registry.update(session(login), update))?, UpdateOutcome::Updated);
    Ok(())
}

/// Returns the messages of an error and all its sources.
pub fn full_message(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", full_message(source)),
        None => error.to_string(),
    }
}
