//! User with a model of the sessions that this user has.

use std::{fmt, time::Duration};

use session_expire::{
    Policy, Reason, RedisRegistry,
    clock::Timestamp,
    error::RegistryError,
    registry::{
        EndSessions, EndTarget, Ended, NewLogin, Query, Registry, SessionRecord, StoredSession,
    },
};

use crate::{NOON, committed, load_when_available, session};

const MAX_SESSIONS: usize = 2;

/// Number of sessions, the newest, that a user goes on loading.
const LOADED: usize = 8;

#[derive(Clone, Copy, PartialEq)]
pub enum Request {
    Load,
    Change,
}

/// End of a session, as its user knows it.
#[derive(Clone, Copy, PartialEq)]
enum End {
    None,
    /// The request had no response: the session may have ended.
    Unanswered,
    Acknowledged,
}

struct Session {
    login: NewLogin,
    /// `false` if the login had no response.
    is_acknowledged: bool,
    end: End,
}

/// Counts the requests and the broken promises of users.
#[derive(Default)]
pub struct Counts {
    loads: u64,
    logins: u64,
    ends: u64,
    failures: u64,
    pub lost_logins: u64,
    pub revived_ends: u64,
    /// Sessions that ended without a request or an eviction.
    unexplained_ends: u64,
    /// Logins that evicted other sessions than the oldest beyond the limit.
    wrong_evictions: u64,
    /// Lists that contradict the records.
    wrong_lists: u64,
    /// Users with more open sessions than the limit.
    over_limit: u64,
}

/// A user, whose requests are sent one after the other.
pub struct User {
    name: String,
    /// In the order of their logins.
    sessions: Vec<Session>,
    logins: i64,
    only_loads: bool,
    /// No acknowledged change is lost.
    is_durable: bool,
    /// All requests since the last check had a response.
    is_certain: bool,
    pub counts: Counts,
}

impl User {
    pub fn new(name: String, only_loads: bool, is_durable: bool) -> Self {
        let (sessions, counts) = <_>::default();
        Self { name, sessions, logins: 0, only_loads, is_durable, is_certain: is_durable, counts }
    }

    /// Sends one request. An error is not a broken promise.
    pub async fn send_one(&mut self, registry: &RedisRegistry) -> Result<Request, RegistryError> {
        let open = self.sessions.iter().position(|session| session.end == End::None);
        let sent = match (open, fastrand::u32(..8)) {
            (None, _) => self.sign_in(registry).await,
            (Some(_), 0 | 1) if !self.only_loads => self.sign_in(registry).await,
            (Some(open), 2) if !self.only_loads => self.end(open, registry).await,
            _ => self.load(registry).await,
        };
        self.counts.failures += u64::from(sent.is_err());
        sent
    }

    fn now(&self) -> Timestamp {
        NOON.plus(Duration::from_millis(self.logins.unsigned_abs()))
    }

    async fn sign_in(&mut self, registry: &RedisRegistry) -> Result<Request, RegistryError> {
        self.logins += 1;
        let policy = Policy::new().max_sessions(u32::try_from(MAX_SESSIONS).unwrap());
        let login = NewLogin::new(&*self.name, self.now(), &policy);
        let outcome = registry.commit(login.clone()).await.map(committed);
        let is_acknowledged = outcome.is_ok();
        match &outcome {
            Ok((_, ended)) => self.add_evictions(ended),
            Err(_) => self.is_certain = false,
        }
        self.sessions.push(Session { login, is_acknowledged, end: End::None });
        self.counts.logins += u64::from(is_acknowledged);
        outcome.map(|_| Request::Change)
    }

    fn add_evictions(&mut self, ended: &[SessionRecord]) {
        let surplus = (self.open().count() + 1).saturating_sub(MAX_SESSIONS);
        let expected = self.open().take(surplus).map(|session| session.login.id);
        let is_expected = expected.eq(ended.iter().map(|record| record.id));
        self.counts.wrong_evictions += u64::from(self.is_certain && !is_expected);
        for session in &mut self.sessions {
            if ended.iter().any(|record| record.id == session.login.id) {
                session.end = End::Acknowledged;
            }
        }
    }

