//! Merging of policies. Precedence, lowest to highest: application, scope, handler, user.
//!
//! A login policy ("keep me signed in") changes the timeouts of the application. It does not
//! change pages that are stricter than the application.

use std::{sync::Arc, time::Duration};

use super::{
    Policy, PolicyPatch,
    limit::{Limit, Limits},
    options::policy_options,
    validation::capped_warning,
};

/// Option of a patch, which is merged into the same option of another policy.
pub(super) trait MergeOption<Below> {
    /// Returns the patch's option if it is set, otherwise that of `below`.
    fn over(&self, below: &Below) -> Below;

    /// Returns the option of a patch that sets the value in `policy`.
    fn setting(policy: &Below) -> Self;
}

impl<T: Clone> MergeOption<T> for Option<T> {
    fn over(&self, below: &T) -> T {
        self.as_ref().unwrap_or(below).clone()
    }

    fn setting(policy: &T) -> Self {
        Some(policy.clone())
    }
}

impl<T: Clone> MergeOption<Option<T>> for Option<T> {
    fn over(&self, below: &Option<T>) -> Option<T> {
        self.as_ref().or(below.as_ref()).cloned()
    }

    fn setting(policy: &Option<T>) -> Self {
        policy.clone()
    }
}

macro_rules! merge_options {
    ($($(#[doc = $doc:literal])+ $name:ident($argument:ty): $type:ty $(= $default:expr)?;)+) => {
        impl PolicyPatch {
            /// Returns `below` with the options that this patch sets. For `fresh`, the stricter
            /// value applies. A patch that sets `absolute` without `absolute_is_essential` removes
            /// an inherited reason.
            #[must_use]
            pub fn over(&self, below: &Policy) -> Policy {
                let mut merged = Policy { $($name: self.$name.over(&below.$name),)+ };
                merged.fresh = merged.fresh.stricter(below.fresh);
                if self.absolute.is_some() {
                    merged.absolute_is_essential.clone_from(&self.absolute_is_essential);
                }
                merged
            }

            /// Returns `below` with the options that this patch sets. If the warning time of one
            /// patch is not shorter than a timeout of the other, it becomes half of that timeout.
            ///
            /// ```
            /// use session_expire::{PolicyPatch, hours, minutes};
            ///
            /// let scope = PolicyPatch::new().idle(minutes(5)).absolute(hours(1));
            /// let handler = PolicyPatch::new().idle(minutes(1));
            /// let both = PolicyPatch::new().idle(minutes(1)).absolute(hours(1));
            /// assert_eq!(handler.over_patch(&scope), both);
            /// ```
            #[must_use]
            pub fn over_patch(&self, below: &Self) -> Self {
                let merged = Self { $($name: self.$name.over(&below.$name),)+ };
                Self {
                    warn: self.warn_on_top_of(below),
                    fresh: self.fresh_on_top_of(below),
                    absolute_is_essential: self.reason_on_top_of(below),
                    ..merged
                }
            }
        }

        impl From<&Policy> for PolicyPatch {
            /// Returns a patch that sets every option of `policy`.
            fn from(policy: &Policy) -> Self {
                Self { $($name: MergeOption::setting(&policy.$name),)+ }
            }
        }
    };
}

policy_options!(merge_options);

impl PolicyPatch {
    fn fresh_on_top_of(&self, below: &Self) -> Option<Limit<Duration>> {
        let both = self.fresh.into_iter().chain(below.fresh);
        both.reduce(Limit::stricter)
    }

    /// Returns the reason for the absolute timeout. A new timeout does not inherit a reason; an
    /// empty reason removes it.
    fn reason_on_top_of(&self, below: &Self) -> Option<Arc<str>> {
        let inherited = below.absolute_is_essential.clone();
        let inherited = match self.absolute {
            None => inherited,
            Some(_) => inherited.map(|_| Arc::from("")),
        };
        self.absolute_is_essential.clone().or(inherited)
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
                Some(Limit::At(capped_warning(wanted, shortest)))
            }
            _ => warn,
        }
    }
}

/// Policy patches of a session.
#[derive(Clone, Copy)]
pub(crate) struct SessionPatches<'a> {
    /// Login policy.
    pub(crate) login: Option<&'a PolicyPatch>,
    /// User policy.
    pub(crate) user: Option<&'a PolicyPatch>,
}

