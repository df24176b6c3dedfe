//! Records in one file: durable, for one process.

mod error;
mod file;
mod history;
mod rows;
mod schema;
mod state;
mod watch;
mod work;
mod writer;

use std::{
    fmt,
    fs::File,
    future::ready,
    path::Path,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
};

use tokio::sync::oneshot;

pub use self::error::SqliteError;
use self::{
    error::Failure,
    history::Question,
    rows::hashed,
    state::State,
    work::{Job, Reply},
    writer::Writer,
};
use super::{
    EndTarget, Loaded, LoginOutcome, Query, Registry, RegistryFuture,
    key::RecordKey,
    login::NewLogin,
    record::{ActivityUpdate, Ended, SessionRecord},
    room::SessionLimit,
};
use crate::{error::RegistryError, limit::Limit, time::Timestamp};

/// Keeps records in an SQLite file: nothing to install, and a restart signs nobody out.
///
/// ```no_run
/// # fn main() -> Result<(), session_expire::SqliteError> {
/// use session_expire::{Limit, SqliteRegistry};
/// let registry = SqliteRegistry::open("sessions.db")?.log_limit(Limit::At(100));
/// # Ok(()) }
/// ```
///
/// # What is promised
///
/// - A login, an end or a change of a user's own policy is on the disk (`synchronous = FULL`) before
///   the answer comes. A killed process, or a machine without power, loses none that was answered.
/// - Requests are judged from memory; loading a record of the last day reads no file. `last_seen` is
///   written every 5 seconds and when the registry is dropped. After a crash it is up to that much
///   older than it was: a session may end early, never late.
/// - Memory changes only when the disk has. When a write fails, on a full disk or a file that has
///   become read-only, the login is not let in, the end has not happened, and the [`RegistryError`] has the
///   reason as its source. (If the disk fails in the middle of a write, what was answered with an
///   error may still have reached it. After a restart it may then be true: an end, or a login whose
///   key nobody has.)
/// - One process has the file. Another is refused with [`SqliteError::InUse`], by a lock that
///   the system gives back however the process dies. Not for network file systems, whose locks can't be
///   relied on.
///
/// Logins that wait at the same moment share one sync of the disk, so the more there are, the cheaper
/// each gets; those of one user go one after the other.
///
/// # The log
///
/// Ended logins stay in the file without limit, or as many of each user as
/// [`log_limit`](Self::log_limit) says. They don't stay in memory. A login that nobody used for
/// 90 days ends. What is trimmed is kept for one more day after its end, so that a late visitor still learns the
/// reason, and then deleted, up to 100 rows with every login.
///
/// # The files
///
/// Beside the file lie `<file>-wal`, which has the newest writes, `<file>-shm` and `<file>.lock`. All must stay
/// in their places while a process runs. Once the file or its lock was moved, replaced or removed, logins
/// and ends fail (on Unix, where that can happen); of the other two nobody would notice it. Back up the file of a running process with
/// `VACUUM INTO 'backup.db'` or the `.backup` of `sqlite3`, never by a plain copy, which may be torn.
///
/// # The tables
///
/// Read them with any SQLite client, also while the registry runs; write only while it doesn't.
///
/// ```sql
/// SELECT * FROM login_history WHERE user = 'alice' ORDER BY logged_in_at DESC LIMIT 20;
/// SELECT user, count(*) FROM logins WHERE in_log AND ended_reason = 'evicted' GROUP BY user;
/// SELECT datetime(logged_in_at / 1000, 'unixepoch') FROM logins;  -- UTC; add 'localtime' for yours
/// ```
///
/// The view `login_history` shows `user`, `id`, `logged_in_at`, `last_seen`, `ended_at`,
/// `ended_reason`, `ended_by`, `ip` and `device` of the log, with times as `2026-01-01T12:00:00.000Z`.
/// Below it lies the table `logins`, one row for each login, with times in milliseconds since 1970:
///
/// | column | meaning |
/// |---|---|
/// | `seq` | counts up with the logins |
/// | `key_hash` | from the secret key by SHA-256: with the file alone nobody can forge a session |
/// | `id` | the public id |
/// | `seal` | the secret that signs what this login's pages claim |
/// | `user` | the user, as actix-identity knows them |
/// | `logged_in_at`, `last_seen` | when the person signed in and was last active |
/// | `ip`, `device` | from where; `ip` is `NULL` and `device` empty if that is not known |
/// | `idle_ms`, `absolute_ms` | the limits under which it holds a place; `NULL` for never |
/// | `choice` | what was chosen at this login, as JSON in the words of the attribute, or `NULL` |
/// | `patch` | what the user has of their own, as JSON in the words of the attribute, or `NULL` |
/// | `ended_at` | when it ended; `NULL` while it is open, which it stays until somebody notices that it ran out |
/// | `ended_reason` | `idle`, `absolute`, `evicted`, `revoked`, `logged_out` or `unknown` |
/// | `ended_by` | the device whose login took the place |
/// | `in_log` | 0 once it was trimmed |
///
/// `PRAGMA user_version` is the version of the schema. An older file is brought to the present one
/// when it is opened; a newer one is refused. The file is made for the eyes of its user only (mode 0600).
pub struct SqliteRegistry {
    state: Arc<State>,
    jobs: Option<Sender<Job>>,
    questions: Option<Sender<Question>>,
    threads: Vec<JoinHandle<()>>,
    /// Held until the threads have ended.
    _lock: File,
}

