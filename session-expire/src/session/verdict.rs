//! Verdict on a session: whether it is active under a policy.
//!
//! Everywhere in this crate, a session is expired at exactly its limit. The middleware, the policy
//! layers and the endpoints check a session under a policy. The registries check it under the
//! limits of its record.

use std::time::Duration;

use crate::{
    policy::{
        Policy,
        limit::{Limit, Limits},
    },
    session::reason::Reason,
    time::Timestamp,
};

/// State of the session of a request: the input of [`judge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Facts {
    /// The request has no session.
    Anonymous,
    /// The request has a key without a record.
    Unknown,
    /// The request has a key with a record.
    Login {
        /// Time of the last authentication.
        authenticated_at: Timestamp,
        /// Time of the last activity.
        last_seen: Timestamp,
        /// Reason why the session has ended; `None` while it is open.
        ended: Option<Reason>,
    },
}

/// Result of checking a session under a policy.
///
/// ```
/// use session_expire::{Deadlines, Reason, Verdict, minutes};
///
/// fn describe(verdict: Verdict) -> String {
///     match verdict {
///         Verdict::Anonymous => "not signed in".to_owned(),
///         Verdict::Active(left) => format!("{:?} left", left.nearest().at().unwrap_or_default()),
///         Verdict::Expired(reason) => format!("expired: {reason}"),
///         _ => "signed in".to_owned(),
///     }
/// }
///
/// let left = Deadlines::new(minutes(10), minutes(2));
/// assert_eq!(describe(Verdict::Active(left)), "120s left");
/// assert_eq!(describe(Verdict::Expired(Reason::Idle)), "expired: idle");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// No user is signed in.
    Anonymous,
    /// The session is active and has these remaining times.
    Active(Deadlines),
    /// The session has expired or ended for this reason.
    Expired(Reason),
}

/// Remaining times of an active session. Both are greater than zero.
///
/// ```
/// use session_expire::{Deadlines, Limit, minutes};
/// let busy = Deadlines::new(minutes(10), minutes(3));
/// assert_eq!(busy.nearest(), Limit::At(minutes(3)));
/// let endless = Deadlines::new(Limit::Off, Limit::Off);
/// assert_eq!(endless.nearest(), Limit::Off);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// Time until the idle timeout if there is no further activity; `Limit::Off` without one.
    pub idle_end: Limit<Duration>,
    /// Time until the absolute timeout; `Limit::Off` without one.
    pub session_end: Limit<Duration>,
}

impl Deadlines {
    /// Returns deadlines from two remaining times, each a `Duration` or `Limit::Off`.
    pub fn new(
        idle_end: impl Into<Limit<Duration>>,
        session_end: impl Into<Limit<Duration>>,
    ) -> Self {
        Self { idle_end: idle_end.into(), session_end: session_end.into() }
    }

    /// Returns the shorter of the two times; `Limit::Off` if there is neither.
    #[must_use]
    pub fn nearest(&self) -> Limit<Duration> {
        let both = self.idle_end.at().into_iter().chain(self.session_end.at());
        both.min().map_or(Limit::Off, Limit::At)
    }
}

/// Checks a session under a policy at `now`. A session is expired at exactly its limit.
///
/// A time after `now`, from the clock of another machine or from a clock that was set back, counts
/// as `now`. It extends a session by at most one timeout period.
#[must_use]
pub(crate) fn judge(facts: &Facts, policy: &Policy, now: Timestamp) -> Verdict {
    judge_limits(facts, policy.limits(), now)
}

pub(crate) fn judge_limits(facts: &Facts, limits: Limits, now: Timestamp) -> Verdict {
    let (authenticated_at, last_seen) = match *facts {
        Facts::Anonymous => return Verdict::Anonymous,
        Facts::Unknown => return Verdict::Expired(Reason::Unknown),
        Facts::Login { ended: Some(reason), .. } => return Verdict::Expired(reason),
        Facts::Login { authenticated_at, last_seen, ended: None } => (authenticated_at, last_seen),
    };
    let idle = LimitCheck::new(last_seen.max(authenticated_at), limits.idle, now);
    let session = LimitCheck::new(authenticated_at, limits.absolute, now);
    match (idle, session) {
        (LimitCheck::ExpiredAt(at), LimitCheck::ExpiredAt(session_at)) if at < session_at => {
            Verdict::Expired(Reason::Idle)
        }
        (_, LimitCheck::ExpiredAt(_)) => Verdict::Expired(Reason::Absolute),
        (LimitCheck::ExpiredAt(_), _) => Verdict::Expired(Reason::Idle),
        (LimitCheck::Remaining(idle_end), LimitCheck::Remaining(session_end)) => {
            Verdict::Active(Deadlines { idle_end, session_end })
        }
    }
}

