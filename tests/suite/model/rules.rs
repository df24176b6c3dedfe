//! Session rules without HTTP.

use session_expire::Overflow;

use super::{
    ABSOLUTE, IDLE,
    steps::{Kind, Page},
};

/// Entries and messages of a session or an anonymous cookie.
#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    pub(super) visits: u32,
    pub(super) messages: Vec<String>,
}

impl Data {
    pub(super) fn push(&mut self, message: String) {
        self.messages.push(message);
        let surplus = self.messages.len().saturating_sub(12);
        self.messages.drain(..surplus);
    }
}

/// Session of the model.
#[derive(Debug)]
pub(super) struct Session {
    data: Data,
    user: usize,
    at: u64,
    seen: u64,
    ended: Option<&'static str>,
    /// The number of renewals of the key.
    renewals: u32,
}

impl Session {
    /// Returns the reason if the session is expired at `now`.
    fn expired(&self, idle: u64, now: u64) -> Option<&'static str> {
        let (idle_end, session_end) = (self.seen + idle, self.at + ABSOLUTE);
        match self.ended {
            Some(reason) => Some(reason),
            None if now < idle_end.min(session_end) => None,
            None if idle_end < session_end => Some("idle"),
            None => Some("absolute"),
        }
    }
}

/// Session key in a browser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Key {
    session: usize,
    renewal: u32,
}

/// Access of a request.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Anonymous,
    Active(usize),
    /// The reason, and the session if it is open.
    Expired(&'static str, Option<usize>),
}

/// Outcome of a login.
#[derive(PartialEq)]
pub(super) enum Login {
    Done,
    Refused,
}

/// State of a site.
pub(super) struct Model {
    pub(super) now: u64,
    pub(super) limit: usize,
    pub(super) overflow: Overflow,
    pub(super) sessions: Vec<Session>,
    /// The key in each browser.
    pub(super) browsers: [Option<Key>; 4],
    /// The ended key whose reason each browser has shown.
    pub(super) shown: [Option<Key>; 4],
    /// The anonymous cookie of each browser.
    pub(super) anonymous: [Data; 4],
}

impl Model {
    fn access(&self, browser: usize, idle: u64) -> Access {
        let shown = self.shown[browser];
        let Some(key) = self.browsers[browser].filter(|key| Some(*key) != shown) else {
            return Access::Anonymous;
        };
        let session = &self.sessions[key.session];
        if key.renewal < session.renewals {
            return Access::Expired("renewed", None);
        }
        match session.expired(idle, self.now) {
            None => Access::Active(key.session),
            Some(reason) => Access::Expired(reason, session.ended.is_none().then_some(key.session)),
        }
    }

    fn open_others(&self, user: usize, but: Option<usize>) -> Vec<usize> {
        let is_open =
            |n: &usize| self.sessions[*n].user == user && self.sessions[*n].ended.is_none();
        (0..self.sessions.len()).filter(is_open).filter(|n| Some(*n) != but).collect()
    }

    fn end(&mut self, session: usize, reason: &'static str) {
        self.sessions[session].ended.get_or_insert(reason);
    }

    /// Ends sessions of `others` until one more fits into the limit.
    fn evict(&mut self, mut others: Vec<usize>) {
        if self.limit == 0 {
            return;
        }
        let surplus = (others.len() + 1).saturating_sub(self.limit);
        others.sort_by_key(|n| {
            let session = &self.sessions[*n];
            let is_recent = self.overflow == Overflow::LeastRecent;
            let age = if is_recent { session.seen } else { session.at };
            (session.expired(IDLE, self.now).is_none(), age)
        });
        for n in others.into_iter().take(surplus) {
            let reason = self.sessions[n].expired(IDLE, self.now).unwrap_or("evicted");
            self.end(n, reason);
        }
    }

    pub(super) fn sign_in(&mut self, browser: usize, user: usize, by_handle: bool) -> Login {
        let before = self.access(browser, IDLE);
        if let Access::Active(n) = before
            && self.sessions[n].user == user
            && !by_handle
        {
            self.renew(browser, n);
            return Login::Done;
        }
        // The session of this browser is replaced. An expired one keeps its reason.
        let replaced = match before {
            Access::Active(n) => Some((n, "logged_out")),
            Access::Expired(reason, Some(n)) => Some((n, reason)),
            _ => None,
        };
        let data = match before {
            // Another user gets no data of the former one.
            Access::Active(n) if self.sessions[n].user == user => self.sessions[n].data.clone(),
            Access::Active(_) => Data::default(),
            _ => self.anonymous[browser].clone(),
        };
        let own = replaced.map(|(n, _)| n).filter(|n| self.sessions[*n].user == user);
        let others = self.open_others(user, own);
        if self.is_refused(&others) {
            if let Access::Active(n) = before {
                self.sessions[n].seen = self.now;
            }
            return Login::Refused;
        }
        if let Some((n, reason)) = replaced {
            self.end(n, reason);
        }
        self.evict(others);
        let (at, seen) = (self.now, self.now);
        self.sessions.push(Session { data, user, at, seen, ended: None, renewals: 0 });
        self.browsers[browser] = Some(Key { session: self.sessions.len() - 1, renewal: 0 });
        self.delete_anonymous(browser);
        Login::Done
    }