impl SqliteRegistry {
    /// Opens or makes the file, and reads all open logins into memory. Blocks meanwhile: some seconds
    /// for a million of them.
    ///
    /// # Errors
    ///
    /// A [`SqliteError`] that names the file and the cure.
    ///
    /// ```no_run
    /// use session_expire::{Policy, SessionExpire, SqliteRegistry};
    /// let registry = SqliteRegistry::open("/var/lib/site/sessions.db")?;
    /// let expire = SessionExpire::builder(Policy::new()).registry(registry).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteError> {
        let file::Opened { path, writer, reader, lock, watched } = file::open(path.as_ref())?;
        let loaded = State::load(path.clone(), watched, &reader);
        let state = Arc::new(loaded.map_err(|source| SqliteError::opening(path.clone(), source))?);
        let (jobs, to_write) = channel();
        let (questions, to_answer) = channel();
        let writer = Writer::new(writer, Arc::clone(&state), to_write);
        let shared = Arc::clone(&state);
        let answer = move || history::run(&reader, &shared, to_answer);
        let threads = vec![
            spawn("session-writer", &path, move || writer.run())?,
            spawn("session-history", &path, answer)?,
        ];
        let (jobs, questions) = (Some(jobs), Some(questions));
        Ok(Self { state, jobs, questions, threads, _lock: lock })
    }

    /// Keeps this many ended logins of each user in the log; `Limit::At(0)` for none, `Limit::Off`, the
    /// default, for all. A lower limit than before reaches people who don't come by, too, within some
    /// minutes to an hour.
    ///
    /// ```no_run
    /// use session_expire::{Limit, SqliteRegistry};
    /// let registry = SqliteRegistry::open("sessions.db")?.log_limit(Limit::At(100));
    /// # Ok::<(), session_expire::SqliteError>(())
    /// ```
    #[must_use]
    pub fn log_limit(self, limit: Limit<u32>) -> Self {
        self.state.set_log_limit(limit);
        self
    }

    /// Hands a job to the writer; `operation` is for the text of the error.
    fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(Reply<T>) -> Job,
    ) -> RegistryFuture<'static, T> {
        let (reply, answer) = oneshot::channel();
        let job = job(reply);
        // Without a receiver the reply is dropped, and the answer says so.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
        awaited(operation, answer)
    }

    fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        question: impl FnOnce(Reply<T>) -> Question,
    ) -> RegistryFuture<'static, T> {
        let (reply, answer) = oneshot::channel();
        let question = question(reply);
        let _ = self.questions.as_ref().map(|questions| questions.send(question));
        awaited(operation, answer)
    }
}

fn spawn(
    name: &str,
    path: &Path,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, SqliteError> {
    let failed = |source| SqliteError::Open { file: path.to_owned(), source };
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(failed)
}

fn awaited<T: Send + 'static>(
    operation: &'static str,
    answer: oneshot::Receiver<Result<T, Failure>>,
) -> RegistryFuture<'static, T> {
    Box::pin(async move {
        let answer = answer.await.unwrap_or(Err(Failure::Stopped));
        answer.map_err(|failure| RegistryError::new(operation, failure))
    })
}

