//! How many sessions a user may have, and who yields: the rule that every registry keeps.

use super::{
    key::RecordKey,
    record::{Ended, SessionRecord},
};
use crate::{
    facts::Reason,
    limit::{Limit, Overflow},
    policy::Policy,
    time::Timestamp,
};

/// How many sessions a user may have, and who yields.
///
/// ```
/// use session_expire::{Overflow, Policy, RecordKey, SessionLimit, OpenSession, Timestamp};
/// # let seat = |at| OpenSession {
/// #     key: RecordKey::random("alice"),
/// #     logged_in_at: Timestamp::from_millis(at),
/// #     last_seen: Timestamp::from_millis(10 - at),
/// #     ran_out: None,
/// # };
/// let (older, newer) = (seat(1), seat(2)); // the older one was used last
/// let room = SessionLimit::of(&Policy::new().max_sessions(2));
/// assert_eq!(room.yielding(vec![newer, older]), [older]);
/// let room = SessionLimit { overflow: Overflow::LeastRecent, ..room };
/// assert_eq!(room.yielding(vec![newer, older]), [newer]);
/// let room = SessionLimit { overflow: Overflow::Refuse, ..room };
/// assert!(room.refuses(&[newer, older]) && !room.refuses(&[newer]));
/// assert_eq!((room.places(), SessionLimit::of(&Policy::new()).places()), (2, SessionLimit::WITHOUT_LIMIT));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimit {
    /// The limit; `At(0)` means none, too.
    pub max_sessions: Limit<u32>,
    /// Who yields when there are too many.
    pub overflow: Overflow,
}

/// One open session of a user.
///
/// ```
/// use session_expire::{Ended, NewLogin, Policy, Reason, SessionRecord, OpenSession, Timestamp, hours};
/// let noon = Timestamp::from_millis(1_767_268_800_000);
/// let login = NewLogin::new("alice", noon, &Policy::new());
/// let mut record = SessionRecord::new(&login);
///
/// // It ran out half an hour after noon: that is why it ends, and nobody has to yield.
/// let now = noon.plus(hours(1));
/// let seat = OpenSession::of(login.key, &record, now).filter(|seat| seat.ran_out == Some(Reason::Idle));
/// let ended = seat.map(|seat| seat.end(&Ended::new(Reason::Evicted, now)));
/// assert_eq!(ended, Some(Ended::new(Reason::Idle, now)));
/// # record.end(Ended::new(Reason::Idle, now));
/// # assert_eq!(OpenSession::of(login.key, &record, now), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSession {
    /// Whose seat.
    pub key: RecordKey,
    /// When it was taken.
    pub logged_in_at: Timestamp,
    /// When it was last used.
    pub last_seen: Timestamp,
    /// Why it is free, if nobody has noticed yet that its session ran out.
    pub ran_out: Option<Reason>,
}

impl OpenSession {
    /// The seat of `record`, if it is open.
    #[must_use]
    pub fn of(key: RecordKey, record: &SessionRecord, now: Timestamp) -> Option<Self> {
        record.ended.is_none().then(|| Self {
            key,
            logged_in_at: record.logged_in_at,
            last_seen: record.last_seen,
            ran_out: record.ran_out(now),
        })
    }
}

impl OpenSession {
    /// The end of this session when it must yield: `yielding`, or the reason for which it ran out.
    #[must_use]
    pub fn end(&self, yielding: &Ended) -> Ended {
        self.ran_out.map_or_else(|| yielding.clone(), |reason| Ended::new(reason, yielding.at))
    }
}

impl SessionLimit {
    /// So many sessions a user may have where no policy limits them, or one account that signs in again
    /// and again could fill the memory of all.
    pub const WITHOUT_LIMIT: usize = 1_000;

