//! Changes that a request has made to its user and its session data.
//!
//! They are computed after the handler, by comparison with the loaded session.

use super::{RequestContext, access::AccessState, load::LoadedRecord, session_data::NamedUser};
use crate::{
    cookies::{anonymous::AnonymousState, takeover_offer::StoredOffer},
    messages::queue::{MessageQueue, warn_discarded_messages},
    session::{
        data::{DataChanges, DataTooLarge, SessionData},
        reason::Reason,
    },
};

/// Change of a session's user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UserChange {
    Unchanged,
    /// The same user, with a request to renew the session key.
    Renewed,
    /// The same user, who has re-authenticated.
    Confirmed,
    /// Another user, a user after an anonymous visitor, or a login by `SessionHandle::sign_in`.
    SignedIn(String),
    SignedOut,
    /// The session of an anonymous visitor was cleared.
    Cleared,
    /// The session names a user by a value that is neither a string nor a whole number.
    Invalid,
}

impl RequestContext {
    /// Returns the change of the user. Only a changed user or a reservation is a login.
    pub(crate) fn user_change(&self) -> UserChange {
        let has_pending_login = self.has_pending_login();
        match (self.session.user(), &*self.access.borrow()) {
            (NamedUser::Invalid, _) => UserChange::Invalid,
            (NamedUser::Named(user), AccessState::Active(_))
                if !has_pending_login && self.is_same_user(&user) =>
            {
                match self.session.is_renewed() {
                    _ if self.intent.get().confirms => UserChange::Confirmed,
                    true => UserChange::Renewed,
                    false => UserChange::Unchanged,
                }
            }
            (NamedUser::Named(user), _) => UserChange::SignedIn(user),
            (NamedUser::Missing, access) => self.without_user(access, has_pending_login),
        }
    }

    fn without_user(&self, access: &AccessState, has_pending_login: bool) -> UserChange {
        let (is_purged, signs_out) = (self.session.is_purged(), self.intent.get().signs_out);
        match access {
            _ if has_pending_login || signs_out => UserChange::SignedOut,
            AccessState::Active(_) => UserChange::SignedOut,
            AccessState::Unavailable if is_purged || self.is_emptied() => UserChange::SignedOut,
            _ if is_purged => UserChange::Cleared,
            _ => UserChange::Unchanged,
        }
    }

    fn is_same_user(&self, user: &str) -> bool {
        self.record().is_some_and(|loaded| *loaded.record.user == *user)
    }

    /// Returns `true` if the handler has removed the entry that [`fill_for_outage`] adds.
    ///
    /// [`fill_for_outage`]: super::session_data::AppSession::fill_for_outage
    fn is_emptied(&self) -> bool {
        !self.session.is_untouched() && !self.session.is_renewed() && self.session.is_empty()
    }

    /// Returns `true` if no entry has changed since the session was filled.
    pub(crate) fn is_session_unchanged(&self) -> bool {
        match (&*self.access.borrow(), self.record()) {
            (AccessState::Active(_), Some(loaded)) => {
                self.session.equals(&loaded.data, Some(&loaded.record.user))
                    && !self.session.is_renewed()
                    && !self.session.is_purged()
            }
            _ => {
                self.session.is_untouched()
                    || self.session.equals(&self.cookies.anonymous.data, None)
            }
        }
    }

    /// Returns the changes of this request to the data and messages of its record.
    pub(crate) fn record_changes(&self) -> DataChanges {
        let mut changes = match (&*self.access.borrow(), self.record()) {
            (AccessState::Active(_), Some(loaded)) => self.session.changes_since(&loaded.data),
            _ => self.record_writes.borrow().clone(),
        };
        if let Some(queue) = &*self.messages.borrow()
            && self.access.borrow().is_active()
        {
            queue.store_changes(&mut changes);
        }
        if let Some(key) = self.record().and_then(LoadedRecord::data_key) {
            changes = key.seal(changes);
        }
        self.discard_surplus_messages(&mut changes);
        changes
    }

    /// Discards new messages if the data would exceed its limit with them. The handler's entries
    /// take precedence.
    fn discard_surplus_messages(&self, changes: &mut DataChanges) {
        let Some(loaded) = self.record().filter(|_| !changes.added_messages.is_empty()) else {
            return;
        };
        if loaded.stored_data().clone().apply(changes).is_err() {
            warn_discarded_messages(changes.added_messages.len());
            changes.added_messages.clear();
        }
    }

    /// Returns the state of the anonymous cookie after this request. Set `is_key_void` if no
    /// request can use the session key any more.
    ///
    /// # Errors
    ///
    /// Returns [`DataTooLarge`] if the entries exceed the limit of session data.
    pub(crate) fn anonymous_state(
        &self,
        is_key_void: bool,
    ) -> Result<AnonymousState, DataTooLarge> {
        let before = &self.cookies.anonymous;
        let mut state = AnonymousState {
            shown_reason: before.shown_reason.clone(),
            is_key_void: before.is_key_void,
            ..<_>::default()
        };
        if !self.session.is_purged() {
            state.data = before.data.clone();
            state.data.apply(&self.session.changes_since(&before.data))?;
        }
        match &*self.messages.borrow() {
            Some(queue) => state.messages = queue.remaining_anonymous(),
            None => state.messages.clone_from(&before.messages),
        }
        self.record_shown_reason(&mut state, is_key_void);
        self.set_login_redirect(&mut state);
        state.takeover = self.takeover_offer();
        Ok(state)
    }