impl Registry for SqliteRegistry {
    fn login(&self, mut login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        login.key = hashed(login.key);
        login.replaces = login.replaces.map(|(key, reason)| (hashed(key), reason));
        self.write("record a login", |reply| Job::Login(Box::new(login), reply))
    }

    fn load(&self, key: RecordKey) -> RegistryFuture<'_, Option<Loaded>> {
        let key = hashed(key);
        let known = self.state.shards.of_tag(key.tag()).load(&key);
        match known {
            Some(loaded) => Box::pin(ready(Ok(Some(loaded)))),
            None => self.ask("load a record", |reply| Question::Load(key, reply)),
        }
    }

    fn touch(&self, key: RecordKey, change: ActivityUpdate) -> RegistryFuture<'_, ()> {
        let key = hashed(key);
        if self.state.touch(&key, &change) {
            return Box::pin(ready(Ok(())));
        }
        self.write("note activity", |reply| Job::Touch(key, change, reply))
    }

    fn end(&self, target: EndTarget, ended: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
        let target = match target {
            EndTarget::Key(key) => EndTarget::Key(hashed(key)),
            other => other,
        };
        self.write("end a session", |reply| Job::End(target, ended, reply))
    }

    fn make_room(
        &self,
        key: RecordKey,
        room: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        let key = hashed(key);
        self.write("make room", |reply| Job::MakeRoom(key, room, ended, reply))
    }

    fn find(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        if query.ended == Some(false) {
            return Box::pin(ready(Ok(self.state.shards.find(&query))));
        }
        self.ask("list records", |reply| Question::Find(query, reply))
    }

    fn begin(&self, now: Timestamp) {
        let change = ActivityUpdate { seen: now, now, patch: None };
        for key in self.state.shards.ahead_of(now) {
            drop(self.write("note activity", |reply| Job::Touch(key, change.clone(), reply)));
        }
    }
}

impl Drop for SqliteRegistry {
    /// Waits until everything is on the disk.
    fn drop(&mut self) {
        self.jobs = None;
        self.questions = None;
        for thread in self.threads.drain(..) {
            // It has nothing to say but that it panicked, which the panic hook has told already.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for SqliteRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRegistry").field("file", &self.state.file).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::PathBuf,
        pin::pin,
        sync::atomic::{AtomicU32, Ordering},
        task::{Context, Poll, Wake, Waker},
        thread::Thread,
    };

    use rusqlite::Connection;

    use super::*;
    use crate::{
        facts::Reason,
        limit::Overflow,
        policy::{Policy, PolicyPatch},
        registry::{key::PublicId, record::Client},
        time::{Timestamp, hours, minutes, seconds},
    };

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    /// A folder that goes when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let name = format!(
                "session-expire-{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            );
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("sessions.db")
        }

        fn open(&self) -> SqliteRegistry {
            SqliteRegistry::open(self.file()).unwrap()
        }

        /// What another program sees in the file now.
        fn number(&self, sql: &str) -> i64 {
            let db = Connection::open(self.file()).unwrap();
            db.query_row(sql, [], |row| row.get(0)).unwrap()
        }

        fn change(&self, sql: &str) {
            Connection::open(self.file()).unwrap().execute_batch(sql).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn wait<T>(answer: RegistryFuture<'_, T>) -> Result<T, RegistryError> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut answer = pin!(answer);
        loop {
            match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => thread::park(),
            }
        }
    }

    fn login(registry: &SqliteRegistry, user: &str, at: Timestamp) -> RecordKey {
        let login = NewLogin::new(user, at, &Policy::new());
        let key = login.key;
        wait(registry.login(login)).unwrap();
        key
    }

    fn log_out(registry: &SqliteRegistry, key: RecordKey, at: Timestamp) -> Vec<SessionRecord> {
        wait(registry.end(EndTarget::Key(key), Ended::new(Reason::LoggedOut, at))).unwrap()
    }

    fn load(registry: &SqliteRegistry, key: RecordKey) -> Option<SessionRecord> {
        wait(registry.load(key)).unwrap().map(|loaded| SessionRecord::clone(&loaded.record))
    }

    fn reason(registry: &SqliteRegistry, key: RecordKey) -> Option<Reason> {
        load(registry, key)?.ended.map(|ended| ended.reason)
    }

    fn past(registry: &SqliteRegistry, user: &str) -> Vec<SessionRecord> {
        wait(registry.find(Query::past(user))).unwrap()
    }

