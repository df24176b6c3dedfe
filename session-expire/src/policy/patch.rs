//! Partial policies.

use std::{sync::Arc, time::Duration};

use super::{
    Policy,
    setters::setters,
    validation::{check, warn_in_time},
};
use crate::{
    error::ConfigError,
    limit::{Limit, Overflow},
};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, minutes, seconds};

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
