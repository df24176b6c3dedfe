//! Policy patches: policies in which every option is optional.
//!
//! Scopes, handlers, logins and users have patches. Only the application has a whole policy.

use std::{sync::Arc, time::Duration};

use super::{
    at_end::AtEnd,
    limit::{Limit, Overflow},
    options::policy_options,
    validation::check_options,
};
use crate::error::ConfigError;

macro_rules! declare_patch {
    ($($(#[doc = $doc:literal])+ $name:ident($argument:ty): $type:ty $(= $default:expr)?;)+) => {
        /// Policy patch: options that are set override, options that are not set are inherited.
        ///
        /// It is also a middleware: `web::scope("/admin").wrap(patch)`. It serializes the options
        /// that are set, with the keys and values of the attribute.
        ///
        /// ```
        /// use session_expire::{Limit, Policy, PolicyPatch, minutes};
        ///
        /// let stricter = PolicyPatch::new().idle(minutes(1));
        /// let policy = stricter.over(&Policy::new().absolute(Limit::Off));
        /// assert_eq!((policy.idle, policy.absolute), (Limit::At(minutes(1)), Limit::Off));
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct PolicyPatch {
            $(
                #[doc = concat!("Overrides [`Policy::", stringify!($name), "`](super::Policy#structfield.", stringify!($name), ").")]
                pub $name: Option<$type>,
            )+
        }

        impl PolicyPatch {
            $(
                #[doc = concat!("Sets `", stringify!($name), "`.")]
                ///
                $(#[doc = $doc])+
                #[must_use]
                pub fn $name(mut self, $name: $argument) -> Self {
                    self.$name = Some($name.into());
                    self
                }
            )+
        }
    };
}

policy_options!(declare_patch);

impl PolicyPatch {
    /// Returns a patch that sets no option.
    ///
    /// ```
    /// use session_expire::{Limit, Policy, PolicyPatch};
    ///
    /// assert_eq!(PolicyPatch::new().over(&Policy::new()), Policy::new());
    /// // An option that is set to its default overrides, too.
    /// let any_number = PolicyPatch::new().max_sessions(0).passive(false);
    /// let policy = any_number.over(&Policy::new().max_sessions(3).passive(true));
    /// assert_eq!((policy.max_sessions, policy.passive), (Limit::Off, false));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Validates the options that are set.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`Policy::validate`](super::Policy::validate).
    ///
    /// ```
    /// use session_expire::{PolicyPatch, hours, minutes};
    ///
    /// assert!(PolicyPatch::new().idle(minutes(10)).warn(minutes(10)).validate().is_err());
    /// // The patch does not set `idle`, so there is no contradiction.
    /// assert!(PolicyPatch::new().warn(hours(1)).validate().is_ok());
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_options(self)
    }
}