    /// The room that `policy` grants.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        Self { max_sessions: policy.max_sessions, overflow: policy.overflow }
    }

    /// How many may sit: [`WITHOUT_LIMIT`](Self::WITHOUT_LIMIT) where the policy has no limit.
    #[must_use]
    pub fn places(self) -> usize {
        self.limit()
            .map_or(Self::WITHOUT_LIMIT, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// Whether a login without a place is refused. Without a limit none is: the oldest yields.
    #[must_use]
    pub fn may_refuse(self) -> bool {
        self.overflow == Overflow::Refuse && self.limit().is_some()
    }

    /// Whether so many open sessions are more than the policy allows; never where it has no limit.
    #[must_use]
    pub fn is_exceeded_by(self, open: usize) -> bool {
        self.limit().is_some() && open > self.places()
    }

    /// The same, or where it has no limit and `other` allows more, that: to have no limit is not to be
    /// the stricter.
    pub(crate) fn or_as_many_as(self, other: Self) -> Self {
        match self.limit() {
            None if other.places() > self.places() => match self.overflow {
                Overflow::Refuse => Self { overflow: Overflow::Evict, ..other },
                overflow => Self { overflow, ..other },
            },
            _ => self,
        }
    }

    fn limit(self) -> Option<u32> {
        self.max_sessions.at().filter(|limit| *limit > 0)
    }

    /// Whether one more login must be refused, given who sits already.
    #[must_use]
    pub fn refuses(self, seats: &[OpenSession]) -> bool {
        let alive = seats.iter().filter(|seat| seat.ran_out.is_none()).count();
        self.may_refuse() && alive >= self.places()
    }

    /// Who of the others has to go so that one more has a place: first those that ran out, whom it
    /// costs nothing, then the oldest, or the longest unused. Among equals the first in `others` goes.
    #[must_use]
    pub fn yielding(self, mut others: Vec<OpenSession>) -> Vec<OpenSession> {
        let surplus = (others.len() + 1).saturating_sub(self.places());
        others.sort_by_key(|seat| {
            let age = match self.overflow {
                Overflow::LeastRecent => seat.last_seen,
                Overflow::Evict | Overflow::Refuse => seat.logged_in_at,
            };
            (seat.ran_out.is_none(), age)
        });
        others.truncate(surplus);
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(name: char, logged_in_at: i64, last_seen: i64) -> OpenSession {
        let (logged_in_at, last_seen) =
            (Timestamp::from_millis(logged_in_at), Timestamp::from_millis(last_seen));
        let Some(key) = RecordKey::parse(&name.to_string().repeat(26)) else { unreachable!() };
        OpenSession { key, logged_in_at, last_seen, ran_out: None }
    }

    fn names(seats: &[OpenSession]) -> String {
        seats.iter().map(|seat| &seat.key.expose()[..1]).collect()
    }

    #[test]
    fn the_right_ones_yield() {
        let gone = OpenSession { ran_out: Some(Reason::Idle), ..seat('g', 9, 9) };
        let seats = vec![seat('a', 1, 5), seat('b', 2, 3), gone, seat('c', 3, 4), seat('d', 3, 4)];
        for (places, overflow, expected) in [
            (Limit::Off, Overflow::Evict, ""),
            (Limit::At(0), Overflow::Evict, ""),
            (Limit::At(6), Overflow::Evict, ""),
            (Limit::At(5), Overflow::Evict, "g"),
            (Limit::At(4), Overflow::Evict, "ga"),
            (Limit::At(4), Overflow::LeastRecent, "gb"),
            (Limit::At(2), Overflow::LeastRecent, "gbcd"),
            (Limit::At(1), Overflow::Evict, "gabcd"),
            (Limit::At(5), Overflow::Refuse, "g"),
        ] {
            let room = SessionLimit { max_sessions: places, overflow };
            assert_eq!(names(&room.yielding(seats.clone())), expected, "{room:?}");
        }
    }

    #[test]
    fn only_living_sessions_refuse_a_login() {
        let gone = OpenSession { ran_out: Some(Reason::Idle), ..seat('g', 9, 9) };
        let room = SessionLimit { max_sessions: Limit::At(2), overflow: Overflow::Refuse };
        assert!(!room.refuses(&[seat('a', 1, 1), gone]));
        assert!(room.refuses(&[seat('a', 1, 1), gone, seat('b', 2, 2)]));
        let evicting = SessionLimit { overflow: Overflow::Evict, ..room };
        assert!(!evicting.refuses(&[seat('a', 1, 1), seat('b', 2, 2), seat('c', 3, 3)]));
    }
}