    /// The texts of an error and all that caused it.
    fn whole(error: &dyn std::error::Error) -> String {
        match error.source() {
            Some(source) => format!("{error}: {}", whole(source)),
            None => error.to_string(),
        }
    }

    #[test]
    fn everything_about_a_login_survives_a_restart() {
        let (folder, patch) = (Folder::new(), PolicyPatch::new().idle(Limit::Off).max_sessions(2));
        let policy = Policy::new().absolute(Limit::Off).idle(minutes(7));
        let mut login = NewLogin::new("zoë 'x'", NOON, &policy);
        login.client = Client { ip: "2001:db8::1".parse().ok(), device: "Firefox on Linux".into() };
        login.patch = Some(Arc::new(patch));
        let (key, registry) = (login.key, folder.open());
        let LoginOutcome::Committed { record, .. } = wait(registry.login(login)).unwrap() else {
            unreachable!()
        };
        drop(registry);
        assert_eq!(load(&folder.open(), key), Some(record));
    }

    #[test]
    fn the_signed_in_stay_signed_in_and_the_ended_stay_ended() {
        let folder = Folder::new();
        let registry = folder.open();
        let (alive, over) = (login(&registry, "alice", NOON), login(&registry, "alice", NOON));
        assert_eq!(log_out(&registry, over, NOON).len(), 1);
        drop(registry);
        let registry = folder.open();
        assert_eq!(
            (reason(&registry, alive), reason(&registry, over)),
            (None, Some(Reason::LoggedOut))
        );
        assert_eq!(wait(registry.load(over)).unwrap().unwrap().open, 1);
        assert_eq!(log_out(&registry, over, NOON), []);
        assert!(load(&registry, RecordKey::random("alice")).is_none());
    }

    #[test]
    fn a_file_holds_no_key() {
        let folder = Folder::new();
        let registry = folder.open();
        let key = login(&registry, "alice", NOON);
        drop(registry);
        let bytes = fs::read(folder.file()).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(holds(hashed(key).expose()) && !holds(key.expose()) && !holds(&key.expose()[4..]));
        assert!(load(&folder.open(), hashed(key)).is_none(), "the stored name opens nothing");
    }

    #[test]
    fn the_log_is_trimmed_for_each_user_alone_and_the_late_still_learn_why() {
        for (limit, kept) in [(Limit::Off, 4), (Limit::At(2), 2), (Limit::At(0), 0)] {
            let folder = Folder::new();
            let registry = folder.open();
            let other = login(&registry, "bob", NOON);
            log_out(&registry, other, NOON);
            let registry = registry.log_limit(limit);
            let keys: Vec<_> =
                (0..4).map(|n| login(&registry, "alice", NOON.plus(seconds(n)))).collect();
            keys.iter().for_each(|key| drop(log_out(&registry, *key, NOON.plus(minutes(1)))));
            let newest: Vec<_> =
                keys.iter().rev().take(kept).map(|key| load(&registry, *key).unwrap()).collect();
            assert_eq!(past(&registry, "alice"), newest, "{limit:?}");
            assert_eq!(past(&registry, "bob").len(), 1, "{limit:?}");
            drop(registry);
            let registry = folder.open().log_limit(limit);
            assert_eq!(past(&registry, "alice").len(), kept, "{limit:?}");
            assert_eq!(reason(&registry, keys[0]), Some(Reason::LoggedOut), "{limit:?}");
            assert_eq!(folder.number("SELECT count(*) FROM logins"), 5);
            login(&registry, "carol", NOON.plus(hours(25)));
            let left = i64::try_from(kept).unwrap() + 2;
            assert_eq!(folder.number("SELECT count(*) FROM logins"), left, "{limit:?}");
        }
    }

    #[test]
    fn a_log_is_listed_page_by_page_across_memory_and_file() {
        let folder = Folder::new();
        let registry = folder.open();
        let keys: Vec<_> =
            (0..5).map(|n| login(&registry, "alice", NOON.plus(seconds(n)))).collect();
        login(&registry, "bob", NOON);
        log_out(&registry, keys[1], NOON.plus(minutes(1)));
        let later = NOON.plus(minutes(2));
        wait(registry.touch(keys[0], ActivityUpdate { seen: later, now: later, patch: None }))
            .unwrap();
        let all: Vec<_> = keys.iter().rev().map(|key| load(&registry, *key).unwrap()).collect();
        let (mut listed, mut after) = (vec![], None);
        while listed.len() < 5 {
            let query = Query { user: Some("alice".into()), after, limit: Some(2), ended: None };
            listed.extend(wait(registry.find(query)).unwrap());
            after = listed.last().map(Query::place);
        }
        assert_eq!(listed, all);
        assert_eq!(listed[4].last_seen, later);
        assert_eq!(wait(registry.find(Query::default())).unwrap().len(), 6);
        assert_eq!(wait(registry.find(Query::open("alice"))).unwrap().len(), 4);
    }

