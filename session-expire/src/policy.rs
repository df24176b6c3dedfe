//! Policies of sessions, and patches that change them for some handlers.

use std::{sync::Arc, time::Duration};

use crate::{
    error::ConfigError,
    limit::{Limit, Limits, Overflow},
    local_path::local_path,
    time::{format_duration, hours, minutes, seconds},
};

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

/// Partial policy: a key that is set overrides, a key that is not set is inherited.
///
/// It is also a middleware: `web::scope("/admin").wrap(patch)`.
///
/// ```
/// use session_expire::{Limit, Policy, PolicyPatch, minutes};
/// let stricter = PolicyPatch::new().idle(minutes(1));
/// let policy = stricter.over(&Policy::new().absolute(Limit::Off));
/// assert_eq!((policy.idle, policy.absolute), (Limit::At(minutes(1)), Limit::Off));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PolicyPatch {
    /// Overrides [`Policy::idle`].
    pub idle: Option<Limit<Duration>>,
    /// Overrides [`Policy::absolute`].
    pub absolute: Option<Limit<Duration>>,
    /// Overrides [`Policy::warn`].
    pub warn: Option<Limit<Duration>>,
    /// Overrides [`Policy::max_sessions`].
    pub max_sessions: Option<Limit<u32>>,
    /// Overrides [`Policy::overflow`].
    pub overflow: Option<Overflow>,
    /// Overrides [`Policy::passive`].
    pub passive: Option<bool>,
    /// Overrides [`Policy::message`].
    pub message: Option<Arc<str>>,
    /// Overrides [`Policy::login_url`].
    pub login_url: Option<Arc<str>>,
    /// Overrides [`Policy::require_login`].
    pub require_login: Option<bool>,
}

/// Setters that a policy and a patch have in common; `$set` makes a field of a value.
macro_rules! setters {
    ($set:expr) => {
        /// Sets the idle timeout; `Limit::Off` for none.
        #[must_use]
        pub fn idle(mut self, limit: impl Into<Limit<Duration>>) -> Self {
            self.idle = $set(limit.into());
            self
        }

        /// Sets the absolute timeout, counted from the login; `Limit::Off` for none.
        #[must_use]
        pub fn absolute(mut self, limit: impl Into<Limit<Duration>>) -> Self {
            self.absolute = $set(limit.into());
            self
        }

        /// Sets how long before the end the user is warned; `Limit::Off` for no warning.
        #[must_use]
        pub fn warn(mut self, before_end: impl Into<Limit<Duration>>) -> Self {
            self.warn = Some(before_end.into());
            self
        }

        /// Sets how many sessions a user may have at once; `0` or `Limit::Off` for no configured
        /// limit.
        #[must_use]
        pub fn max_sessions(mut self, limit: impl Into<Limit<u32>>) -> Self {
            self.max_sessions = $set(limit.into());
            self
        }

        /// Sets which session ends when the limit is reached.
        #[must_use]
        pub fn overflow(mut self, overflow: Overflow) -> Self {
            self.overflow = $set(overflow);
            self
        }

        /// Sets whether requests are checked without counting as activity.
        #[must_use]
        pub fn passive(mut self, passive: bool) -> Self {
            self.passive = $set(passive);
            self
        }

        /// Sets the text that a user reads when the session has ended, for all reasons. An empty text
        /// shows no message. Default: a text for each reason.
        #[must_use]
        pub fn message(mut self, text: impl Into<Arc<str>>) -> Self {
            self.message = Some(text.into());
            self
        }

        /// Sets the login page, a path of this site.
        #[must_use]
        pub fn login_url(mut self, path: impl Into<Arc<str>>) -> Self {
            self.login_url = $set(path.into());
            self
        }

        /// Sets whether a login is required. If `true`, anonymous and expired requests are challenged
        /// before anything further in runs. Default: `false`.
        ///
        /// A layer that requires a login is a floor: a layer inside it cannot be open.
        #[must_use]
        pub fn require_login(mut self, required: bool) -> Self {
            self.require_login = $set(required);
            self
        }
    };
}

/// Warning time if none is set; half of a shorter limit.
const DEFAULT_WARNING: Duration = minutes(2);