    /// A response with a session cookie deletes the anonymous cookie.
    fn delete_anonymous(&mut self, browser: usize) {
        (self.shown[browser], self.anonymous[browser]) = (None, Data::default());
    }

    fn is_refused(&self, others: &[usize]) -> bool {
        let active = others.iter().filter(|n| self.sessions[**n].expired(IDLE, self.now).is_none());
        self.overflow == Overflow::Refuse && self.limit > 0 && active.count() >= self.limit
    }

    /// Renews the key, as a login of the same user does.
    fn renew(&mut self, browser: usize, n: usize) {
        let session = &mut self.sessions[n];
        session.renewals += 1;
        session.seen = self.now;
        self.browsers[browser] = Some(Key { session: n, renewal: session.renewals });
        self.delete_anonymous(browser);
    }

    /// Returns the data that the handler of a request sees.
    pub(super) fn data(&mut self, browser: usize, page: Page, kind: Kind) -> &mut Data {
        let access = self.access(browser, page.idle());
        let _ = self.open_public(browser, page, kind);
        match access {
            Access::Active(n) => &mut self.sessions[n].data,
            _ => &mut self.anonymous[browser],
        }
    }

    /// Requests a page that needs no login, under the policy of `page`.
    fn open_public(
        &mut self,
        browser: usize,
        page: Page,
        kind: Kind,
    ) -> Result<usize, &'static str> {
        let is_expired = |n: usize| self.sessions[n].expired(IDLE, self.now).is_some();
        match self.access(browser, page.idle()) {
            Access::Expired(reason, Some(n)) => {
                if kind == Kind::Navigation && is_expired(n) {
                    self.end(n, reason);
                }
                Err(reason)
            }
            _ => self.open(browser, page, kind),
        }
    }

    /// Requests a page. Returns the user, or the reason why there is none.
    pub(super) fn open(
        &mut self,
        browser: usize,
        page: Page,
        kind: Kind,
    ) -> Result<usize, &'static str> {
        match self.access(browser, page.idle()) {
            Access::Anonymous => Err(""),
            Access::Active(n) => {
                if page != Page::Poll && kind.is_activity() {
                    self.sessions[n].seen = self.now;
                }
                if page != Page::Poll && page != Page::Missing && kind.may_evict() {
                    self.enforce(n);
                }
                Ok(self.sessions[n].user)
            }
            Access::Expired(reason, session) => {
                if let Some(n) = session.filter(|n| self.ends(*n, page, kind)) {
                    self.end(n, reason);
                }
                Err(reason)
            }
        }
    }

    /// Returns `true` if the request ends a session that is expired under the policy of its page.
    fn ends(&self, n: usize, page: Page, kind: Kind) -> bool {
        let is_expired_everywhere = self.sessions[n].expired(IDLE, self.now).is_some();
        let is_challenge = page.is_closed();
        let is_navigation = matches!(kind, Kind::Navigation | Kind::Link) && page != Page::Missing;
        page != Page::Poll
            && kind.may_end()
            && (kind != Kind::Link || is_expired_everywhere)
            && (is_challenge || is_navigation && is_expired_everywhere)
    }

    fn enforce(&mut self, n: usize) {
        let others = self.open_others(self.sessions[n].user, Some(n));
        if others.len() + 1 > self.limit {
            self.evict(others);
        }
    }

    /// Signs out. Returns the messages that are left.
    pub(super) fn sign_out(&mut self, browser: usize) -> Vec<String> {
        let access = self.access(browser, IDLE);
        let left = match access {
            Access::Active(_) => vec![],
            _ => std::mem::take(&mut self.anonymous[browser].messages),
        };
        match access {
            Access::Active(n) => self.end(n, "logged_out"),
            Access::Expired(reason, Some(n)) => self.end(n, reason),
            // The session was active under its new key.
            Access::Expired("renewed", None) => {
                self.browsers[browser]
                    .into_iter()
                    .for_each(|key| self.end(key.session, "logged_out"));
            }
            _ => {}
        }
        self.browsers[browser] = None;
        self.delete_anonymous(browser);
        left
    }

    /// Returns the seconds until both timeouts, or the reason.
    pub(super) fn status(
        &mut self,
        browser: usize,
        active: Option<u64>,
    ) -> Result<(u64, u64), &'static str> {
        match self.access(browser, IDLE) {
            Access::Anonymous => Err(""),
            Access::Expired(reason, _) => Err(reason),
            Access::Active(n) => {
                let session = &mut self.sessions[n];
                session.seen = session.seen.max(active.unwrap_or(0));
                Ok((session.seen + IDLE - self.now, session.at + ABSOLUTE - self.now))
            }
        }
    }

    /// Returns the messages and the reason that a page shows.
    pub(super) fn read_messages(&mut self, browser: usize) -> (Vec<String>, &'static str) {
        let access = self.access(browser, IDLE);
        let data = self.data(browser, Page::Private, Kind::Navigation);
        let messages = std::mem::take(&mut data.messages);
        match access {
            // The browser is about to receive the new key of a renewed session.
            Access::Expired("renewed", _) => (messages, "renewed"),
            Access::Expired(reason, _) => {
                self.shown[browser] = self.browsers[browser];
                (messages, reason)
            }
            _ => (messages, ""),
        }
    }
}
