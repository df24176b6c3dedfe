//! What a request has done to its session, for settling it.

use std::sync::Arc;

use actix_web::HttpRequest;

use super::{
    brought::Place, caller::Kind, gate::Gate, registered::Registered, slack::tightest_slack,
    standing::Standing,
};
use crate::{
    policy::PolicyPatch,
    registry::{key::RecordKey, record::SessionRecord},
    time::Timestamp,
};

impl Gate {
    /// Whether the user who lies at `place` was written there during this request.
    pub(crate) fn is_fresh_user(&self, place: Place) -> bool {
        let state = self.state.borrow();
        match (&state.treatment.standing, self.login()) {
            (Standing::Active(_), Some((_, record))) => {
                // The text counts, too: memory that was freed in between may be used again.
                state.treatment.brought.user != Some(place)
                    || self.ledger.is_user(&record.user) != Some(true)
                    || state.registered.is_some()
                    // Whoever has emptied the session and signed in again may lie where they lay.
                    || (self.ledger.is_renewed() && !self.ledger.has_key() && place.may_be_new())
            }
            _ => true,
        }
    }

    /// Whether somebody else than `user` is, or was until a moment ago, signed in with this session.
    fn has_predecessor(&self, user: &str) -> bool {
        let state = self.state.borrow();
        !state.handed_over
            && matches!(state.treatment.standing, Standing::Active(_))
            && self.login().is_some_and(|(_, record)| *record.user != *user)
    }

    /// Makes the session that of `user`: what somebody else has left in it goes, their unread messages
    /// included. What was written in this request stays.
    pub(crate) fn hand_over(&self, user: &str) {
        if self.has_predecessor(user) {
            self.ledger.drop_brought(&self.state.borrow().treatment.brought);
            self.forget_waiting();
            self.state.borrow_mut().handed_over = true;
        }
    }

    /// Whether it can't be told what somebody else has left and what this request has written: a session
    /// that was hidden for a while was written anew by us.
    pub(crate) fn is_mixed_up(&self, user: &str) -> bool {
        self.has_predecessor(user) && {
            let state = self.state.borrow();
            state.treatment.restored.is_some() && !state.treatment.brought.is_bare()
        }
    }

    /// Whether somebody else has been signed in since the request came in.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.ledger.user().is_some_and(|user| self.has_predecessor(&user))
    }

    /// Whether masking and unmasking is all that happened to the session.
    pub(crate) fn session_is_as_it_was(&self) -> bool {
        self.state
            .borrow()
            .treatment
            .restored
            .as_ref()
            .is_some_and(|aside| self.ledger.is_as_it_was(aside))
    }

    /// Whether an expired request came from no person, and has neither said nor written anything.
    ///
    /// Such a request leaves the session alone. A poll that is answered late could otherwise put an
    /// anonymous session in the place of a login that came in between; and the reason waits for the
    /// next page that a person sees.
    pub(crate) fn goes_unnoticed(&self) -> Option<Kind> {
        let standing = self.standing();
        let Standing::Masked(_, _, caller) = &*standing else { return None };
        let by_itself = caller.kind != Kind::Navigation;
        (by_itself && self.ledger.is_bare() && !self.has_flash()).then_some(caller.kind)
    }

    pub(crate) fn set_registered(&self, login: Registered) {
        if let Some(before) = &mut self.state.borrow_mut().registered.replace(login) {
            before.keep(); // it has been ended by now
        }
    }

    /// The login that was registered in this very request, and whose it is.
    pub(crate) fn registered(&self) -> Option<(RecordKey, Arc<str>)> {
        let state = self.state.borrow();
        state.registered.as_ref().map(|login| (login.key, Arc::clone(&login.user)))
    }

    /// What was chosen at that login.
    pub(crate) fn registered_choice(&self) -> Option<PolicyPatch> {
        self.state.borrow().registered.as_ref()?.choice.as_deref().cloned()
    }

    /// The answer carries that login.
    pub(crate) fn keep_registered(&self) {
        if let Some(login) = &mut self.state.borrow_mut().registered {
            login.keep();
        }
    }

    /// Nobody is going to have that login.
    pub(crate) async fn take_back(&self) {
        let login = self.state.borrow_mut().registered.take();
        if let Some(login) = login {
            login.take_back().await;
        }
    }

    /// The activity to note for this request, if that needs noting: it is when `last_seen` lags behind
    /// by more than the policy's slack, or lies in the future.
    pub(crate) fn activity(&self, record: &SessionRecord, req: &HttpRequest) -> Option<Timestamp> {
        let in_future = record.is_ahead_of(self.now);
        let slack = self.policy().slack().min(tightest_slack());
        let lags = self.now.since(record.last_seen) > slack;
        match (in_future || lags) && !self.is_passive(req) {
            true => Some(self.now),
            false => in_future.then_some(record.last_seen),
        }
    }

    pub(crate) fn is_passive(&self, req: &HttpRequest) -> bool {
        self.policy().passive || self.setup.is_passive(req)
    }
}
