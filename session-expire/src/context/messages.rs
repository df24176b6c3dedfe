//! What a request tells the user: its messages, and the reason why the session has ended.

use actix_web::HttpRequest;

use super::{RequestContext, access::AccessState};
use crate::{
    messages::{
        flash::{FlashLevel, FlashMessage, StoredFlash},
        notice::Notice,
        queue::{MessageQueue, Source},
    },
    request::RequestInfo,
    session::reason::Reason,
};

impl RequestContext {
    /// Returns `true` if the user may wonder why the session has ended. A user who is signing out,
    /// or at the login form, does not.
    pub(crate) fn explains(&self, info: &RequestInfo) -> bool {
        let acts =
            info.acts_at(&self.policy().login_url) || info.acts_at(&self.config().logout_url);
        !acts && !self.intent().signs_out && !self.has_user()
    }

    fn has_user(&self) -> bool {
        self.session.user() != super::session_data::NamedUser::Missing
    }

    /// Returns the text for the end of this session. It is empty if the policy wants none.
    pub(crate) fn ended_text(&self, reason: Reason, info: &RequestInfo) -> String {
        let ended = self.record().and_then(|loaded| loaded.record.ended.as_ref());
        let notice = Notice {
            reason,
            cause: ended.and_then(|ended| ended.cause.as_deref()),
            languages: &info.languages,
            device: ended.and_then(|ended| ended.by.as_deref()),
            at: ended.map(|ended| ended.at),
        };
        self.config().text(&notice, &self.policy())
    }

    /// Returns the cause beside the reason of this session's end.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.record()?.record.ended.as_ref()?.cause.as_deref()
    }

    /// Returns all messages that were not shown yet, the reason of the end among them.
    pub(crate) fn show_messages(&self, req: &HttpRequest) -> Vec<FlashMessage> {
        self.add_reason(req);
        self.with_messages(MessageQueue::show)
    }

    fn add_reason(&self, req: &HttpRequest) {
        if self.access().is_active() {
            return;
        }
        let info = self.info(req);
        if !self.explains(&info) {
            return;
        }
        let stored = self.cookies.anonymous.reason.clone().map(FlashMessage::from);
        let reason = stored.or_else(|| self.reason_message(self.reason_to_tell()?, &info));
        if let Some(message) = reason {
            self.with_messages(|queue| queue.set_reason(message));
        }
    }

    /// Returns the message about an end, unless its text is empty.
    fn reason_message(&self, reason: Reason, info: &RequestInfo) -> Option<FlashMessage> {
        let level =
            if reason == Reason::LoggedOut { FlashLevel::Success } else { FlashLevel::Warning };
        let text = self.ended_text(reason, info);
        (!text.is_empty()).then(|| FlashMessage::new(level, text).with_tags(reason.as_str()))
    }

    /// Keeps a message for the next page, unless a user signs in before.
    pub(crate) fn keep_reason(&self, message: FlashMessage) {
        *self.login_page.challenge_reason.borrow_mut() = Some(message.into());
    }

    /// A challenge under a policy with a message of its own: the login page, which is under another
    /// policy, shows it.
    pub(crate) fn keep_challenge_reason(&self, info: &RequestInfo) {
        let has_own = self.policy().message != self.config().policy.message;
        let reason = self.reason_to_tell().filter(|_| has_own && self.explains(info));
        let message = reason.and_then(|reason| self.reason_message(reason, info));
        *self.login_page.challenge_reason.borrow_mut() = message.map(StoredFlash::from);
    }

    /// A record that the registry does not know tells no reason.
    pub(crate) fn reason_to_tell(&self) -> Option<Reason> {
        let anonymous = &self.cookies.anonymous;
        let has_shown_reason =
            |reason| self.loaded.key().is_some_and(|key| anonymous.has_shown_reason(key, reason));
        let reason = self.access().expiry_reason();
        reason.filter(|reason| *reason != Reason::Unknown && !has_shown_reason(*reason))
    }

    pub(crate) fn push_message(&self, message: FlashMessage) {
        self.with_messages(|queue| queue.push(message));
    }

    /// The page is not going to be seen: its messages wait for the next one.
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

    pub(crate) fn drop_record_messages(&self) {
        self.with_messages(MessageQueue::drop_record_messages);
    }

    pub(super) fn set_message_source(&self, source: Source) {
        if let Some(queue) = &mut *self.messages.borrow_mut() {
            queue.set_source(source);
        }
    }

    fn with_messages<T>(&self, act: impl FnOnce(&mut MessageQueue) -> T) -> T {
        let mut messages = self.messages.borrow_mut();
        act(messages.get_or_insert_with(|| self.new_message_queue()))
    }

    pub(super) fn new_message_queue(&self) -> MessageQueue {
        let source = match &*self.access.borrow() {
            AccessState::Active(_) => Source::Record,
            _ => Source::Anonymous,
        };
        let is_open =
            matches!(&*self.access.borrow(), AccessState::Active(_) | AccessState::Expired(_));
        let record = self.record().filter(|_| is_open).map(|loaded| &*loaded.data);
        let anonymous = match source {
            // With an active record the anonymous cookie is not read.
            Source::Record => &[],
            Source::Anonymous => self.cookies.anonymous.messages.as_slice(),
        };
        MessageQueue::new(source, record, anonymous)
    }
}
