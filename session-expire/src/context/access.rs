//! Whether the session of a request may be used, and how it is suspended and restored.

use super::{RequestContext, load::LoadedSession, session_data::NamedUser};
use crate::{
    facts::Reason,
    judge::{Deadlines, Verdict, judge},
    messages::queue::Source,
    policy::Policy,
    registry::data::SessionData,
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
    /// Checks the session under the policy now in force, and suspends or restores it.
    pub(super) fn check_again(&self) {
        let before = *self.access.borrow();
        if matches!(before, AccessState::Anonymous | AccessState::Unavailable) {
            return;
        }
        let policies = self.policies.borrow();
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

    /// The session was found to have ended while the request was under way.
    pub(crate) fn end_while_running(&self, reason: Reason) {
        let is_active = self.access.borrow().is_active();
        if is_active {
            self.has_ended.set(true);
            self.suspend(AccessState::Expired(reason));
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
        self.session.fill(&self.anonymous_data(), None);
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
        *self.anonymous_writes.borrow_mut() = Default::default();
        self.set_message_source(Source::Record);
        *self.access.borrow_mut() = after;
    }

    /// Returns the anonymous entries with what this request has written to them.
    fn anonymous_data(&self) -> SessionData {
        let mut data = self.cookies.anonymous.data.clone();
        // Entries that exceed the limit are refused when the cookie is written.
        let _ = data.apply(&self.anonymous_writes.borrow());
        data
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
