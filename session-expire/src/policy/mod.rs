//! Policies of sessions, and patches that change them for some handlers.

pub(crate) mod handler_policies;
pub(crate) mod limit;
pub(crate) mod local_path;
pub(crate) mod merge;
mod options;
mod patch;
mod serde;
mod validation;

use std::{sync::Arc, time::Duration};

pub use self::patch::PolicyPatch;
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(crate) use self::serde::to_text;
use self::{
    limit::{Limit, Limits, Overflow},
    options::{policy_default, policy_options, policy_type, policy_value},
    validation::{check, warn_in_time},
};
use crate::{
    error::ConfigError,
    time::{hours, minutes},
};

/// Warning time if none is set; half of a shorter limit.
const DEFAULT_WARNING: Duration = minutes(2);

macro_rules! declare_policy {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty $(= $default:expr)?;)+) => {
        /// Policy of sessions: timeouts, session limit, and what users are told.
        ///
        /// It deserializes from TOML, JSON and others with the words of the attribute. A key that is
        /// left out keeps its default; an unknown key is an error. It serializes with the same words.
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
            $($(#[doc = $doc])+ pub $name: policy_type!($type $(= $default)?),)+
        }

        impl Default for Policy {
            fn default() -> Self {
                Self { $($name: policy_default!($($default)?),)+ }
            }
        }

        impl Policy {
            $(
                #[doc = concat!("Sets `", stringify!($name), "`.")]
                ///
                $(#[doc = $doc])+
                #[must_use]
                pub fn $name(mut self, $name: impl Into<$type>) -> Self {
                    self.$name = policy_value!($name.into() => $($default)?);
                    self
                }
            )+
        }
    };
}

policy_options!(declare_policy);

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

    /// Returns the two timeouts.
    pub(crate) fn limits(&self) -> Limits {
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
    /// use session_expire::{Policy, error::ConfigError, seconds};
    /// assert!(Policy::new().validate().is_ok());
    /// let policy = Policy::new().idle(seconds(0));
    /// assert!(matches!(policy.validate(), Err(ConfigError::Zero { key: "idle", .. })));
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
