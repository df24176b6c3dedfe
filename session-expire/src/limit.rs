//! Limits, and what happens when one is exceeded.

use std::time::Duration;

/// A limit, or the decision that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit<T> {
    /// No limit: `"never"` for durations, `"unlimited"` or `0` for counts.
    Off,
    /// The limit.
    At(T),
}

impl<T: Ord> Limit<T> {
    /// The stricter of two limits.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::Off, limit) | (limit, Self::Off) => limit,
        }
    }

    /// The laxer of two limits.
    #[must_use]
    pub fn laxer(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(a), Self::At(b)) => Self::At(a.max(b)),
            _ => Self::Off,
        }
    }
}

impl<T> Limit<T> {
    /// The limit, or `None` when there is none.
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
    /// Zero means no limit, as in django-expire.
    fn from(limit: u32) -> Self {
        if limit == 0 { Self::Off } else { Self::At(limit) }
    }
}

/// What happens when a login would exceed `max_sessions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The oldest login goes first. The default.
    #[default]
    Evict,
    /// The login that was used longest ago goes first.
    LeastRecent,
    /// The new login is refused.
    Refuse,
}

/// The two limits of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// See [`Policy::idle`](crate::Policy::idle).
    pub idle: Limit<Duration>,
    /// See [`Policy::absolute`](crate::Policy::absolute).
    pub absolute: Limit<Duration>,
}
