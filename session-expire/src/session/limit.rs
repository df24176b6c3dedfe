//! Session limit: how many sessions a user may have, and which of them are evicted.
//!
//! Only open, counted sessions take a slot, and expired ones are evicted first. Registries apply
//! these rules in [`Registry::commit`](crate::registry::Registry::commit) and
//! [`Registry::enforce_limit`](crate::registry::Registry::enforce_limit).

use super::{ended::Ended, key::RecordKey, record::SessionRecord};
use crate::{
    policy::{
        Policy,
        limit::{Limit, Overflow},
    },
    session::reason::Reason,
    time::Timestamp,
};

/// Maximum number of sessions of a user, and the rule that selects which are evicted.
///
/// ```
/// use session_expire::{
///     Overflow, clock::Timestamp, registry::{OpenSession, RecordKey, SessionLimit},
/// };
/// let at = Timestamp::from_millis;
/// let session = |login| OpenSession::new(RecordKey::random("alice"), at(login), at(10 - login));
/// let (older, newer) = (session(1), session(2)); // the older one was used last
/// let limit = |overflow| SessionLimit::new(2, overflow);
/// assert_eq!(limit(Overflow::Evict).select_victims(vec![newer, older]), [older]);
/// assert_eq!(limit(Overflow::LeastRecent).select_victims(vec![newer, older]), [newer]);
/// assert!(limit(Overflow::Refuse).refuses(&[newer, older], 0));
/// assert!(!limit(Overflow::Refuse).refuses(&[newer], 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionLimit {
    /// Maximum number of sessions; `Limit::Off` and `Limit::At(0)` set no limit.
    pub max_sessions: Limit<u32>,
    /// Effect of a login when the limit is reached.
    pub overflow: Overflow,
}

/// Open session that takes a slot of the session limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenSession {
    /// Key of the session.
    pub(crate) key: RecordKey,
    /// When the user signed in.
    pub logged_in_at: Timestamp,
    /// When the user was last active.
    pub last_seen: Timestamp,
    /// Reason why the open session has expired; `None` while it is active.
    pub expired: Option<Reason>,
}

impl OpenSession {
    /// Returns the secret key of the session. Do not log it.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        self.key
    }

    /// Returns an active session.
    #[must_use]
    pub fn new(key: RecordKey, logged_in_at: Timestamp, last_seen: Timestamp) -> Self {
        Self { key, logged_in_at, last_seen, expired: None }
    }

    /// Returns the open session of `record`; `None` if the record has ended or is not counted.
    #[must_use]
    pub fn from_record(key: RecordKey, record: &SessionRecord, now: Timestamp) -> Option<Self> {
        (record.ended.is_none() && !record.uncounted).then(|| Self {
            key,
            logged_in_at: record.logged_in_at,
            last_seen: record.last_seen,
            expired: record.expiry_reason(now),
        })
    }

    /// Returns the end to record if this session is evicted: `evicted` for an active session, its
    /// expiry reason for an expired one.
    #[must_use]
    pub fn end(&self, evicted: &Ended) -> Ended {
        self.expired.map_or_else(|| evicted.clone(), |reason| Ended::new(reason, evicted.at))
    }
}

impl From<&Policy> for SessionLimit {
    fn from(policy: &Policy) -> Self {
        Self { max_sessions: policy.max_sessions, overflow: policy.overflow }
    }
}

impl SessionLimit {
    /// Hard cap on the sessions of a user whose policy sets no limit; the oldest is evicted.
    ///
    /// The cap prevents one account from filling the memory with logins.
    pub const WITHOUT_LIMIT: usize = 1_000;

    /// Largest number of active uncounted sessions of a user; a further login is refused.
    pub const MAX_UNCOUNTED: usize = 100;

    /// Returns a session limit; `0` and `Limit::Off` set no limit.
    pub fn new(max_sessions: impl Into<Limit<u32>>, overflow: Overflow) -> Self {
        Self { max_sessions: max_sessions.into(), overflow }
    }

