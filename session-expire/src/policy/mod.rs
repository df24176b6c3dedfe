//! Policies of sessions, and patches that change them for some handlers.

mod patch;
mod setters;
mod validation;

use std::{sync::Arc, time::Duration};

pub use self::patch::PolicyPatch;
use self::{
    setters::setters,
    validation::{check, warn_in_time},
};
use crate::{
    error::ConfigError,
    limit::{Limit, Limits, Overflow},
    time::{hours, minutes},
};

/// Warning time if none is set; half of a shorter limit.
const DEFAULT_WARNING: Duration = minutes(2);

/// Policy of sessions: timeouts, session limit, and what users are told.
///
/// It deserializes from TOML, JSON and others with the words of the attribute. A key that is left out
/// keeps its default; an unknown key is an error.
///
/// ```
/// use session_expire::{Limit, Policy, hours, minutes};
/// let policy: Policy = toml::from_str(r#"idle = "10m""#)?;
/// assert_eq!(policy.idle, Limit::At(minutes(10)));
/// assert_eq!(policy.absolute, Limit::At(hours(12)));
/// assert!(toml::from_str::<Policy>(r#"idel = "10m""#).is_err());
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Idle timeout: how long a session stays active without activity of the user. Default: `30m`
    /// (OWASP ASVS 5.0 7.3.1; NIST SP 800-63B-4: at most 1 h at AAL2).
    pub idle: Limit<Duration>,
    /// Absolute timeout: how long a session lasts from its login, regardless of activity. Default:
    /// `12h` (ASVS 5.0 7.3.2; NIST: at most 24 h at AAL2).
    pub absolute: Limit<Duration>,
    /// How long before the end the user is warned. Default: `None`, which means two minutes, or half of
    /// a shorter limit (WCAG 2.2.1 requires at least 20 seconds).
    pub warn: Option<Limit<Duration>>,
    /// How many sessions a user may have at once. Default: unlimited, with a hard cap of
    /// [1,000](crate::SessionLimit::WITHOUT_LIMIT).
    pub max_sessions: Limit<u32>,
    /// Which session ends when the limit is reached. Default: the oldest login.
    pub overflow: Overflow,
    /// Whether requests are checked without counting as activity. Default: `false`.
    pub passive: bool,
    /// The text that a user reads when the session has ended. Default: `None`, which means a text for
    /// each reason. An empty text shows no message.
    pub message: Option<Arc<str>>,
    /// The login page, a path of this site. Default: `/login`.
    pub login_url: Arc<str>,
    /// Whether anonymous and expired requests are challenged. Default: `false`.
    pub require_login: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            idle: Limit::At(minutes(30)),
            absolute: Limit::At(hours(12)),
            warn: None,
            max_sessions: Limit::Off,
            overflow: Overflow::Evict,
            passive: false,
            message: None,
            login_url: Arc::from("/login"),
            require_login: false,
        }
    }
}

impl Policy {
    /// Returns the defaults: 30 minutes idle, 12 hours absolute, no session limit.
    ///
    /// ```
    /// use session_expire::{Limit, Overflow, Policy, hours, minutes};
    /// let policy = Policy::new()
    ///     .idle(minutes(10))
    ///     .absolute(hours(8))
    ///     .warn(minutes(1))
    ///     .max_sessions(1)
    ///     .overflow(Overflow::Refuse)
    ///     .message("Please sign in again.")
    ///     .login_url("/sign-in");
    /// assert_eq!(policy.idle, Limit::At(minutes(10)));
    /// assert!(!policy.passive);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters!(std::convert::identity);

    /// Returns the two timeouts.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { idle: self.idle, absolute: self.absolute }
    }

    /// Returns how long before the end the user is warned; `None` for no warning. A warning time that
    /// is not shorter than a limit becomes half of that limit.
    ///
    /// ```
    /// use session_expire::{Limit, Policy, minutes, seconds};
    /// let policy = Policy::new().warn(minutes(5));
    /// assert_eq!(policy.warning(), Some(minutes(5)));
    /// assert_eq!(policy.clone().idle(minutes(1)).warning(), Some(seconds(30)));
    /// assert_eq!(policy.warn(Limit::Off).warning(), None);
    /// ```
    #[must_use]
    pub fn warning(&self) -> Option<Duration> {
        let shortest = self.idle.at().into_iter().chain(self.absolute.at()).min()?;
        let wanted = self.warn.unwrap_or(Limit::At(DEFAULT_WARNING)).at()?;
        Some(warn_in_time(wanted, shortest))
    }

    /// Checks the policy. The middleware calls it when it is built.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if a limit is zero, `warn` is not shorter than a limit, or `login_url`
    /// is not a local path.
    ///
    /// ```
    /// use session_expire::{ConfigError, Policy, seconds};
    /// assert!(Policy::new().validate().is_ok());
    /// let policy = Policy::new().idle(seconds(0));
    /// assert_eq!(policy.validate(), Err(ConfigError::Zero { key: "idle" }));
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        check(Some(self.idle), Some(self.absolute), self.warn, Some(&self.login_url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::seconds;

    #[test]
    fn a_zero_limit_is_a_mistake_and_not_a_lockout() {
        let policy = Policy::new().idle(Duration::ZERO);
        assert_eq!(policy.validate(), Err(ConfigError::Zero { key: "idle" }));
    }

    #[test]
    fn a_warning_comes_in_time_under_every_limit() {
        for (policy, warning) in [
            (Policy::new(), Some(minutes(2))),
            (Policy::new().idle(minutes(1)), Some(seconds(30))),
            (Policy::new().idle(minutes(5)).absolute(minutes(1)), Some(seconds(30))),
            (Policy::new().warn(seconds(10)).idle(minutes(1)), Some(seconds(10))),
            (Policy::new().warn(Limit::Off), None),
            (Policy::new().idle(Limit::Off).absolute(Limit::Off), None),
        ] {
            assert_eq!(policy.warning(), warning, "{policy:?}");
        }
    }
}