impl SessionPatches<'_> {
    /// Returns the policy of a page for this session, or `None` if it is `layered`.
    ///
    /// `app` is the application's policy, `layers` are the merged patches of the page, and
    /// `layered` is the result of merging both.
    #[inline]
    pub(crate) fn on_page(
        self,
        app: &Policy,
        layers: Option<&PolicyPatch>,
        layered: &Policy,
    ) -> Option<Policy> {
        let none = PolicyPatch::new();
        let login = self.login.map(|login| with_login(app, login, layers.unwrap_or(&none)));
        match self.user {
            Some(user) => Some(user.over(login.as_ref().unwrap_or(layered))),
            None => login,
        }
    }

    /// Returns the longest timeouts that any page applies to this session. `mounted` contains those
    /// of the application and its layers.
    pub(crate) fn longest(self, mounted: Limits) -> Limits {
        let patches = self.login.into_iter().chain(self.user);
        patches.fold(mounted, Limits::longer_with)
    }

    /// Returns the policy for a login on a page with the policy `layered`.
    pub(crate) fn at_login(self, layered: &Policy) -> Policy {
        let login = self.login.map_or_else(|| layered.clone(), |login| login.over(layered));
        self.user.map_or_else(|| login.clone(), |user| user.over(&login))
    }
}

/// Returns the policy of a page for a session with the login policy `login`.
///
/// If the login policy is stricter than the application, it applies to every page that is laxer. If
/// it is laxer, it does not change pages that are stricter than the application. Other pages get
/// the laxer timeout of page and login.
fn with_login(app: &Policy, login: &PolicyPatch, layers: &PolicyPatch) -> Policy {
    let mut policy = layers.over(&login.over(app));
    policy.idle = merge_login_timeout(app.idle, login.idle, layers.idle, policy.idle);
    policy.absolute =
        merge_login_timeout(app.absolute, login.absolute, layers.absolute, policy.absolute);
    if layers.absolute.is_some_and(|absolute| absolute != policy.absolute) {
        // The timeout is that of the login policy, and so is the reason for it.
        policy.absolute_is_essential.clone_from(&login.absolute_is_essential);
    }
    policy
}