    /// Returns how many sessions the user may have: [`WITHOUT_LIMIT`](Self::WITHOUT_LIMIT) if the
    /// policy sets no limit.
    #[must_use]
    pub fn max(self) -> usize {
        self.limit()
            .map_or(Self::WITHOUT_LIMIT, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// Returns `true` if a login without a free slot is refused. If the policy sets no limit, no
    /// login is refused.
    #[must_use]
    pub fn may_refuse(self) -> bool {
        self.overflow == Overflow::Refuse && self.limit().is_some()
    }

    /// Returns `true` if a user with `open` sessions exceeds the limit of the policy. If the policy
    /// sets no limit, no user does.
    #[must_use]
    pub fn is_exceeded_by(self, open: usize) -> bool {
        self.limit().is_some() && open > self.max()
    }

    /// Returns `other` with this overflow rule if this policy sets no limit and `other` allows more
    /// than [`WITHOUT_LIMIT`](Self::WITHOUT_LIMIT); else this limit.
    ///
    /// Otherwise a policy without a limit would be stricter than one with a high limit.
    pub(crate) fn or_higher(self, other: Self) -> Self {
        match self.limit() {
            None if other.max() > self.max() => match self.overflow {
                Overflow::Refuse => Self { overflow: Overflow::Evict, ..other },
                overflow => Self { overflow, ..other },
            },
            _ => self,
        }
    }

    fn limit(self) -> Option<u32> {
        self.max_sessions.at().filter(|limit| *limit > 0)
    }

    /// Returns `true` if a login must be refused while the user has the `open` sessions and
    /// `reserved` slots for other logins.
    #[must_use]
    pub fn refuses(self, open: &[OpenSession], reserved: usize) -> bool {
        let active = open.iter().filter(|session| session.expired.is_none()).count();
        self.may_refuse() && active + reserved >= self.max()
    }

    /// Returns the sessions among `others` that must end to free a slot for one more session.
    ///
    /// Expired sessions come first, then the oldest or the least recently used ones. Sessions with
    /// equal times keep their order in `others`.
    #[must_use]
    pub fn select_victims(self, mut others: Vec<OpenSession>) -> Vec<OpenSession> {
        let surplus = (others.len() + 1).saturating_sub(self.max());
        others.sort_by_key(|session| {
            let age = match self.overflow {
                Overflow::LeastRecent => session.last_seen,
                Overflow::Evict | Overflow::Refuse => session.logged_in_at,
            };
            (session.expired.is_none(), age)
        });
        others.truncate(surplus);
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::login::NewLogin;
    use crate::time::hours;

    fn session(name: char, logged_in_at: i64, last_seen: i64) -> OpenSession {
        let (logged_in_at, last_seen) =
            (Timestamp::from_millis(logged_in_at), Timestamp::from_millis(last_seen));
        let Some(key) = RecordKey::parse(&name.to_string().repeat(30)) else { unreachable!() };
        OpenSession { key, logged_in_at, last_seen, expired: None }
    }

    fn expired() -> OpenSession {
        OpenSession { expired: Some(Reason::Idle), ..session('x', 9, 9) }
    }

    fn names(sessions: &[OpenSession]) -> String {
        sessions.iter().map(|session| &session.key.expose()[..1]).collect()
    }

    #[test]
    fn victims_are_expired_first_then_by_overflow() {
        let open = vec![
            session('a', 1, 5),
            session('b', 2, 3),
            expired(),
            session('c', 3, 4),
            session('d', 3, 4),
        ];
        for (max_sessions, overflow, expected) in [
            (Limit::Off, Overflow::Evict, ""),
            (Limit::At(0), Overflow::Evict, ""),
            (Limit::At(6), Overflow::Evict, ""),
            (Limit::At(5), Overflow::Evict, "x"),
            (Limit::At(4), Overflow::Evict, "xa"),
            (Limit::At(4), Overflow::LeastRecent, "xb"),
            (Limit::At(2), Overflow::LeastRecent, "xbcd"),
            (Limit::At(1), Overflow::Evict, "xabcd"),
            (Limit::At(5), Overflow::Refuse, "x"),
        ] {
            let limit = SessionLimit { max_sessions, overflow };
            assert_eq!(names(&limit.select_victims(open.clone())), expected, "{limit:?}");
        }
    }

    #[test]
    fn login_is_refused_by_active_sessions_and_reservations() {
        let limit = |overflow| SessionLimit { max_sessions: Limit::At(2), overflow };
        let (one, two) = ([session('a', 1, 1), expired()], [session('a', 1, 1); 2]);
        for (overflow, open, reserved, refused) in [
            (Overflow::Refuse, &one[..], 0, false),
            (Overflow::Refuse, &one[..], 1, true),
            (Overflow::Refuse, &two[..], 0, true),
            (Overflow::Refuse, &[][..], 2, true),
            (Overflow::Evict, &two[..], 2, false),
            (Overflow::LeastRecent, &two[..], 2, false),
        ] {
            let limit = limit(overflow);
            assert_eq!(limit.refuses(open, reserved), refused, "{overflow:?} {reserved}");
        }
        let off = SessionLimit { max_sessions: Limit::Off, overflow: Overflow::Refuse };
        assert!(!off.refuses(&two, 2_000));
    }

    #[test]
    fn expired_session_ends_for_its_own_reason() {
        let noon = Timestamp::from_millis(1_767_268_800_000);
        let login = NewLogin::new("alice", noon, &Policy::new());
        let (record, now) = (SessionRecord::new(&login), noon.plus(hours(1)));
        let evicted = Ended::new(Reason::Evicted, now);
        let ended =
            OpenSession::from_record(login.key, &record, now).map(|session| session.end(&evicted));
        assert_eq!(ended, Some(Ended::new(Reason::Idle, now)));
    }

    #[test]
    fn ended_and_uncounted_records_take_no_slot() {
        let noon = Timestamp::from_millis(1_767_268_800_000);
        let login = NewLogin::new("alice", noon, &Policy::new());
        let mut ended = SessionRecord::new(&login);
        let uncounted = SessionRecord { uncounted: true, ..ended.clone() };
        ended.end(Ended::new(Reason::Idle, noon));
        for record in [ended, uncounted] {
            assert_eq!(OpenSession::from_record(login.key, &record, noon), None);
        }
    }
}
