//! What a request tells the person: its messages, and the reason why their session has ended.

use super::{
    caller::Caller,
    flash::{FlashMessage, Level, Queue},
    gate::Gate,
    standing::Standing,
};
use crate::{facts::Reason, text::Notice};

impl Gate {
    /// Whether the caller may wonder why their session has ended. Whoever is just leaving, or at the
    /// login form, does not.
    pub(crate) fn explains(&self, caller: &Caller) -> bool {
        let acts =
            caller.acts_at(&self.policy().login_url) || caller.acts_at(&self.setup.logout_url);
        !acts && !self.state.borrow().leaving && self.ledger.place_of_user().is_none()
    }

    pub(crate) fn text(&self, reason: Reason, caller: &Caller) -> String {
        let ended = self.login().and_then(|(_, record)| record.ended.as_ref());
        let notice = Notice {
            reason,
            languages: &caller.languages,
            device: ended.and_then(|ended| ended.by.as_deref()),
            at: ended.map(|ended| ended.at),
        };
        self.setup.text(&notice, &self.policy())
    }

    /// Puts the reason why the session ended into the messages, once, if it is due.
    pub(crate) fn tell_reason(&self) {
        let message = match &*self.standing() {
            Standing::Masked(reason, _, caller) if self.explains(caller) => {
                let level =
                    if *reason == Reason::LoggedOut { Level::Success } else { Level::Warning };
                FlashMessage::new(level, self.text(*reason, caller)).with_tags(reason.as_str())
            }
            _ => return,
        };
        if !std::mem::replace(&mut self.state.borrow_mut().reason_told, true) {
            self.push(message);
        }
    }

    pub(crate) fn push(&self, message: FlashMessage) {
        self.with_flash(|queue| queue.push(message));
    }

    /// Messages that waited are for the person who was signed in: they are hidden with the session.
    pub(crate) fn hide_waiting(&self, hidden: bool) {
        if let Some(queue) = &mut *self.flash.borrow_mut() {
            match hidden {
                true => queue.forget_waiting(),
                false => queue.bring_back(self.ledger.flash().unwrap_or_default()),
            }
        }
    }

    /// They go with the person as well.
    pub(crate) fn forget_waiting(&self) {
        match &mut *self.flash.borrow_mut() {
            Some(queue) => queue.forget_waiting(),
            None => self.ledger.drop_flash(),
        }
    }

    pub(crate) fn with_flash<T>(&self, act: impl FnOnce(&mut Queue) -> T) -> T {
        if self.is_taken_over() {
            self.forget_waiting();
        }
        let mut flash = self.flash.borrow_mut();
        act(flash.get_or_insert_with(|| Queue::waiting(self.ledger.flash().unwrap_or_default())))
    }

    /// The page on which messages were shown is not going to be seen: replaced, or without its body.
    pub(crate) fn unshow(&self) {
        if self.has_flash() {
            self.with_flash(Queue::unshow);
        }
    }

    /// Whether anyone has read or written messages in this request.
    pub(crate) fn has_flash(&self) -> bool {
        self.flash.borrow().is_some()
    }
}
