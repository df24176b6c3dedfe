//! Whether the session of a request may be used, and how it is suspended and restored.

use super::{RequestContext, load::LoadedSession, session_data::NamedUser};
use crate::{
    messages::queue::Source,
    policy::Policy,
    session::{
        reason::Reason,
        verdict::{Deadlines, Verdict, judge},
    },
    time::Timestamp,
};

/// How a request is treated. A layer further in may decide otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccessState {
    Anonymous,
    Active(Deadlines),
    /// Suspended: layers further in see an anonymous visitor.
    Expired(Reason),
    /// The registry could not be asked: treated as anonymous, and nothing is lost.
    Unavailable,
}

impl AccessState {
    /// Checks what was loaded under `policy`.
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
    /// Returns `true` if the session is active and was checked under the policy that was in force.
    pub(super) fn is_checked(&self) -> bool {
        self.checked_under.get().is_some() && self.access.borrow().is_active()
    }

    /// Checks the session under the policy now in force, and suspends or restores it.
    pub(super) fn check_again(&self) {
        let before = *self.access.borrow();
        let is_final = matches!(before, AccessState::Anonymous | AccessState::Unavailable);
        if is_final || self.has_ended.get() {
            return;
        }
        let policies = self.layers.policies.borrow();
        let limits = policies.effective().limits();
        // Most layers leave the timeouts as they are.
        if before.is_active() && self.checked_under.get() == Some(limits) {
            return;
        }
        let after = AccessState::check(&self.loaded, policies.effective(), self.now);
        drop(policies);
        // A suspension that was not possible is tried again in the next layer.
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

    /// Returns `true` if the session is active, and this request has signed no other user in or out.
    pub(crate) fn acts_for_session(&self) -> bool {
        let is_active = self.access.borrow().is_active();
        is_active && !self.is_user_changed()
    }

    /// The session was found to have ended while the request was under way: no layer restores it.
    pub(crate) fn end_while_running(&self, reason: Reason) {
        self.has_ended.set(true);
        self.leave_session(AccessState::Expired(reason));
    }

    /// The registry was found to be unavailable while the request was under way.
    pub(crate) fn lose_registry(&self) {
        self.leave_session(AccessState::Unavailable);
        // The session of a user who has signed in meanwhile stays as it is.
        if *self.access.borrow() == AccessState::Unavailable {
            self.session.fill_for_outage();
        }
    }

    fn leave_session(&self, after: AccessState) {
        let is_active = self.access.borrow().is_active();
        match is_active {
            true => self.suspend(after),
            false => *self.access.borrow_mut() = after,
        }
    }

    /// Hides the record's entries and messages; what was written so far is kept aside.
    fn suspend(&self, after: AccessState) {
        // A user who has signed in or out in this request is not affected.
        if self.is_user_changed() {
            return;
        }
        if let Some(loaded) = self.record() {
            *self.record_writes.borrow_mut() = self.session.changes_since(&loaded.data);
        }
        self.session.fill(&self.cookies.anonymous.data, None);
        self.set_message_source(Source::Anonymous);
        *self.access.borrow_mut() = after;
    }

    /// Shows the record's entries again, with what was written before and since the suspension.
    fn restore(&self, after: AccessState) {
        let Some(loaded) = self.record().filter(|_| !self.is_user_changed()) else { return };
        let since = self.session.changes_since(&self.cookies.anonymous.data);
        self.session.fill(&loaded.data, Some(&loaded.record.user));
        self.session.apply(&self.record_writes.borrow());
        self.session.apply(&since);
        self.set_message_source(Source::Record);
        *self.access.borrow_mut() = after;
    }

    /// Returns `true` if the session names another user than before, was purged, or a login is pending.
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