    /// Returns the anonymous state of a browser with an active session. It contains only the offer
    /// to continue a login of another user.
    pub(crate) fn offer_state(&self) -> AnonymousState {
        AnonymousState { takeover: self.takeover_offer(), ..self.cookies.anonymous.clone() }
    }

    /// Returns the offer of this request, else the unexpired offer of the cookie.
    fn takeover_offer(&self) -> Option<StoredOffer> {
        let before = || {
            let before = self.cookies.anonymous.takeover.as_ref();
            before.filter(|offer| offer.read(self.now).is_some()).cloned()
        };
        self.login_page.takeover.borrow().clone().or_else(before)
    }

    fn set_login_redirect(&self, state: &mut AnonymousState) {
        let before = self.cookies.anonymous.login_redirect.clone();
        let before = before.filter(|_| !self.login_page.is_redirect_followed.get());
        state.login_redirect = self.login_page.redirect.borrow().clone().or(before);
    }

    /// Returns `true` if the anonymous cookie may need a change.
    pub(crate) fn may_change_anonymous(&self) -> bool {
        self.has_messages() || !self.is_session_unchanged() || self.login_page.may_change_cookie()
    }

    /// Returns the state of the anonymous cookie after a sign-out, with the messages of this
    /// request. If the session had ended before, the browser keeps its cookie, and the reason
    /// counts as shown.
    pub(crate) fn signed_out_state(&self, ends_now: bool) -> AnonymousState {
        let mut state = AnonymousState::default();
        if !ends_now {
            let before = &self.cookies.anonymous;
            (state.shown_reason, state.is_key_void) =
                (before.shown_reason.clone(), before.is_key_void);
            self.set_shown_reason(&mut state, true);
        }
        if let Some(queue) = &*self.messages.borrow() {
            state.messages = queue.remaining_anonymous();
        }
        state.reason = self.login_page.next_notice.borrow().clone();
        state
    }

    /// Records that the reason was shown, or copies the notice for the next page.
    fn record_shown_reason(&self, state: &mut AnonymousState, is_key_void: bool) {
        if self.end_reason() == Reason::Renewed {
            // The browser has the new key of the session, or is about to receive it.
            state.reason.clone_from(&self.cookies.anonymous.reason);
            return;
        }
        let messages = self.messages.borrow();
        let has_shown_reason = messages.as_ref().is_some_and(MessageQueue::has_shown_reason);
        if has_shown_reason || self.login_page.is_reason_dismissed.get() {
            self.set_shown_reason(state, is_key_void);
        } else {
            let before = &self.cookies.anonymous.reason;
            state.reason =
                self.login_page.next_notice.borrow().as_ref().or(before.as_ref()).cloned();
        }
    }

    fn set_shown_reason(&self, state: &mut AnonymousState, is_key_void: bool) {
        if let Some(key) = self.loaded.key() {
            state.set_shown_reason(key, self.end_reason(), is_key_void);
        }
    }

    /// Returns the initial data of a new session of `user`.
    ///
    /// It contains the entries of an anonymous visitor that [`login_keeps`] allows. After a session
    /// of another user, it contains only entries with new names, because other entries may contain
    /// data of that user.
    ///
    /// [`login_keeps`]: crate::SessionExpireBuilder::login_keeps
    pub(crate) fn login_data(&self, user: &str) -> Result<SessionData, DataTooLarge> {
        let mut data = SessionData::default();
        let mut changes = self.session.changes_since(&data);
        if self.record().is_some_and(|loaded| *loaded.record.user != *user) {
            self.discard_record_messages();
        }
        self.retain_login_entries(user, &mut changes);
        data.apply(&changes)?;
        let mut messages = DataChanges::default();
        match &*self.messages.borrow() {
            Some(queue) => queue.store_all(&mut messages),
            None => self.new_message_queue().store_all(&mut messages),
        }
        if data.apply(&messages).is_err() {
            warn_discarded_messages(messages.added_messages.len());
        }
        Ok(data)
    }

    /// Removes the entries from `changes` that must not move into a new session of `user`.
    fn retain_login_entries(&self, user: &str, changes: &mut DataChanges) {
        match self.record() {
            Some(loaded) if self.access.borrow().is_active() && *loaded.record.user != *user => {
                if !self.has_switched_user.get() {
                    changes.set.retain(|(name, _)| {
                        self.session.is_user_entry(name) || loaded.data.get(name).is_none()
                    });
                }
            }
            Some(_) if self.access.borrow().is_active() => {}
            _ => {
                // The messages of an expired session may be for another user.
                self.discard_record_messages();
                self.retain_allowed_entries(changes);
            }
        }
    }

    /// Prepares the session for a login of `user`: removes the entries and messages of another
    /// user.
    pub(crate) fn switch_user(&self, user: &str) {
        let Some(loaded) = self.record().filter(|_| self.access.borrow().is_active()) else {
            return;
        };
        if *loaded.record.user != *user {
            self.session.remove_entries_of(&loaded.data);
            self.discard_record_messages();
            self.has_switched_user.set(true);
        } else if self.has_switched_user.replace(false) {
            // An earlier login in this request named another user. Add the removed entries again.
            let since = self.session.changes_since(&SessionData::default());
            self.session.fill(&loaded.data, Some(user));
            self.session.apply(&since);
        }
    }

    fn retain_allowed_entries(&self, changes: &mut DataChanges) {
        let Some(allowed) = &self.config().login_keeps else { return };
        let before = &self.cookies.anonymous.data;
        // Entries that this request has written always move.
        changes.set.retain(|(name, json)| {
            allowed.contains(name) || before.get(name).is_none_or(|known| known.get() != json.get())
        });
    }
}
