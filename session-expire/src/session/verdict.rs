//! Verdict on a session: whether it is active under a policy.

use std::time::Duration;

use crate::{
    policy::{
        Policy,
        limit::{Limit, Limits},
    },
    session::reason::Reason,
    time::Timestamp,
};

/// What is known of the session of a request: the input of [`judge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Facts {
    /// The request has no session.
    Anonymous,
    /// The request has a key that the registry does not know.
    Unknown,
    /// A session that the registry knows.
    Login {
        /// When the user last authenticated.
        authenticated_at: Timestamp,
        /// When the user was last active.
        last_seen: Timestamp,
        /// Why it has ended, if it has.
        ended: Option<Reason>,
    },
}

/// Whether a session is active, and why not.
///
/// ```
/// use session_expire::{Deadlines, Reason, Verdict, minutes};
///
/// fn words(verdict: Verdict) -> String {
///     match verdict {
///         Verdict::Anonymous => "not signed in".to_owned(),
///         Verdict::Active(left) => format!("{:?} left", left.nearest().at().unwrap_or_default()),
///         Verdict::Expired(reason) => format!("expired: {reason}"),
///         _ => "signed in".to_owned(),
///     }
/// }
///
/// let left = Deadlines::new(minutes(10), minutes(2));
/// assert_eq!(words(Verdict::Active(left)), "120s left");
/// assert_eq!(words(Verdict::Expired(Reason::Idle)), "expired: idle");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// No user is signed in.
    Anonymous,
    /// An active session, with the time it has left.
    Active(Deadlines),
    /// A session that has expired or ended.
    Expired(Reason),
}

/// How long an active session has left. Both times are above zero.
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
    /// Time until the idle timeout, without further activity.
    pub idle_end: Limit<Duration>,
    /// Time until the absolute timeout.
    pub session_end: Limit<Duration>,
}

impl Deadlines {
    /// Returns deadlines; a `Duration` or `Limit::Off` each.
    pub fn new(
        idle_end: impl Into<Limit<Duration>>,
        session_end: impl Into<Limit<Duration>>,
    ) -> Self {
        Self { idle_end: idle_end.into(), session_end: session_end.into() }
    }

    /// Returns the time left until the earlier of the two; `Limit::Off` if there is neither.
    #[must_use]
    pub fn nearest(&self) -> Limit<Duration> {
        let both = self.idle_end.at().into_iter().chain(self.session_end.at());
        both.min().map_or(Limit::Off, Limit::At)
    }
}

/// Checks a session under a policy at `now`. It is expired at exactly its limit.
///
/// A time that lies in the future (another machine's clock, or a clock that was set back) counts as
/// now: a session gains at most one timeout period by it.
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
        (LimitCheck::Over(since), LimitCheck::Over(other)) if since < other => {
            Verdict::Expired(Reason::Idle)
        }
        (_, LimitCheck::Over(_)) => Verdict::Expired(Reason::Absolute),
        (LimitCheck::Over(_), _) => Verdict::Expired(Reason::Idle),
        (LimitCheck::Left(idle_end), LimitCheck::Left(session_end)) => {
            Verdict::Active(Deadlines { idle_end, session_end })
        }
    }
}

/// One limit, compared with the time.
enum LimitCheck {
    Left(Limit<Duration>),
    /// Expired since then.
    Over(Timestamp),
}

impl LimitCheck {
    fn new(start: Timestamp, limit: Limit<Duration>, now: Timestamp) -> Self {
        let Limit::At(limit) = limit else { return Self::Left(Limit::Off) };
        let end = start.min(now).plus(limit);
        if now >= end { Self::Over(end) } else { Self::Left(Limit::At(end.since(now))) }
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
    fn a_session_is_over_at_exactly_its_limit() {
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
    fn anonymous_unknown_and_ended_sessions_differ() {
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
    fn without_limits_a_session_stays() {
        let policy = policy().idle(Limit::Off).absolute(Limit::Off);
        let Verdict::Active(deadlines) = judge(&seen(LOGIN), &policy, LOGIN.plus(hours(1 << 40)))
        else {
            panic!("not active");
        };
        assert_eq!(deadlines.nearest(), Limit::Off);
    }

    #[test]
    fn impossible_times_never_give_more_than_one_limit() {
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