/// Returns one timeout of [`with_login`]. `otherwise` applies unless both login and page set it.
fn merge_login_timeout(
    app: Limit<Duration>,
    login: Option<Limit<Duration>>,
    page: Option<Limit<Duration>>,
    otherwise: Limit<Duration>,
) -> Limit<Duration> {
    let (Some(login), Some(page)) = (login, page) else { return otherwise };
    if login.stricter(app) == login {
        login.stricter(page)
    } else if page.laxer(app) == page {
        login.laxer(page)
    } else {
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, minutes, seconds};

    #[test]
    fn login_policy_changes_app_and_laxer_pages() {
        let at = |limit| Limit::At(minutes(limit));
        for (login, page, expected) in [
            (None, None, at(10)),
            (None, Some(at(1)), at(1)),
            (Some(at(600)), None, at(600)),
            (Some(at(600)), Some(at(1)), at(1)),
            (Some(at(600)), Some(at(60)), at(600)),
            (Some(at(600)), Some(at(10)), at(600)),
            (Some(at(600)), Some(Limit::Off), Limit::Off),
            (Some(Limit::Off), Some(at(60)), Limit::Off),
            (Some(Limit::Off), Some(at(1)), at(1)),
            (Some(at(2)), None, at(2)),
            (Some(at(2)), Some(at(60)), at(2)),
            (Some(at(2)), Some(at(1)), at(1)),
        ] {
            let (mut patch, mut layers) = (PolicyPatch::new(), PolicyPatch::new());
            (patch.idle, layers.idle) = (login, page);
            (patch.absolute, layers.absolute) = (login, page);
            let app = Policy::new().idle(minutes(10)).absolute(minutes(10));
            let policy = with_login(&app, &patch, &layers);
            assert_eq!((policy.idle, policy.absolute), (expected, expected), "{login:?} {page:?}");
        }
    }

    #[test]
    fn inner_patch_overrides_outer_patch() {
        let app = Policy::new().idle(minutes(10)).message("app").require_login(true);
        let scope = PolicyPatch::new().idle(minutes(2)).absolute(minutes(30));
        let handler = PolicyPatch::new().idle(Limit::Off);
        let policy = handler.over(&scope.over(&app));
        assert_eq!((policy.idle, policy.absolute), (Limit::Off, Limit::At(minutes(30))));
        assert_eq!(policy.message.as_deref(), Some("app"));
        assert!(policy.require_login);
    }

    #[test]
    fn require_login_of_inner_patch_overrides() {
        for (inner, outer, expected) in [
            (None, None, None),
            (None, Some(true), Some(true)),
            (Some(false), Some(true), Some(false)),
            (Some(true), Some(false), Some(true)),
        ] {
            let patch = |require_login| PolicyPatch { require_login, ..PolicyPatch::new() };
            let merged = patch(inner).over_patch(&patch(outer));
            assert_eq!(merged.require_login, expected, "{inner:?} {outer:?}");
            let policy = merged.over(&Policy::new());
            assert_eq!(policy.require_login, expected.unwrap_or(false), "{inner:?} {outer:?}");
        }
    }

    #[test]
    fn strictest_fresh_applies() {
        let at = |limit| Some(Limit::At(minutes(limit)));
        for (inner, outer, expected) in [
            (None, None, None),
            (at(5), None, at(5)),
            (None, at(5), at(5)),
            (at(5), at(10), at(5)),
            (at(10), at(5), at(5)),
            (Some(Limit::Off), at(5), at(5)),
            (at(5), Some(Limit::Off), at(5)),
        ] {
            let patch = |fresh| PolicyPatch { fresh, ..PolicyPatch::new() };
            let (inner, outer) = (patch(inner), patch(outer));
            assert_eq!(inner.over_patch(&outer).fresh, expected, "{inner:?} {outer:?}");
            let expected = expected.unwrap_or(Limit::Off);
            for policy in [
                inner.over(&outer.over(&Policy::new())),
                inner.over_patch(&outer).over(&Policy::new()),
                SessionPatches { login: Some(&outer), user: Some(&inner) }.at_login(&Policy::new()),
                with_login(&Policy::new(), &outer, &inner),
            ] {
                assert_eq!(policy.fresh, expected, "{inner:?} {outer:?}");
            }
        }
    }

    #[test]
    fn reason_belongs_to_the_timeout_that_applies() {
        let absolute = |limit| PolicyPatch::new().absolute(limit);
        let page = absolute(hours(2)).absolute_is_essential("page");
        let app = Policy::new().absolute(hours(8)).absolute_is_essential("app");
        for (login, expected) in [
            (PolicyPatch::new(), Some("page")),
            (absolute(hours(1)), None),
            (absolute(hours(1)).absolute_is_essential("login"), Some("login")),
            (absolute(hours(9)), Some("page")),
        ] {
            let policy = with_login(&app, &login, &page);
            assert_eq!(policy.absolute_is_essential.as_deref(), expected, "{login:?}");
        }
        let idle = PolicyPatch::new().idle(minutes(1));
        assert_eq!(with_login(&app, &absolute(hours(9)), &idle).absolute_is_essential, None);
        assert_eq!(idle.over(&app).absolute_is_essential, app.absolute_is_essential);
    }

    #[test]
    fn empty_message_overrides() {
        let policy = PolicyPatch::new().message("").over(&Policy::new().message("app"));
        assert_eq!(policy.message.as_deref(), Some(""));
    }

    #[test]
    fn merged_patch_is_valid_and_warns_like_two_layers() {
        let patch = PolicyPatch::new;
        for (inner, outer, warn) in [
            (patch().idle(minutes(1)), patch().warn(minutes(5)), seconds(30)),
            (patch().absolute(minutes(1)), patch().warn(minutes(1)), seconds(30)),
            (patch().warn(minutes(5)), patch().idle(minutes(2)), minutes(1)),
            (patch().warn(minutes(5)).idle(minutes(9)), patch().idle(minutes(2)), minutes(5)),
            (patch().idle(Limit::Off), patch().warn(minutes(1)).idle(minutes(2)), minutes(1)),
            (patch().warn(seconds(5)), patch().idle(minutes(2)).warn(minutes(1)), seconds(5)),
        ] {
            let merged = inner.over_patch(&outer);
            assert_eq!(merged.validate(), Ok(()), "{inner:?} {outer:?}");
            assert_eq!(merged.warn, Some(Limit::At(warn)), "{inner:?} {outer:?}");
            let two_layers = inner.over(&outer.over(&Policy::new()));
            let warning = merged.over(&Policy::new()).warning();
            assert_eq!(warning, two_layers.warning(), "{inner:?} {outer:?}");
        }
    }

    #[test]
    fn contradictory_patch_stays_invalid_when_merged() {
        let contradictory = PolicyPatch::new().warn(hours(1)).idle(minutes(1));
        for merged in [
            contradictory.over_patch(&PolicyPatch::new()),
            PolicyPatch::new().over_patch(&contradictory),
        ] {
            assert!(merged.validate().is_err(), "{merged:?}");
        }
    }
}