/// Result of checking one limit.
enum LimitCheck {
    Remaining(Limit<Duration>),
    ExpiredAt(Timestamp),
}

impl LimitCheck {
    fn new(start: Timestamp, limit: Limit<Duration>, now: Timestamp) -> Self {
        let Limit::At(limit) = limit else { return Self::Remaining(Limit::Off) };
        let end = start.min(now).plus(limit);
        if now >= end { Self::ExpiredAt(end) } else { Self::Remaining(Limit::At(end.since(now))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, minutes, seconds};

    const LOGIN: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const MS: Duration = Duration::from_millis(1);

    fn policy() -> Policy {
        Policy::new().idle(minutes(10)).absolute(hours(8))
    }

    fn seen(last_seen: Timestamp) -> Facts {
        Facts::Login { authenticated_at: LOGIN, last_seen, ended: None }
    }

    fn left(idle_end: Duration, session_end: Duration) -> Verdict {
        Verdict::Active(Deadlines { idle_end: idle_end.into(), session_end: session_end.into() })
    }

    #[test]
    fn session_expires_at_exactly_its_limit() {
        let late = LOGIN.plus(hours(8));
        for (facts, now, verdict) in [
            (seen(LOGIN), LOGIN, left(minutes(10), hours(8))),
            (seen(LOGIN), LOGIN.plus(minutes(10)).minus(MS), left(MS, hours(8) - minutes(10) + MS)),
            (seen(LOGIN), LOGIN.plus(minutes(10)), Verdict::Expired(Reason::Idle)),
            (seen(late), late.minus(MS), left(minutes(10), MS)),
            (seen(late), late, Verdict::Expired(Reason::Absolute)),
            (seen(late.minus(minutes(10))), late, Verdict::Expired(Reason::Absolute)),
            (seen(late.minus(minutes(10)).minus(MS)), late, Verdict::Expired(Reason::Idle)),
            (seen(LOGIN), late.plus(hours(1)), Verdict::Expired(Reason::Idle)),
        ] {
            assert_eq!(judge(&facts, &policy(), now), verdict, "{facts:?} at {now:?}");
        }
    }

    #[test]
    fn anonymous_unknown_and_ended_have_different_verdicts() {
        let ended = Facts::Login {
            authenticated_at: LOGIN,
            last_seen: LOGIN,
            ended: Some(Reason::Evicted),
        };
        assert_eq!(judge(&Facts::Anonymous, &policy(), LOGIN), Verdict::Anonymous);
        assert_eq!(judge(&Facts::Unknown, &policy(), LOGIN), Verdict::Expired(Reason::Unknown));
        assert_eq!(judge(&ended, &policy(), LOGIN), Verdict::Expired(Reason::Evicted));
    }

    #[test]
    fn session_without_limits_stays_active() {
        let policy = policy().idle(Limit::Off).absolute(Limit::Off);
        let Verdict::Active(deadlines) = judge(&seen(LOGIN), &policy, LOGIN.plus(hours(1 << 40)))
        else {
            panic!("not active");
        };
        assert_eq!(deadlines.nearest(), Limit::Off);
    }

    #[test]
    fn impossible_times_add_at_most_one_timeout_period() {
        let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        let negative = Timestamp::from_millis(-1);
        for authenticated_at in [first, negative, LOGIN, LOGIN.plus(hours(1)), last] {
            for last_seen in [first, negative, LOGIN, LOGIN.plus(seconds(1)), last] {
                for now in [first, negative, LOGIN, last] {
                    let facts = Facts::Login { authenticated_at, last_seen, ended: None };
                    if let Verdict::Active(deadlines) = judge(&facts, &policy(), now) {
                        assert!(deadlines.idle_end.at() <= Some(minutes(10)), "{facts:?} {now:?}");
                        assert!(deadlines.session_end.at() <= Some(hours(8)), "{facts:?} {now:?}");
                        assert!(
                            deadlines.nearest().at() > Some(Duration::ZERO),
                            "{facts:?} {now:?}"
                        );
                    }
                }
            }
        }
    }
}