    #[test]
    fn activity_is_saved_when_the_registry_goes() {
        let folder = Folder::new();
        let registry = folder.open();
        let (key, later) = (login(&registry, "alice", NOON), NOON.plus(minutes(3)));
        wait(registry.touch(key, ActivityUpdate { seen: later, now: later, patch: None })).unwrap();
        assert_eq!(load(&registry, key).unwrap().last_seen, later);
        drop(registry);
        assert_eq!(load(&folder.open(), key).unwrap().last_seen, later);
    }

    #[test]
    fn what_could_let_a_session_last_longer_is_not_written_behind() {
        let folder = Folder::new();
        let registry = folder.open();
        let (key, before) = (login(&registry, "alice", NOON), NOON.minus(hours(1)));
        wait(registry.touch(key, ActivityUpdate { seen: before, now: before, patch: None }))
            .unwrap();
        assert_eq!(folder.number("SELECT last_seen FROM logins"), before.as_millis());
        let patch = Some(Some(Arc::new(PolicyPatch::new().idle(minutes(1)))));
        wait(registry.touch(key, ActivityUpdate { seen: before, now: before, patch })).unwrap();
        assert_eq!(
            folder.number("SELECT count(*) FROM logins WHERE patch = '{\"idle\":\"1m\"}'"),
            1
        );
    }

    #[test]
    fn what_a_wrong_clock_has_written_is_put_right_at_the_start() {
        let folder = Folder::new();
        let key = login(&folder.open(), "alice", NOON);
        let earlier = NOON.minus(hours(1));
        folder.open().begin(earlier);
        let record = load(&folder.open(), key).unwrap();
        assert_eq!((record.logged_in_at, record.last_seen), (earlier, earlier));
        folder.open().begin(NOON);
        assert_eq!(load(&folder.open(), key).unwrap().last_seen, earlier);
    }

    #[test]
    fn of_fifty_simultaneous_logins_one_lives_also_after_a_restart() {
        let folder = Folder::new();
        let registry = folder.open();
        let policy = Policy::new().max_sessions(1);
        thread::scope(|scope| {
            let (registry, policy) = (&registry, &policy);
            for _ in 0..50 {
                scope.spawn(|| wait(registry.login(NewLogin::new("alice", NOON, policy))).unwrap());
            }
        });
        assert_eq!(wait(registry.find(Query::open("alice"))).unwrap().len(), 1);
        drop(registry);
        let registry = folder.open();
        let holders = wait(registry.find(Query::open("alice"))).unwrap();
        assert_eq!((holders.len(), past(&registry, "alice").len()), (1, 49));
        let refusing = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
        let answer = wait(registry.login(NewLogin::new("alice", NOON, &refusing))).unwrap();
        assert!(matches!(answer, LoginOutcome::Refused { holders: named } if named == holders));
    }

    #[test]
    fn a_write_that_fails_changes_nothing_and_harms_nobody_else() {
        let folder = Folder::new();
        let registry = folder.open();
        let victim = login(&registry, "mallory", NOON);
        folder.change(
            "CREATE TRIGGER no_login BEFORE INSERT ON logins WHEN NEW.user = 'mallory'
                 BEGIN SELECT RAISE(ABORT, 'out of order'); END;
             CREATE TRIGGER no_end BEFORE UPDATE ON logins WHEN OLD.user = 'mallory'
                 BEGIN SELECT RAISE(ABORT, 'out of order'); END;",
        );
        let one = Policy::new().max_sessions(1);
        let refused = NewLogin::new("mallory", NOON, &one);
        let key = refused.key;
        let answers: Vec<_> = (0..20)
            .map(|n| registry.login(NewLogin::new(format!("user {n}"), NOON, &one)))
            .collect();
        let error = wait(registry.login(refused)).unwrap_err();
        assert!(whole(&error).contains("could not record a login"), "{}", whole(&error));
        assert!(whole(&error).contains("sessions.db"), "{}", whole(&error));
        answers.into_iter().for_each(|answer| drop(wait(answer).unwrap()));
        assert_eq!((load(&registry, key), reason(&registry, victim)), (None, None));
        let everywhere = Ended::new(Reason::Revoked, NOON);
        wait(registry.end(EndTarget::All("mallory".into()), everywhere)).unwrap_err();
        assert_eq!(reason(&registry, victim), None);
        assert_eq!(wait(registry.find(Query::open("mallory"))).unwrap().len(), 1);
        folder.change("DROP TRIGGER no_end");
        assert_eq!(log_out(&registry, victim, NOON).len(), 1);
    }