const LONGEST_SLACK: Duration = seconds(30);

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

    /// Returns by how much `last_seen` may lag before it is written under this policy: a sixtieth of
    /// the idle timeout, at most 30 seconds. The strictest policy of an application decides. A session
    /// may end this much early, never late.
    ///
    /// ```
    /// use session_expire::{Policy, hours, minutes, seconds};
    /// assert_eq!(Policy::new().idle(minutes(1)).slack(), seconds(1));
    /// assert_eq!(Policy::new().idle(hours(8)).slack(), seconds(30));
    /// ```
    #[must_use]
    pub fn slack(&self) -> Duration {
        self.idle.at().map_or(LONGEST_SLACK, |idle| LONGEST_SLACK.min(idle / 60))
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

impl PolicyPatch {
    /// Returns a patch that changes nothing.
    ///
    /// ```
    /// use session_expire::{Limit, Policy, PolicyPatch};
    /// assert_eq!(PolicyPatch::new().over(&Policy::new()), Policy::new());
    /// // A key that is set to its default overrides, too.
    /// let any_number = PolicyPatch::new().max_sessions(0).passive(false);
    /// let policy = any_number.over(&Policy::new().max_sessions(3).passive(true));
    /// assert_eq!((policy.max_sessions, policy.passive), (Limit::Off, false));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters!(Some);

    /// Returns `below` with the keys of this patch.
    #[must_use]
    pub fn over(&self, below: &Policy) -> Policy {
        Policy {
            idle: self.idle.unwrap_or(below.idle),
            absolute: self.absolute.unwrap_or(below.absolute),
            warn: self.warn.or(below.warn),
            max_sessions: self.max_sessions.unwrap_or(below.max_sessions),
            overflow: self.overflow.unwrap_or(below.overflow),
            passive: self.passive.unwrap_or(below.passive),
            message: self.message.as_ref().or(below.message.as_ref()).cloned(),
            login_url: self.login_url.as_ref().unwrap_or(&below.login_url).clone(),
            require_login: self.require_login.unwrap_or(below.require_login),
        }
    }

    /// Returns `below` with the keys of this patch. A warning time of one patch that is not shorter
    /// than a limit of the other becomes half of that limit, as in [`Policy::warning`].
    ///
    /// ```
    /// use session_expire::{PolicyPatch, hours, minutes};
    /// let scope = PolicyPatch::new().idle(minutes(5)).absolute(hours(1));
    /// let handler = PolicyPatch::new().idle(minutes(1));
    /// let both = PolicyPatch::new().idle(minutes(1)).absolute(hours(1));
    /// assert_eq!(handler.on_top_of(&scope), both);
    /// ```
    #[must_use]
    pub fn on_top_of(&self, below: &Self) -> Self {
        Self {
            idle: self.idle.or(below.idle),
            absolute: self.absolute.or(below.absolute),
            warn: self.warn_on_top_of(below),
            max_sessions: self.max_sessions.or(below.max_sessions),
            overflow: self.overflow.or(below.overflow),
            passive: self.passive.or(below.passive),
            message: self.message.as_ref().or(below.message.as_ref()).cloned(),
            login_url: self.login_url.as_ref().or(below.login_url.as_ref()).cloned(),
            require_login: self.require_login.or(below.require_login),
        }
    }

    fn warn_on_top_of(&self, below: &Self) -> Option<Limit<Duration>> {
        let (warn, idle, absolute) = match self.warn {
            None => (below.warn, self.idle, self.absolute),
            warn => (
                warn,
                below.idle.filter(|_| self.idle.is_none()),
                below.absolute.filter(|_| self.absolute.is_none()),
            ),
        };
        let shortest =
            idle.and_then(Limit::at).into_iter().chain(absolute.and_then(Limit::at)).min();
        match (warn, shortest) {
            (Some(Limit::At(wanted)), Some(shortest)) => {
                Some(Limit::At(warn_in_time(wanted, shortest)))
            }
            _ => warn,
        }
    }

    /// Checks the keys of this patch.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] as [`Policy::validate`] does.
    ///
    /// ```
    /// use session_expire::{PolicyPatch, hours, minutes};
    /// assert!(PolicyPatch::new().idle(minutes(10)).warn(minutes(10)).validate().is_err());
    /// // The default of 30 minutes is no part of this patch.
    /// assert!(PolicyPatch::new().warn(hours(1)).validate().is_ok());
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        check(self.idle, self.absolute, self.warn, self.login_url.as_ref())
    }
}

