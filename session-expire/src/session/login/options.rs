//! Options of a login: policy, lifetime, actor and security stamp.
//!
//! The application sets them for each login, and the record stores them.

use std::{sync::Arc, time::Duration};

use super::stamp::Stamp;
use crate::policy::PolicyPatch;

/// Options of a login, for [`SessionHandle::sign_in_with`](crate::SessionHandle::sign_in_with).
///
/// A [`PolicyPatch`] converts into options with that login policy.
///
/// ```
/// use session_expire::{SessionHandle, SignInError, days, sign_in::SignInOptions};
///
/// async fn sign_in(
///     session: &SessionHandle,
///     user: &str,
///     password_hash: &str,
///     keep_me_signed_in: bool,
/// ) -> Result<(), SignInError> {
///     let mut options = SignInOptions::new().stamp(password_hash);
///     if keep_me_signed_in {
///         options = options.persistent(days(30));
///     }
///     session.sign_in_with(user, options).await.map(drop)
/// }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct SignInOptions {
    policy: PolicyPatch,
    persistent: Option<Duration>,
    uncounted: bool,
    actor: Option<Arc<str>>,
    stamp: Option<Stamp>,
}

impl SignInOptions {
    /// Returns options that change nothing: those of
    /// [`sign_in`](crate::SessionHandle::sign_in).
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the login policy. Default: none.
    ///
    /// A login policy that is stricter than the application's applies to every page. A laxer one
    /// replaces the application's limits, but not those of a stricter page. The
    /// [user policy](crate::SessionExpireBuilder::user_policy) takes precedence over both.
    pub fn policy(mut self, policy: PolicyPatch) -> Self {
        self.policy = policy;
        self
    }

    /// Keeps the user signed in for `lifetime`, even after the browser is closed. Default: the
    /// browser deletes the cookie when it closes.
    ///
    /// Both timeouts of the login policy become `lifetime`. The cookie expires with the session,
    /// after at most 400 days (RFC 6265bis §5.5). If the user comes back after the application's
    /// idle timeout, the session is [remembered](crate::registry::SessionRecord::remembered): it is
    /// not fresh until the user re-authenticates.
    ///
    /// A persistent cookie requires the user's consent: see the
    /// [guide](crate::guide::sign_in#keep-me-signed-in).
    pub fn persistent(mut self, lifetime: Duration) -> Self {
        self.persistent = Some(lifetime);
        self
    }

    /// Excludes the session from the session limit. Default: the session takes a slot.
    ///
    /// An uncounted session neither evicts a session nor is evicted. Sign-outs and revocations end
    /// it like any other. A user has at most
    /// [`SessionLimit::MAX_UNCOUNTED`](crate::registry::SessionLimit::MAX_UNCOUNTED) active
    /// uncounted sessions.
    pub fn uncounted(mut self) -> Self {
        self.uncounted = true;
        self
    }

    /// Sets the actor, who impersonates the user in this session, such as a support agent. Default:
    /// none.
    ///
    /// The record contains the actor, for the sessions page and the history. The session is
    /// [uncounted](Self::uncounted) and never fresh. It replaces the actor's own session in this
    /// browser, so the actor must sign in again afterwards.
    ///
    /// The login fails with [`SignInError::InvalidActor`](crate::SignInError::InvalidActor) if
    /// `actor` is empty, or is the user who signs in.
    ///
    /// # Security
    ///
    /// The application must check that `actor` may impersonate the user.
    ///
    /// [`Sessions::end_all`](crate::Sessions::end_all) ends only the actor's own sessions. If the
    /// actor is dismissed or changes their password, also call
    /// [`end_impersonations`](crate::Sessions::end_impersonations).
    ///
    /// Handlers that change the credentials of the user must reject requests with an
    /// [actor](crate::SessionHandle::actor). The policy key
    /// [`fresh`](crate::Policy#structfield.fresh) is not enough: it refuses an actor only while the
    /// policy sets it.
    pub fn impersonated_by(mut self, actor: impl Into<Arc<str>>) -> Self {
        self.actor = Some(actor.into());
        self.uncounted()
    }

    /// Sets the security stamp to a digest of `credential`, such as the stored password hash.
    /// Default: the credential from the builder's [`stamp`](crate::SessionExpireBuilder::stamp),
    /// else none.
    ///
    /// [`require_stamp`](crate::SessionHandle::require_stamp) compares the stamp with the current
    /// credential. Pass a value that changes with the credential: a salted hash, not the password.
    pub fn stamp(mut self, credential: impl AsRef<[u8]>) -> Self {
        self.stamp = Some(Stamp::new(credential));
        self
    }

    /// Sets the security stamp itself.
    pub(crate) fn with_stamp(mut self, stamp: Option<Stamp>) -> Self {
        self.stamp = stamp;
        self
    }

    /// Returns the login policy, with the timeouts of a persistent login.
    pub(crate) fn login_policy(&self) -> PolicyPatch {
        match self.persistent {
            None => self.policy.clone(),
            Some(lifetime) => {
                PolicyPatch::new().idle(lifetime).absolute(lifetime).over_patch(&self.policy)
            }
        }
    }

    pub(crate) fn is_uncounted(&self) -> bool {
        self.uncounted
    }

    pub(crate) fn actor(&self) -> Option<&Arc<str>> {
        self.actor.as_ref()
    }

    pub(crate) fn security_stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// Returns `true` if there is no actor, or if it is a user other than `user`.
    pub(crate) fn is_actor_valid(&self, user: &str) -> bool {
        self.actor.as_ref().is_none_or(|actor| !actor.is_empty() && **actor != *user)
    }
}

impl From<PolicyPatch> for SignInOptions {
    fn from(policy: PolicyPatch) -> Self {
        Self::new().policy(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::limit::Limit,
        time::{days, hours, minutes},
    };

    #[test]
    fn persistent_login_sets_both_timeouts_over_the_policy() {
        let lax = PolicyPatch::new().idle(hours(1)).message("Bye.").warn(minutes(2));
        let kept = |options: SignInOptions| options.persistent(days(30)).login_policy();
        assert_eq!(
            kept(SignInOptions::new()),
            PolicyPatch::new().idle(days(30)).absolute(days(30))
        );
        let both = kept(lax.clone().into());
        assert_eq!((both.idle, both.absolute), (Some(days(30).into()), Some(days(30).into())));
        assert_eq!((both.message, both.warn), (lax.message.clone(), Some(Limit::At(minutes(2)))));
        assert_eq!(SignInOptions::from(lax.clone()).login_policy(), lax);
    }

    #[test]
    fn impersonated_login_is_uncounted_and_names_another_user() {
        let by = |actor: &str| SignInOptions::new().impersonated_by(actor);
        assert!(by("root").is_uncounted() && by("root").is_actor_valid("alice"));
        assert!(!by("alice").is_actor_valid("alice") && !by("").is_actor_valid("alice"));
        assert!(SignInOptions::new().is_actor_valid("alice"));
    }
}