    #[test]
    fn a_policy_that_could_not_be_read_back_is_refused_now() {
        let folder = Folder::new();
        let registry = folder.open();
        let mut login = NewLogin::new("alice", NOON, &Policy::new());
        login.patch = Some(Arc::new(PolicyPatch::new().login_url("https://elsewhere.example/")));
        let error = wait(registry.login(login)).unwrap_err();
        assert!(whole(&error).contains("login_url"), "{}", whole(&error));
        assert_eq!(folder.number("SELECT count(*) FROM logins"), 0);
    }

    #[test]
    fn a_login_that_nobody_used_for_90_days_ends() {
        let folder = Folder::new();
        let registry = folder.open();
        let mut forgotten =
            NewLogin::new("alice", NOON, &Policy::new().idle(Limit::Off).absolute(Limit::Off));
        forgotten.id = PublicId::random();
        let key = forgotten.key;
        wait(registry.login(forgotten)).unwrap();
        login(&registry, "alice", NOON.plus(hours(24 * 90)));
        assert_eq!(reason(&registry, key), Some(Reason::Idle));
        assert_eq!(wait(registry.find(Query::open("alice"))).unwrap().len(), 1);
        drop(registry);
        assert_eq!(past(&folder.open(), "alice").len(), 1);
    }

    #[test]
    fn what_is_not_a_registry_is_refused_with_the_cure() {
        type Spoil = fn(&Folder);
        let spoiled: [(Spoil, &str); 5] = [
            (
                |folder| {
                    fs::write(folder.file(), "not a database, but long enough".repeat(99)).unwrap();
                },
                "backup",
            ),
            (|folder| folder.change("CREATE TABLE cookies (x)"), "a file of its own"),
            (
                |folder| {
                    drop(folder.open());
                    folder.change("PRAGMA user_version = 99");
                },
                "version 99 and this program knows versions up to 1; update the program",
            ),
            (
                |folder| {
                    login(&folder.open(), "alice", NOON);
                    folder.change("UPDATE logins SET seal = 'x'");
                },
                "backup",
            ),
            (|folder| fs::create_dir(folder.file()).unwrap(), "cannot be opened"),
        ];
        for (spoil, words) in spoiled {
            let folder = Folder::new();
            spoil(&folder);
            let error = whole(&SqliteRegistry::open(folder.file()).unwrap_err());
            assert!(error.contains(words) && error.contains("sessions.db"), "{error}");
        }
        let error = whole(&SqliteRegistry::open("/nowhere/at/all.db").unwrap_err());
        assert!(error.contains("check that its folder exists"), "{error}");
    }

    #[test]
    fn one_file_serves_one_registry_by_whatever_name() {
        let folder = Folder::new();
        let registry = folder.open();
        let detour = folder.0.join("..").join(folder.0.file_name().unwrap()).join("sessions.db");
        let error = SqliteRegistry::open(detour).unwrap_err().to_string();
        assert!(error.contains("already in use by this very process"), "{error}");
        drop(registry);
        folder.open();
    }

    #[test]
    #[cfg(unix)]
    fn nobody_else_may_read_the_files() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new();
        let registry = folder.open();
        login(&registry, "alice", NOON);
        for entry in fs::read_dir(&folder.0).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
        }
    }

    #[test]
    fn people_can_read_their_history_while_the_registry_runs() {
        let folder = Folder::new();
        let registry = folder.open();
        login(&registry, "alice", NOON);
        let sql = "SELECT count(*) FROM login_history
                   WHERE user = 'alice' AND logged_in_at = '2026-01-01T12:00:00.000Z' AND ended_at IS NULL";
        assert_eq!(folder.number(sql), 1);
    }
}