    /// Returns the sessions of which no end is known, oldest first.
    fn open(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| session.end == End::None)
    }

    async fn end(&mut self, n: usize, registry: &RedisRegistry) -> Result<Request, RegistryError> {
        let target = EndTarget::Session(session(&self.sessions[n].login));
        let end = EndSessions::new(target, Ended::new(Reason::Revoked, self.now()));
        let outcome = registry.end(end).await;
        if let Ok(ended) = &outcome {
            self.counts.unexplained_ends += u64::from(self.is_certain && ended.len() != 1);
            self.counts.ends += 1;
        }
        self.is_certain &= outcome.is_ok();
        self.sessions[n].end = if outcome.is_ok() { End::Acknowledged } else { End::Unanswered };
        outcome.map(|_| Request::Change)
    }

    async fn load(&mut self, registry: &RedisRegistry) -> Result<Request, RegistryError> {
        let first = self.sessions.len().saturating_sub(LOADED);
        let n = fastrand::usize(first..self.sessions.len());
        let loaded = registry.load(self.sessions[n].login.key(), false).await?;
        self.counts.loads += 1;
        self.compare(n, loaded.as_ref());
        Ok(Request::Load)
    }

    /// Counts a contradiction between the model and the stored session, and corrects the model.
    fn compare(&mut self, n: usize, stored: Option<&StoredSession>) {
        let (session, counts) = (&mut self.sessions[n], &mut self.counts);
        let Some(stored) = stored else {
            counts.lost_logins += u64::from(session.is_acknowledged);
            session.is_acknowledged = false;
            return;
        };
        let reason = stored.record.ended.as_ref().map(|ended| ended.reason);
        match (session.end, reason) {
            (End::Acknowledged, None) => counts.revived_ends += 1,
            (End::None, Some(reason)) => {
                // A login without a response may have evicted it.
                let is_explained = reason == Reason::Evicted && !self.is_certain;
                counts.unexplained_ends += u64::from(!is_explained);
            }
            (End::Unanswered, None) => return,
            _ => {}
        }
        session.end = if reason.is_some() { End::Acknowledged } else { End::None };
    }

    /// Compares all sessions with the model while no request is under way. Afterwards the model is
    /// certain.
    pub async fn check(&mut self, registry: &RedisRegistry) {
        let mut stored = vec![];
        for n in 0..self.sessions.len() {
            let key = self.sessions[n].login.key();
            let loaded = load_when_available(registry, key).await;
            self.compare(n, loaded.as_ref());
            stored.push(loaded);
        }
        self.settle(&stored);
        let listed = registry.list(Query::open(&*self.name)).await.unwrap();
        let open = self.open().map(|session| session.login.id);
        let is_right = open.eq(listed.iter().rev().map(|record| record.id));
        self.counts.wrong_lists += u64::from(!is_right);
        self.counts.over_limit += u64::from(listed.len() > MAX_SESSIONS);
    }

    /// Takes the stored state, and forgets the older ended sessions.
    fn settle(&mut self, stored: &[Option<StoredSession>]) {
        let first_loaded = stored.len().saturating_sub(LOADED);
        let sessions = self.sessions.drain(..).zip(stored).enumerate();
        self.sessions = sessions
            .filter_map(|(n, (session, stored))| {
                let is_open = stored.as_ref()?.record.ended.is_none();
                let end = if is_open { End::None } else { End::Acknowledged };
                let session = Session { end, is_acknowledged: true, ..session };
                (is_open || n >= first_loaded).then_some(session)
            })
            .collect();
        self.is_certain = self.is_durable;
    }
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.loads += other.loads;
        self.logins += other.logins;
        self.ends += other.ends;
        self.failures += other.failures;
        self.lost_logins += other.lost_logins;
        self.revived_ends += other.revived_ends;
        self.unexplained_ends += other.unexplained_ends;
        self.wrong_evictions += other.wrong_evictions;
        self.wrong_lists += other.wrong_lists;
        self.over_limit += other.over_limit;
    }

    /// Fails if a limit was not exact, or if a session ended without a request.
    pub fn assert_exact(&self) {
        let Self { unexplained_ends, wrong_evictions, wrong_lists, over_limit, .. } = self;
        let wrong = [unexplained_ends, wrong_evictions, wrong_lists, over_limit];
        assert_eq!(
            wrong, [&0; 4],
            "unexplained ends, wrong evictions, wrong lists, over the limit"
        );
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { loads, logins, ends, failures, lost_logins, revived_ends, .. } = self;
        write!(f, "{logins} logins, {ends} ends, {loads} loads, {failures} errors; ")?;
        write!(f, "{lost_logins} logins lost, {revived_ends} ends lost")
    }
}
