//! Policies of sessions, and patches for scopes, handlers, logins and users.
//!
//! `options` lists the options once; macros generate the types from that table.

pub(crate) mod at_end;
pub(crate) mod handler_policies;
pub(crate) mod limit;
pub(crate) mod local_path;
pub(crate) mod longest;
pub(crate) mod merge;
mod options;
mod patch;
mod serde;
mod validation;

use std::{sync::Arc, time::Duration};

pub use self::patch::PolicyPatch;
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(crate) use self::serde::{from_stored, to_text};
use self::{
    at_end::AtEnd,
    limit::{Limit, Limits, Overflow},
    options::{policy_default, policy_options, policy_type, policy_value},
    validation::{capped_warning, check_options},
};
use crate::{
    error::ConfigError,
    time::{hours, minutes},
};

/// Warning time if none is set and no timeout is shorter.
const DEFAULT_WARNING: Duration = minutes(2);

macro_rules! declare_policy {
    ($($(#[doc = $doc:literal])+ $name:ident($argument:ty): $type:ty $(= $default:expr)?;)+) => {
        /// Policy of sessions: timeouts, session limit, warning and login page.
        ///
        /// It deserializes from TOML, JSON and other formats, with the keys and values of the
        /// attribute. A missing key has its default, and an unknown key is an error. It serializes
        /// to the same format.
        ///
        /// ```
        /// use session_expire::{Limit, Policy, hours, minutes};
        ///
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
                pub fn $name(mut self, $name: $argument) -> Self {
                    self.$name = policy_value!($name.into() => $($default)?);
                    self
                }
            )+
        }
    };
}

policy_options!(declare_policy);

impl Policy {
    /// Returns the default policy: 30 minutes idle, 12 hours absolute, no session limit.
    ///
    /// ```
    /// use session_expire::{Limit, Overflow, Policy, hours, minutes};
    ///
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

    /// Returns how long before the end the user is warned, or `None` for no warning. If `warn` is
    /// not shorter than a timeout, it is half of that timeout.
    ///
    /// ```
    /// use session_expire::{Limit, Policy, minutes, seconds};
    ///
    /// let policy = Policy::new().warn(minutes(5));
    /// assert_eq!(policy.warning(), Some(minutes(5)));
    /// assert_eq!(policy.clone().idle(minutes(1)).warning(), Some(seconds(30)));
    /// assert_eq!(policy.warn(Limit::Off).warning(), None);
    /// ```
    #[must_use]
    pub fn warning(&self) -> Option<Duration> {
        let shortest = self.idle.at().into_iter().chain(self.absolute.at()).min()?;
        let wanted = self.warn.unwrap_or(Limit::At(DEFAULT_WARNING)).at()?;
        Some(capped_warning(wanted, shortest))
    }

    /// Validates the policy. [`build`](crate::SessionExpireBuilder::build) calls it.
    ///
    /// # Errors
    ///
    /// - [`ConfigError::Zero`] if a timeout, `fresh` or `lock_for` is zero.
    /// - [`ConfigError::WarnTooEarly`] if `warn` is not shorter than a timeout.
    /// - [`ConfigError::NotLocalPath`] if `login_url` or `confirm_url` is not a local path.
    ///
    /// ```
    /// use session_expire::{Policy, error::ConfigError, seconds};
    ///
    /// assert!(Policy::new().validate().is_ok());
    /// let policy = Policy::new().idle(seconds(0));
    /// assert!(matches!(policy.validate(), Err(ConfigError::Zero { key: "idle", .. })));
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_options(&PolicyPatch::from(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::seconds;

    #[test]
    fn zero_timeout_is_an_error() {
        let policy = Policy::new().idle(Duration::ZERO);
        assert_eq!(policy.validate(), Err(ConfigError::Zero { key: "idle" }));
        let policy = Policy::new().lock_for(Duration::ZERO);
        assert_eq!(policy.validate(), Err(ConfigError::Zero { key: "lock_for" }));
    }

    #[test]
    fn warning_is_shorter_than_every_timeout() {
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
