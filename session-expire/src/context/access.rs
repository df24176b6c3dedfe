//! Access state of a request: checks the session under a policy, suspends it and restores it.
//!
//! A suspended session loses nothing. Policy layers call [`RequestContext::check_again`].

use super::{RequestContext, load::LoadedSession, session_data::NamedUser};
use crate::{
    messages::queue::MessageSource,
    policy::Policy,
    session::{
        ended::Ended,
        reason::Reason,
        verdict::{Deadlines, Verdict, judge},
    },
    time::Timestamp,
};

/// A request's access to its session. An inner policy layer may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccessState {
    Anonymous,
    Active(Deadlines),
    /// The session is suspended. Inner layers see an anonymous visitor.
    Expired(Reason),
    /// The registry is unavailable. The request is treated as anonymous, and nothing is lost.
    Unavailable,
}

impl AccessState {
    /// Checks the loaded session under `policy`.
    pub(crate) fn check(loaded: &LoadedSession, policy: &Policy, now: Timestamp) -> Self {
        match loaded.facts().map(|facts| judge(&facts, policy, now)) {
            None => Self::Unavailable,
            Some(Verdict::Anonymous) => Self::Anonymous,
            Some(Verdict::Active(deadlines)) => Self::Active(deadlines),
            Some(Verdict::Expired(reason)) => Self::Expired(reason),
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match *self {
            Self::Anonymous | Self::Unavailable => Verdict::Anonymous,
            Self::Active(deadlines) => Verdict::Active(deadlines),
            Self::Expired(reason) => Verdict::Expired(reason),
        }
    }

    pub(crate) fn expiry_reason(&self) -> Option<Reason> {
        match *self {
            Self::Expired(reason) => Some(reason),
            _ => None,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        matches!(self, Self::Active(_))
    }
}

impl RequestContext {
    /// Returns `true` if the session is active and its last check took effect.
    pub(super) fn is_checked(&self) -> bool {
        self.checked_under.get().is_some() && self.access.borrow().is_active()
    }

    /// Checks the session under the policy in force, and suspends or restores it.
    pub(super) fn check_again(&self) {
        let before = *self.access.borrow();
        let is_final = matches!(before, AccessState::Anonymous | AccessState::Unavailable);
        if is_final || self.ended_now.get().is_some() {
            return;
        }
        let policies = self.layers.policies.borrow();
        let limits = policies.effective().limits();
        // Most layers do not change the timeouts.
        if before.is_active() && self.checked_under.get() == Some(limits) {
            return;
        }
        let after = AccessState::check(&self.loaded, policies.effective(), self.now);
        drop(policies);
        // If the session cannot be suspended here, the next layer tries again.
        self.checked_under.set(None);
        match (before, after) {
            (AccessState::Active(_), after @ AccessState::Expired(_)) => self.suspend(after),
            (AccessState::Expired(_), after @ AccessState::Active(_)) => self.restore(after),
            (_, after) => {
                self.checked_under.set(Some(limits));
                *self.access.borrow_mut() = after;
            }
        }
    }

    /// Returns `true` if the session is active and this request has signed no user in or out.
    pub(crate) fn acts_for_session(&self) -> bool {
        let is_active = self.access.borrow().is_active();
        is_active && !self.is_user_changed()
    }

    /// Suspends a session that has ended during this request. No layer restores it.
    pub(crate) fn end_during_request(&self, ended: Ended) {
        let ended = self.ended_now.get_or_init(|| Box::new(ended));
        self.set_inactive(AccessState::Expired(ended.reason));
    }

    /// Records that the registry became unavailable during this request.
    pub(crate) fn set_unavailable(&self) {
        self.set_inactive(AccessState::Unavailable);
        // The access does not change if a handler has signed a user in or out.
        if *self.access.borrow() == AccessState::Unavailable {
            self.session.fill_for_outage();
        }
    }

    fn set_inactive(&self, after: AccessState) {
        let is_active = self.access.borrow().is_active();
        match is_active {
            true => self.suspend(after),
            false => *self.access.borrow_mut() = after,
        }
    }

    /// Hides the record's entries and messages. Saves the writes of this request for
    /// [`Self::restore`].
    fn suspend(&self, after: AccessState) {
        // A sign-in or sign-out in this request takes precedence.
        if self.is_user_changed() {
            return;
        }
        if let Some(loaded) = self.record() {
            *self.record_writes.borrow_mut() = self.session.changes_since(&loaded.data);
        }
        self.session.fill(&self.cookies.anonymous.data, None);
        self.set_message_source(MessageSource::Anonymous);
        *self.access.borrow_mut() = after;
    }

    /// Shows the record's entries again, with the writes from before and after the suspension.
    fn restore(&self, after: AccessState) {
        let Some(loaded) = self.record().filter(|_| !self.is_user_changed()) else { return };
        let since = self.session.changes_since(&self.cookies.anonymous.data);
        self.session.fill(&loaded.data, Some(&loaded.record.user));
        self.session.apply(&self.record_writes.borrow());
        self.session.apply(&since);
        self.set_message_source(MessageSource::Record);
        *self.access.borrow_mut() = after;
    }

    /// Returns `true` if the session was purged, a login is pending, or `Session` names another
    /// user.
    fn is_user_changed(&self) -> bool {
        if self.session.is_purged() || self.has_pending_login() {
            return true;
        }
        let expected = match (&*self.access.borrow(), self.record()) {
            (AccessState::Active(_), Some(loaded)) => {
                NamedUser::Named(loaded.record.user.to_string())
            }
            _ => NamedUser::Missing,
        };
        self.session.user() != expected
    }
}
