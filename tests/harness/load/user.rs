//! User of two registries, with a model of the sessions that this user has.

use std::{collections::HashSet, time::Duration};

use session_expire::{
    Policy, PublicId, Reason, RedisRegistry,
    clock::Timestamp,
    error::RegistryError,
    registry::{
        EndSessions, EndTarget, Ended, NewLogin, Query, Registry, SessionRecord, StoredSession,
    },
};

use super::counts::Counts;
use crate::records::{NOON, committed, load_when_available, session};

/// Number of the newest sessions, which a user continues to load.
const LOADED: usize = 8;

/// Registries of two processes.
pub type Registries = [RedisRegistry; 2];

#[derive(Clone, Copy, PartialEq)]
pub enum Request {
    Read,
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

/// A user, whose requests go to either registry, one after another.
pub struct User {
    pub name: String,
    max_sessions: usize,
    /// Sessions in the order of their logins.
    sessions: Vec<Session>,
    evicted: HashSet<PublicId>,
    logins: i64,
    /// Set if the user only loads after a login.
    pub only_loads: bool,
    /// Set if no acknowledged change may be lost.
    is_durable: bool,
    /// Set if all requests since the last check had a response.
    is_certain: bool,
    pub counts: Counts,
}

impl User {
    pub fn new(name: String, max_sessions: usize, is_durable: bool) -> Self {
        Self {
            name,
            max_sessions,
            sessions: vec![],
            evicted: HashSet::new(),
            logins: 0,
            only_loads: false,
            is_durable,
            is_certain: is_durable,
            counts: Counts::default(),
        }
    }

    /// Sends one request. An error violates no guarantee.
    pub async fn send_one(&mut self, registries: &Registries) -> Result<Request, RegistryError> {
        let open = self.sessions.iter().position(|session| session.end == End::None);
        let (here, there) = match fastrand::bool() {
            true => (&registries[0], &registries[1]),
            false => (&registries[1], &registries[0]),
        };
        let sent = match (open, fastrand::u32(..8)) {
            (None, _) => self.sign_in(here, there).await,
            _ if self.only_loads => self.load(here).await,
            (_, 0..=2) => self.sign_in(here, there).await,
            (Some(open), 3) => self.end(open, here, there).await,
            (_, 4) => self.list(here).await,
            _ => self.load(here).await,
        };
        self.counts.failures += u64::from(sent.is_err());
        sent
    }

    fn now(&self) -> Timestamp {
        NOON.plus(Duration::from_millis(self.logins.unsigned_abs()))
    }

    async fn sign_in(
        &mut self,
        here: &RedisRegistry,
        there: &RedisRegistry,
    ) -> Result<Request, RegistryError> {
        self.logins += 1;
        let policy = Policy::new().max_sessions(u32::try_from(self.max_sessions).unwrap());
        let login = NewLogin::new(&*self.name, self.now(), &policy);
        let outcome = here.commit(login.clone()).await.map(committed);
        let is_acknowledged = outcome.is_ok();
        match &outcome {
            Ok((_, ended)) => self.add_evictions(ended),
            Err(_) => self.is_certain = false,
        }
        self.sessions.push(Session { login, is_acknowledged, end: End::None });
        self.counts.logins += u64::from(is_acknowledged);
        outcome?;
        self.load_number(self.sessions.len() - 1, there).await?;
        Ok(Request::Change)
    }

    fn add_evictions(&mut self, ended: &[SessionRecord]) {
        let surplus = (self.open().count() + 1).saturating_sub(self.max_sessions);
        let expected = self.open().take(surplus).map(|session| session.login.id);
        let is_expected = expected.eq(ended.iter().map(|record| record.id));
        self.counts.wrong_evictions += u64::from(self.is_certain && !is_expected);
        for record in ended {
            let is_new = self.evicted.insert(record.id);
            self.counts.repeated_evictions += u64::from(self.is_durable && !is_new);
            let mut sessions = self.sessions.iter_mut();
            if let Some(session) = sessions.find(|session| session.login.id == record.id) {
                session.end = End::Acknowledged;
            }
        }
    }

    /// Returns the sessions without a known end, oldest first.
    fn open(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| session.end == End::None)
    }

    /// Ends a session. Afterwards no process accepts it.
    async fn end(
        &mut self,
        n: usize,
        here: &RedisRegistry,
        there: &RedisRegistry,
    ) -> Result<Request, RegistryError> {
        let target = EndTarget::Session(session(&self.sessions[n].login));
        let end = EndSessions::new(target, Ended::new(Reason::Revoked, self.now()));
        let outcome = here.end(end).await;
        if let Ok(ended) = &outcome {
            self.counts.unexplained_ends += u64::from(self.is_certain && ended.len() != 1);
            self.counts.ends += 1;
        }
        self.is_certain &= outcome.is_ok();
        self.sessions[n].end = if outcome.is_ok() { End::Acknowledged } else { End::Unanswered };
        outcome?;
        self.load_number(n, there).await?;
        Ok(Request::Change)
    }

    async fn list(&mut self, here: &RedisRegistry) -> Result<Request, RegistryError> {
        let listed = here.list(Query::open(&*self.name)).await?;
        self.counts.reads += 1;
        self.compare_list(&listed, self.is_certain);
        Ok(Request::Read)
    }

    /// Compares a list with the model. `is_complete` is set if no other session may be open.
    fn compare_list(&mut self, listed: &[SessionRecord], is_complete: bool) {
        let open = self.open().map(|session| session.login.id);
        let is_right = open.eq(listed.iter().rev().map(|record| record.id));
        self.counts.wrong_lists += u64::from(is_complete && !is_right);
        self.counts.over_limit += u64::from(listed.len() > self.max_sessions);
        let is_known = |id| self.sessions.iter().any(|session| session.login.id == id);
        let unknown = listed.iter().filter(|record| !is_known(record.id)).count();
        self.counts.invented += unknown as u64;
    }

    async fn load(&mut self, here: &RedisRegistry) -> Result<Request, RegistryError> {
        let first = self.sessions.len().saturating_sub(LOADED);
        self.load_number(fastrand::usize(first..self.sessions.len()), here).await?;
        Ok(Request::Read)
    }

    async fn load_number(
        &mut self,
        n: usize,
        registry: &RedisRegistry,
    ) -> Result<(), RegistryError> {
        let loaded = registry.load(self.sessions[n].login.key(), false).await?;
        self.counts.reads += 1;
        self.compare(n, loaded.as_ref());
        Ok(())
    }

    /// Counts a contradiction between the model and the stored session, and corrects the model.
    fn compare(&mut self, n: usize, stored: Option<&StoredSession>) {
        let (session, counts) = (&mut self.sessions[n], &mut self.counts);
        let Some(stored) = stored else {
            counts.lost_logins += u64::from(session.is_acknowledged);
            (session.is_acknowledged, session.end) = (false, End::Unanswered);
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
    /// exact.
    pub async fn check(&mut self, registry: &RedisRegistry) {
        let mut stored = vec![];
        for n in 0..self.sessions.len() {
            let loaded = load_when_available(registry, self.sessions[n].login.key()).await;
            self.compare(n, loaded.as_ref());
            stored.push(loaded);
        }
        self.settle(&stored);
        let listed = registry.list(Query::open(&*self.name)).await.unwrap();
        self.compare_list(&listed, true);
        self.is_certain = self.is_durable;
    }

    /// Replaces the model with the stored state, and removes older ended sessions.
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
    }
}