fn warn_in_time(wanted: Duration, shortest: Duration) -> Duration {
    if wanted < shortest { wanted } else { shortest / 2 }
}

fn check(
    idle: Option<Limit<Duration>>,
    absolute: Option<Limit<Duration>>,
    warn: Option<Limit<Duration>>,
    login_url: Option<&Arc<str>>,
) -> Result<(), ConfigError> {
    for (key, limit) in [("idle", idle), ("absolute", absolute)] {
        let Some(Limit::At(limit)) = limit else { continue };
        if limit < Duration::from_millis(1) {
            return Err(ConfigError::Zero { key });
        }
        match warn {
            Some(Limit::At(warn)) if warn >= limit => {
                return Err(ConfigError::WarnTooEarly {
                    warn: format_duration(warn),
                    limit_key: key,
                    limit: format_duration(limit),
                });
            }
            _ => {}
        }
    }
    match login_url {
        Some(url) if local_path(url).is_none() => {
            Err(ConfigError::NotLocal { key: "login_url", value: url.to_string() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn patches_combine_and_the_inner_one_wins() {
        let app = Policy::new().idle(minutes(10)).message("app").require_login(true);
        let scope = PolicyPatch::new().idle(minutes(2)).absolute(minutes(30));
        let handler = PolicyPatch::new().idle(Limit::Off);
        let policy = handler.over(&scope.over(&app));
        assert_eq!((policy.idle, policy.absolute), (Limit::Off, Limit::At(minutes(30))));
        assert_eq!(policy.message.as_deref(), Some("app"));
        assert!(policy.require_login);
    }

    #[test]
    fn require_login_inner_patch_wins() {
        for (inner, outer, expected) in [
            (None, None, None),
            (None, Some(true), Some(true)),
            (Some(false), Some(true), Some(false)),
            (Some(true), Some(false), Some(true)),
        ] {
            let patch = |require_login| PolicyPatch { require_login, ..PolicyPatch::new() };
            let merged = patch(inner).on_top_of(&patch(outer));
            assert_eq!(merged.require_login, expected, "{inner:?} {outer:?}");
            let policy = merged.over(&Policy::new());
            assert_eq!(policy.require_login, expected.unwrap_or(false), "{inner:?} {outer:?}");
        }
    }

    #[test]
    fn empty_message_is_kept_and_overrides() {
        let policy = PolicyPatch::new().message("").over(&Policy::new().message("app"));
        assert_eq!(policy.message.as_deref(), Some(""));
    }

    #[test]
    fn merged_patch_warns_like_two_layers_and_is_valid() {
        let patch = PolicyPatch::new;
        for (inner, outer, warn) in [
            (patch().idle(minutes(1)), patch().warn(minutes(5)), seconds(30)),
            (patch().absolute(minutes(1)), patch().warn(minutes(1)), seconds(30)),
            (patch().warn(minutes(5)), patch().idle(minutes(2)), minutes(1)),
            (patch().warn(minutes(5)).idle(minutes(9)), patch().idle(minutes(2)), minutes(5)),
            (patch().idle(Limit::Off), patch().warn(minutes(1)).idle(minutes(2)), minutes(1)),
            (patch().warn(seconds(5)), patch().idle(minutes(2)).warn(minutes(1)), seconds(5)),
        ] {
            let merged = inner.on_top_of(&outer);
            assert_eq!(merged.validate(), Ok(()), "{inner:?} {outer:?}");
            assert_eq!(merged.warn, Some(Limit::At(warn)), "{inner:?} {outer:?}");
            let two_layers = inner.over(&outer.over(&Policy::new()));
            let warning = merged.over(&Policy::new()).warning();
            assert_eq!(warning, two_layers.warning(), "{inner:?} {outer:?}");
        }
    }

    #[test]
    fn merged_patch_keeps_a_contradiction_of_its_own() {
        let contradictory = PolicyPatch::new().warn(hours(1)).idle(minutes(1));
        for merged in [
            contradictory.on_top_of(&PolicyPatch::new()),
            PolicyPatch::new().on_top_of(&contradictory),
        ] {
            assert!(merged.validate().is_err(), "{merged:?}");
        }
    }
}
