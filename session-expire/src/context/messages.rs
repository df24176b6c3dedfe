//! Flash messages and texts of a request, and the notice that its session has ended.
//!
//! The notice is shown once. `FlashMessages`, the endpoints and settling use it.

use actix_web::HttpRequest;

use super::{RequestContext, access::AccessState};
use crate::{
    messages::{
        flash::{FlashLevel, FlashMessage, StoredFlash},
        notice::Notice,
        queue::{MessageQueue, MessageSource},
    },
    request::RequestInfo,
    session::reason::Reason,
};

impl RequestContext {
    /// Returns `true` if the user needs to know why the session has ended. A user who signs out or
    /// posts the login form does not.
    pub(crate) fn is_reason_due(&self, info: &RequestInfo) -> bool {
        let is_form = self.submits_login(info) || info.submits_to(&self.config().logout_url);
        !is_form && !self.intent().signs_out && !self.has_user()
    }

    fn has_user(&self) -> bool {
        self.session.user() != super::session_data::NamedUser::Missing
    }

    /// Returns the text about the end of this session. It is empty if the application wants none.
    pub(crate) fn ended_text(&self, reason: Reason, info: &RequestInfo) -> String {
        let ended = self.ended();
        let cause = ended.and_then(|ended| ended.cause.as_deref());
        let notice = Notice {
            reason,
            cause,
            cause_text: cause
                .and_then(|cause| self.config().cause_texts.get(cause))
                .map(|text| &**text),
            languages: &info.languages,
            device: ended.and_then(|ended| ended.by.as_deref()),
            at: ended.map(|ended| ended.at),
            texts: self.config().ended_texts(&info.languages),
        };
        self.config().ended_text(&notice, &self.policy())
    }

    /// Returns the cause of this session's end.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.ended()?.cause.as_deref()
    }

    /// Returns all pending messages, with the notice that the session has ended.
    pub(crate) fn show_messages(&self, req: &HttpRequest) -> Vec<FlashMessage> {
        self.add_reason(req);
        self.with_messages(MessageQueue::show)
    }

    fn add_reason(&self, req: &HttpRequest) {
        if self.access().is_active() {
            return;
        }
        let info = self.info(req);
        if !self.is_reason_due(&info) {
            return;
        }
        let stored = self.cookies.anonymous.reason.clone().map(FlashMessage::from);
        let reason = stored.or_else(|| self.reason_message(self.unshown_reason()?, &info));
        if let Some(message) = reason {
            self.with_messages(|queue| queue.set_reason(message));
        }
    }

    /// Returns the message about the end of a session, or `None` if its text is empty.
    fn reason_message(&self, reason: Reason, info: &RequestInfo) -> Option<FlashMessage> {
        let level =
            if reason == Reason::LoggedOut { FlashLevel::Success } else { FlashLevel::Warning };
        let text = self.ended_text(reason, info);
        (!text.is_empty()).then(|| FlashMessage::new(level, text).with_tags(reason.as_str()))
    }

    /// Stores a notice for the next page. A sign-in discards it.
    pub(crate) fn set_next_notice(&self, message: FlashMessage) {
        *self.login_page.next_notice.borrow_mut() = Some(message.into());
    }

    /// Stores the notice of a challenge for the login page if this policy has a message of its own.
    /// The policy of the login page does not have that message.
    pub(crate) fn set_challenge_notice(&self, info: &RequestInfo) {
        let has_own = self.policy().message != self.config().policy.message;
        let reason = self.unshown_reason().filter(|_| has_own && self.is_reason_due(info));
        let message = reason.and_then(|reason| self.reason_message(reason, info));
        *self.login_page.next_notice.borrow_mut() = message.map(StoredFlash::from);
    }

    /// Returns the reason of the session's end if the user was not notified yet. An unknown session
    /// has no reason to show.
    pub(crate) fn unshown_reason(&self) -> Option<Reason> {
        let anonymous = &self.cookies.anonymous;
        let has_shown_reason =
            |reason| self.loaded.key().is_some_and(|key| anonymous.has_shown_reason(key, reason));
        let reason = self.access().expiry_reason();
        reason.filter(|reason| *reason != Reason::Unknown && !has_shown_reason(*reason))
    }

    pub(crate) fn push_message(&self, message: FlashMessage) {
        self.with_messages(|queue| queue.push(message));
    }

    /// Marks shown messages as unread, because the user will not see this page.
    pub(crate) fn mark_unread(&self) {
        if let Some(queue) = &mut *self.messages.borrow_mut() {
            queue.mark_unread();
        }
    }

    /// Returns `true` if messages were read or written.
    pub(crate) fn has_messages(&self) -> bool {
        self.messages.borrow().is_some()
    }

    pub(crate) fn has_shown_messages(&self) -> bool {
        self.messages.borrow().as_ref().is_some_and(MessageQueue::has_shown)
    }

    pub(crate) fn discard_record_messages(&self) {
        self.with_messages(MessageQueue::discard_record_messages);
    }

    pub(super) fn set_message_source(&self, source: MessageSource) {
        if let Some(queue) = &mut *self.messages.borrow_mut() {
            queue.set_source(source);
        }
    }

    fn with_messages<T>(&self, operation: impl FnOnce(&mut MessageQueue) -> T) -> T {
        let mut messages = self.messages.borrow_mut();
        operation(messages.get_or_insert_with(|| self.new_message_queue()))
    }

    pub(super) fn new_message_queue(&self) -> MessageQueue {
        let source = match &*self.access.borrow() {
            AccessState::Active(_) => MessageSource::Record,
            _ => MessageSource::Anonymous,
        };
        let is_open =
            matches!(&*self.access.borrow(), AccessState::Active(_) | AccessState::Expired(_));
        let record = self.record().filter(|_| is_open).map(|loaded| &*loaded.data);
        let anonymous = match source {
            // Messages of the anonymous cookie are not shown in an active session.
            MessageSource::Record => &[],
            MessageSource::Anonymous => self.cookies.anonymous.messages.as_slice(),
        };
        MessageQueue::new(source, record, anonymous)
    }
}
