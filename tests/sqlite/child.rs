//! A second process: this test program again, running one ignored test that plays a part.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write, stdout},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio, id},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use session_expire::{
    EndTarget, Ended, LoginOutcome, NewLogin, Policy, Reason, RecordKey, Registry, RegistryError,
    RegistryFuture, SessionRecord, SqliteRegistry, Timestamp,
};

pub const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

const FILE: &str = "SESSION_EXPIRE_TEST_FILE";

/// A folder on a real disk that goes when the test ends.
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

/// A process that plays `part` with `file`, wrapped in `before` if that is not empty.
pub fn play(part: &str, file: &Path, before: &[&str]) -> Command {
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

/// The file to play with; `None` when somebody runs the ignored tests by hand.
pub fn file() -> Option<PathBuf> {
    env::var_os(FILE).map(PathBuf::from)
}

/// Tells the parent something, in one write that the next moment's death cannot tear.
pub fn say(line: &str) {
    let mut out = stdout().lock();
    out.write_all(format!("\n@{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// What the child says, without what the test program says around it.
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

pub fn wait<T>(mut answer: RegistryFuture<'_, T>) -> Result<T, RegistryError> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

pub fn log_in(registry: &SqliteRegistry, user: &str) -> Result<RecordKey, RegistryError> {
    let login = NewLogin::new(user, NOON, &Policy::new());
    let key = login.key;
    let admission = wait(registry.login(login))?;
    assert!(matches!(admission, LoginOutcome::Committed { .. }));
    Ok(key)
}

pub fn log_out(
    registry: &SqliteRegistry,
    key: RecordKey,
) -> Result<Vec<SessionRecord>, RegistryError> {
    wait(registry.end(EndTarget::Key(key), Ended::new(Reason::LoggedOut, NOON)))
}

/// The texts of an error and all that caused it.
pub fn whole(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", whole(source)),
        None => error.to_string(),
    }
}
