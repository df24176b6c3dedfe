//! Limits, and which session ends when the session limit is reached.

use std::time::Duration;

/// Limit, or none.
///
/// ```
/// use session_expire::{Limit, hours, minutes};
/// let (short, long) = (Limit::At(minutes(10)), Limit::At(hours(8)));
/// assert_eq!(short.stricter(long), short);
/// assert_eq!(long.laxer(Limit::Off), Limit::Off);
/// assert_eq!((long.at(), Limit::<u32>::Off.at()), (Some(hours(8)), None));
/// assert_eq!((Limit::from(3), Limit::from(0)), (Limit::At(3), Limit::Off));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit<T> {
    /// No limit: `"never"` for durations, `"unlimited"` or `0` for counts.
    Off,
    /// The limit.
    At(T),
}

impl<T: Ord> Limit<T> {
    /// Returns the stricter of two limits.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::Off, limit) | (limit, Self::Off) => limit,
        }
    }

    /// Returns the laxer of two limits.
    #[must_use]
    pub fn laxer(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(a), Self::At(b)) => Self::At(a.max(b)),
            _ => Self::Off,
        }
    }
}

impl<T> Limit<T> {
    /// Returns the limit, or `None` if there is none.
    pub fn at(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::At(limit) => Some(limit),
        }
    }
}

impl From<Duration> for Limit<Duration> {
    fn from(limit: Duration) -> Self {
        Self::At(limit)
    }
}

impl From<u32> for Limit<u32> {
    /// Zero means no limit.
    fn from(limit: u32) -> Self {
        if limit == 0 { Self::Off } else { Self::At(limit) }
    }
}

/// Which session ends when a login would exceed `max_sessions`.
///
/// ```
/// use session_expire::{Overflow, Policy};
/// let overflow: Overflow = "least_recent".parse()?;
/// let policy = Policy::new().max_sessions(3).overflow(overflow);
/// assert_eq!(policy.overflow.as_str(), "least_recent");
/// # Ok::<(), session_expire::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The session with the oldest login. The default.
    #[default]
    Evict,
    /// The least recently used session.
    LeastRecent,
    /// None: the new login is refused.
    Refuse,
}

/// Timeouts of a session.
///
/// ```
/// use session_expire::{Limit, Limits, Policy, hours, minutes};
/// let limits = Policy::new().idle(minutes(10)).absolute(hours(8)).limits();
/// let expected = Limits { idle: Limit::At(minutes(10)), absolute: Limit::At(hours(8)) };
/// assert_eq!(limits, expected);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// See [`Policy::idle`](crate::Policy::idle).
    pub idle: Limit<Duration>,
    /// See [`Policy::absolute`](crate::Policy::absolute).
    pub absolute: Limit<Duration>,
}
