//! What a request has done to the user and to the data of its session.

use super::{RequestContext, access::AccessState, session_data::NamedUser};
use crate::{
    cookies::anonymous::AnonymousState,
    messages::queue::{MessageQueue, warn_of_dropped},
    session::data::{DataChanges, DataTooLarge, SessionData},
};

/// What happened to the user of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UserChange {
    Unchanged,
    /// The same user, and the session key is to be renewed.
    Renewed,
    /// A user where there was none, another user, or a login by `SessionHandle::sign_in`.
    SignedIn(String),
    SignedOut,
    /// An anonymous visitor's session was emptied.
    Cleared,
    /// The session names a user by a value that is neither a string nor a whole number.
    Invalid,
}

impl RequestContext {
    /// Returns what happened to the user. A login is recognised by what changed.
    pub(crate) fn user_change(&self) -> UserChange {
        let has_pending_login = self.has_pending_login();
        match (self.session.user(), &*self.access.borrow()) {
            (NamedUser::Invalid, _) => UserChange::Invalid,
            (NamedUser::Named(user), AccessState::Active(_))
                if !has_pending_login && self.is_own(&user) =>
            {
                match self.session.is_renewed() {
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

    fn is_own(&self, user: &str) -> bool {
        self.record().is_some_and(|loaded| *loaded.record.user == *user)
    }

    /// While the registry is away the session has a mark: written and empty means cleared.
    fn is_emptied(&self) -> bool {
        !self.session.is_untouched() && !self.session.is_renewed() && self.session.is_empty()
    }

    /// Returns `true` if the session is as it was filled.
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

    /// Returns what this request has changed in the data of its record, messages included.
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
        self.drop_messages_over_the_limit(&mut changes);
        changes
    }

    /// Messages give way to entries: the handler has done its work.
    fn drop_messages_over_the_limit(&self, changes: &mut DataChanges) {
        let Some(loaded) = self.record().filter(|_| !changes.added_messages.is_empty()) else {
            return;
        };
        if SessionData::clone(&loaded.data).apply(changes).is_err() {
            warn_of_dropped(changes.added_messages.len());
            changes.added_messages.clear();
        }
    }

    /// Returns what the anonymous cookie is to hold after this request. The key of the request
    /// `is_dead` if it can never be used again.
    ///
    /// # Errors
    ///
    /// Returns [`DataTooLarge`] if the entries exceed the limit of session data.
    pub(crate) fn anonymous_state(&self, is_dead: bool) -> Result<AnonymousState, DataTooLarge> {
        let before = &self.cookies.anonymous;
        let mut state = AnonymousState {
            shown_reason: before.shown_reason.clone(),
            is_dead: before.is_dead,
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
        self.record_shown_reason(&mut state, is_dead);
        self.note_marked_login(&mut state);
        Ok(state)
    }

    fn note_marked_login(&self, state: &mut AnonymousState) {
        let before = self.cookies.anonymous.marked_login.clone();
        let before = before.filter(|_| !self.login_page.is_at_marked.get());
        state.marked_login = self.login_page.marked.borrow().clone().or(before);
    }

    /// Returns `true` if the anonymous cookie may have to change.
    pub(crate) fn may_change_anonymous(&self) -> bool {
        self.has_messages() || !self.is_session_unchanged() || self.login_page.may_change_cookie()
    }

    /// Returns what the anonymous cookie is to hold after a sign-out: the messages of this request.
    /// If the session had ended before, its cookie stays, and its reason counts as shown.
    pub(crate) fn signed_out_state(&self, ends_now: bool) -> AnonymousState {
        let mut state = AnonymousState::default();
        if !ends_now {
            let before = &self.cookies.anonymous;
            (state.shown_reason, state.is_dead) = (before.shown_reason.clone(), before.is_dead);
            self.set_shown_reason(&mut state, true);
        }
        if let Some(queue) = &*self.messages.borrow() {
            state.messages = queue.remaining_anonymous();
        }
        state.reason = self.login_page.challenge_reason.borrow().clone();
        state
    }

    /// Remembers that the reason of the dead key was shown.
    fn record_shown_reason(&self, state: &mut AnonymousState, is_dead: bool) {
        let messages = self.messages.borrow();
        let has_shown_reason = messages.as_ref().is_some_and(MessageQueue::has_shown_reason);
        if has_shown_reason || self.login_page.is_reason_dismissed.get() {
            self.set_shown_reason(state, is_dead);
        } else {
            let before = &self.cookies.anonymous.reason;
            state.reason =
                self.login_page.challenge_reason.borrow().as_ref().or(before.as_ref()).cloned();
        }
    }

    fn set_shown_reason(&self, state: &mut AnonymousState, is_dead: bool) {
        if let Some(key) = self.loaded.key() {
            state.set_shown_reason(key, self.end_reason(), is_dead);
        }
    }

    /// Returns the data that a new session of `user` starts with.
    ///
    /// Of an anonymous visitor it takes the entries that a login keeps. Of another user it takes
    /// only what this request has written under new names: whatever was derived from the other
    /// user's data stays behind.
    pub(crate) fn login_data(&self, user: &str) -> Result<SessionData, DataTooLarge> {
        let mut data = SessionData::default();
        let mut changes = self.session.changes_since(&data);
        if self.record().is_some_and(|loaded| *loaded.record.user != *user) {
            self.drop_record_messages();
        }
        match self.record() {
            Some(loaded) if self.access.borrow().is_active() && *loaded.record.user != *user => {
                if !self.is_handed_over.get() {
                    changes.set.retain(|(name, _)| {
                        self.session.is_user_entry(name) || loaded.data.get(name).is_none()
                    });
                }
            }
            Some(_) if self.access.borrow().is_active() => {}
            _ => {
                // What waited in an expired session may be for another user.
                self.drop_record_messages();
                self.retain_kept_entries(&mut changes);
            }
        }
        data.apply(&changes)?;
        let mut messages = DataChanges::default();
        match &*self.messages.borrow() {
            Some(queue) => queue.store_all(&mut messages),
            None => self.new_message_queue().store_all(&mut messages),
        }
        if data.apply(&messages).is_err() {
            warn_of_dropped(messages.added_messages.len());
        }
        Ok(data)
    }

    /// Makes the session that of `user`: the entries and messages of another user are removed.
    pub(crate) fn hand_over(&self, user: &str) {
        let Some(loaded) = self.record().filter(|_| self.access.borrow().is_active()) else {
            return;
        };
        if *loaded.record.user != *user {
            self.session.remove_entries_of(&loaded.data);
            self.drop_record_messages();
            self.is_handed_over.set(true);
        } else if self.is_handed_over.replace(false) {
            // The user of the session after all: what was removed comes back.
            let since = self.session.changes_since(&SessionData::default());
            self.session.fill(&loaded.data, Some(user));
            self.session.apply(&since);
        }
    }

    fn retain_kept_entries(&self, changes: &mut DataChanges) {
        let Some(kept) = &self.config().login_keeps else { return };
        let before = &self.cookies.anonymous.data;
        // What this request has written itself is not the anonymous visitor's.
        changes.set.retain(|(name, json)| {
            kept.contains(name) || before.get(name).is_none_or(|known| known.get() != json.get())
        });
    }
}
