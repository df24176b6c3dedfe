//! Limits, and the behaviour at the session limit.
//!
//! [`Limit::Off`] is laxer than any limit.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::PolicyPatch;
use crate::{
    error::{ConfigError, DurationError},
    time::{format_duration, parse_duration},
};

/// Limit of a duration or a count, or no limit.
///
/// ```
/// use session_expire::{Limit, hours, minutes};
///
/// let (short, long) = (Limit::At(minutes(10)), Limit::At(hours(8)));
/// assert_eq!(short.stricter(long), short);
/// assert_eq!(long.laxer(Limit::Off), Limit::Off);
/// assert_eq!((long.at(), Limit::<u32>::Off.at()), (Some(hours(8)), None));
/// assert_eq!((Limit::from(3), Limit::from(0)), (Limit::At(3), Limit::Off));
/// assert_eq!("1h30m".parse(), Ok(Limit::At(minutes(90))));
/// assert_eq!(long.to_string(), "8h");
/// assert_eq!(Limit::<u32>::Off.to_string(), "unlimited");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit<T> {
    /// No limit. It is written `"never"` for durations, and `"unlimited"` or `0` for counts.
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
    /// Returns the limit, or `None` for [`Limit::Off`].
    pub fn at(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::At(limit) => Some(limit),
        }
    }
}

impl From<Option<Duration>> for Limit<Duration> {
    fn from(limit: Option<Duration>) -> Self {
        limit.map_or(Self::Off, Self::At)
    }
}

impl From<Option<u32>> for Limit<u32> {
    /// `None` and zero mean no limit.
    fn from(limit: Option<u32>) -> Self {
        limit.map_or(Self::Off, Self::from)
    }
}

impl<T> From<Limit<T>> for Option<T> {
    fn from(limit: Limit<T>) -> Self {
        limit.at()
    }
}

impl From<Duration> for Limit<Duration> {
    fn from(limit: Duration) -> Self {
        Self::At(limit)
    }
}

impl From<u32> for Limit<u32> {
    /// Converts zero to [`Limit::Off`].
    fn from(limit: u32) -> Self {
        if limit == 0 { Self::Off } else { Self::At(limit) }
    }
}

impl FromStr for Limit<Duration> {
    type Err = DurationError;

    /// Parses a duration such as `10m` or `1h30m`, or `never`.
    fn from_str(text: &str) -> Result<Self, DurationError> {
        match text {
            "never" => Ok(Self::Off),
            _ => parse_duration(text).map(Self::At),
        }
    }
}

impl Limit<u32> {
    pub(super) const WORDS: &'static str = "a whole number or \"unlimited\"";
}

impl FromStr for Limit<u32> {
    type Err = ConfigError;

    /// Parses a whole number or `unlimited`. Zero means no limit.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match (text, text.parse::<u32>()) {
            ("unlimited", _) => Ok(Self::Off),
            (_, Ok(number)) => Ok(number.into()),
            _ => Err(ConfigError::Value {
                key: "max_sessions",
                value: format!("{text:?}"),
                expected: Self::WORDS,
            }),
        }
    }
}

impl fmt::Display for Limit<Duration> {
    /// Writes the format that [`FromStr`] parses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("never"),
            Self::At(limit) => f.pad(&format_duration(*limit)),
        }
    }
}

impl fmt::Display for Limit<u32> {
    /// Writes the number, or `unlimited`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("unlimited"),
            Self::At(limit) => limit.fmt(f),
        }
    }
}

/// Behaviour if a login would exceed `max_sessions`. Default: [`Evict`](Self::Evict).
///
/// ```
/// use session_expire::{Overflow, Policy};
///
/// let overflow: Overflow = "least_recent".parse()?;
/// let policy = Policy::new().max_sessions(3).overflow(overflow);
/// assert_eq!(policy.overflow.as_str(), "least_recent");
/// # Ok::<(), session_expire::error::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// Ends the session with the oldest login.
    #[default]
    Evict,
    /// Ends the least recently used session.
    LeastRecent,
    /// Refuses the new login.
    Refuse,
}

impl Overflow {
    pub(super) const WORDS: &'static str = "\"evict\", \"least_recent\" or \"refuse\"";

    /// Returns the word: `evict`, `least_recent` or `refuse`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evict => "evict",
            Self::LeastRecent => "least_recent",
            Self::Refuse => "refuse",
        }
    }
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Overflow {
    type Err = ConfigError;

    /// Parses `evict`, `least_recent` (or `least-recent`) or `refuse`.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Value`] for any other text.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "evict" => Ok(Self::Evict),
            "least_recent" | "least-recent" => Ok(Self::LeastRecent),
            "refuse" => Ok(Self::Refuse),
            _ => Err(ConfigError::Value {
                key: "overflow",
                value: format!("{text:?}"),
                expected: Self::WORDS,
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Overflow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Overflow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Timeouts of a policy, or the longest timeouts of several policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// See [`Policy::idle`](crate::Policy::idle).
    pub(crate) idle: Limit<Duration>,
    /// See [`Policy::absolute`](crate::Policy::absolute).
    pub(crate) absolute: Limit<Duration>,
}

impl Limits {
    /// Returns the longer of the two idle timeouts, and of the two absolute timeouts.
    pub(crate) fn longer(self, other: Self) -> Self {
        Self { idle: self.idle.laxer(other.idle), absolute: self.absolute.laxer(other.absolute) }
    }

    /// Returns these timeouts, each replaced by that of `patch` if it is longer.
    pub(crate) fn longer_with(self, patch: &PolicyPatch) -> Self {
        self.longer(Self {
            idle: patch.idle.unwrap_or(self.idle),
            absolute: patch.absolute.unwrap_or(self.absolute),
        })
    }
}
