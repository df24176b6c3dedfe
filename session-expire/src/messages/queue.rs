//! Flash messages of one request: pending and added ones.
//!
//! Pending messages are stored in the session record or in the anonymous cookie. A request sees the
//! messages of one source; those of the other source do not change.

use rand::RngExt;

use super::flash::{FlashMessage, StoredFlash};
use crate::session::data::{DataChanges, SessionData, StoredMessage};

/// Largest total size of pending messages in bytes, JSON-escaped as they are stored. A cookie of
/// 4,096 bytes can carry them.
const MAX_BYTES: usize = 2_900;

/// Storage of pending messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MessageSource {
    #[default]
    Anonymous,
    Record,
}

/// The messages of one request.
#[derive(Debug, Default)]
pub(crate) struct MessageQueue {
    source: MessageSource,
    record: Vec<QueuedMessage>,
    anonymous: Vec<QueuedMessage>,
    /// Notice that the session has ended.
    reason: Option<QueuedMessage>,
    added: Vec<QueuedMessage>,
}

#[derive(Debug)]
struct QueuedMessage {
    /// Id of a message of the record; 0 for others.
    id: u64,
    message: FlashMessage,
    is_shown: bool,
}

impl QueuedMessage {
    fn new(id: u64, message: FlashMessage) -> Self {
        Self { id, message, is_shown: false }
    }

    fn from_stored(stored: &StoredMessage) -> Option<Self> {
        let message: StoredFlash = serde_json::from_str(stored.content.get()).ok()?;
        Some(Self::new(stored.id, message.into()))
    }
}

impl MessageQueue {
    pub(crate) fn new(
        source: MessageSource,
        data: Option<&SessionData>,
        anonymous: &[StoredFlash],
    ) -> Self {
        let record = data.map(SessionData::messages).unwrap_or_default();
        Self {
            source,
            record: record.iter().filter_map(QueuedMessage::from_stored).collect(),
            anonymous: anonymous
                .iter()
                .map(|message| QueuedMessage::new(0, message.clone().into()))
                .collect(),
            ..Self::default()
        }
    }

    /// Sets which pending messages are visible.
    pub(crate) fn set_source(&mut self, source: MessageSource) {
        self.source = source;
    }

    pub(crate) fn push(&mut self, message: FlashMessage) {
        self.added.push(QueuedMessage::new(0, message));
    }

    /// Adds the notice that the session has ended, unless it was added before.
    pub(crate) fn set_reason(&mut self, message: FlashMessage) {
        self.reason.get_or_insert_with(|| QueuedMessage::new(0, message));
    }

    /// Returns all visible messages that were not shown, in order, and marks them as shown.
    pub(crate) fn show(&mut self) -> Vec<FlashMessage> {
        let mut shown = Vec::new();
        for item in self.visible().filter(|item| !item.is_shown) {
            item.is_shown = true;
            shown.push(item.message.clone());
        }
        shown
    }

    /// Marks shown messages as unread.
    pub(crate) fn mark_unread(&mut self) {
        self.visible().for_each(|item| item.is_shown = false);
    }

    /// Returns `true` if a message was shown.
    pub(crate) fn has_shown(&self) -> bool {
        let all = self.record.iter().chain(&self.anonymous).chain(&self.reason).chain(&self.added);
        all.into_iter().any(|item| item.is_shown)
    }

    /// Returns `true` if the notice that the session has ended was shown.
    pub(crate) fn has_shown_reason(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| reason.is_shown)
    }

    /// Discards the pending messages of the record, which are for another user.
    pub(crate) fn discard_record_messages(&mut self) {
        self.record.clear();
    }

    /// Adds to `changes` the consumed messages of the record and the added messages.
    pub(crate) fn store_changes(&self, changes: &mut DataChanges) {
        let shown = self.record.iter().filter(|item| item.is_shown);
        changes.consumed_messages.extend(shown.map(|item| item.id));
        let added = within_limits(unshown(&self.added));
        changes.added_messages.extend(added.iter().filter_map(to_stored));
    }

    /// Returns the messages to store in the anonymous cookie.
    pub(crate) fn remaining_anonymous(&self) -> Vec<StoredFlash> {
        within_limits(unshown(&self.anonymous).chain(unshown(&self.added)))
    }

    /// Adds to `changes` all pending and added messages, for a new session.
    pub(crate) fn store_all(&self, changes: &mut DataChanges) {
        let all = unshown(&self.record).chain(unshown(&self.anonymous)).chain(unshown(&self.added));
        changes.added_messages.extend(within_limits(all).iter().filter_map(to_stored));
    }

    fn visible(&mut self) -> impl Iterator<Item = &mut QueuedMessage> {
        let pending = match self.source {
            MessageSource::Record => &mut self.record,
            MessageSource::Anonymous => &mut self.anonymous,
        };
        pending.iter_mut().chain(&mut self.reason).chain(&mut self.added)
    }
}

fn unshown(items: &[QueuedMessage]) -> impl Iterator<Item = &FlashMessage> {
    items.iter().filter(|item| !item.is_shown).map(|item| &item.message)
}

/// Returns a message with a new id, in its stored form.
pub(crate) fn to_stored(message: &StoredFlash) -> Option<StoredMessage> {
    let content = serde_json::value::to_raw_value(message).ok()?;
    Some(StoredMessage::new(rand::rng().random(), content))
}

/// Returns the newest messages that fit the limits, in order.
fn within_limits<'a>(messages: impl Iterator<Item = &'a FlashMessage>) -> Vec<StoredFlash> {
    let mut messages: Vec<_> = messages.cloned().map(StoredFlash::from).collect();
    let mut bytes = 0;
    let newest = messages.iter().rev().take(SessionData::MAX_MESSAGES).take_while(|message| {
        bytes += serde_json::to_string(message).map_or(usize::MAX / 2, |json| json.len());
        bytes <= MAX_BYTES
    });
    let discarded = messages.len() - newest.count();
    if discarded > 0 {
        warn_discarded_messages(discarded);
    }
    messages.drain(..discarded);
    messages
}

/// Warns that messages over the limits were discarded.
pub(crate) fn warn_discarded_messages(count: usize) {
    tracing::warn!(event = "sys_messages_discarded", count, "flash messages over the limit");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::flash::FlashLevel;

    fn message(text: &str) -> FlashMessage {
        FlashMessage::new(FlashLevel::Info, text)
    }

    fn texts<M: Into<FlashMessage>>(messages: Vec<M>) -> Vec<String> {
        messages.into_iter().map(|message| message.into().text().to_owned()).collect()
    }

    fn with_record(texts: &[&str]) -> SessionData {
        let added_messages =
            texts.iter().filter_map(|text| to_stored(&message(text).into())).collect();
        let changes = DataChanges { added_messages, ..DataChanges::default() };
        let mut data = SessionData::default();
        data.apply(&changes).unwrap();
        data
    }

    #[test]
    fn messages_are_shown_once_in_order() {
        let mut queue =
            MessageQueue::new(MessageSource::Anonymous, None, &[message("pending").into()]);
        queue.push(message("pushed"));
        assert_eq!(texts(queue.show()), ["pending", "pushed"]);
        queue.push(message("added"));
        assert_eq!(texts(queue.remaining_anonymous()), ["added"]);
        assert!(queue.has_shown());
        queue.mark_unread();
        assert_eq!(texts(queue.remaining_anonymous()), ["pending", "pushed", "added"]);
    }

    #[test]
    fn messages_of_the_hidden_source_stay() {
        let data = with_record(&["private"]);
        let mut queue =
            MessageQueue::new(MessageSource::Record, Some(&data), &[message("public").into()]);
        queue.set_source(MessageSource::Anonymous);
        assert_eq!(texts(queue.show()), ["public"]);
        queue.set_source(MessageSource::Record);
        let mut changes = DataChanges::default();
        queue.store_changes(&mut changes);
        assert!(changes.consumed_messages.is_empty());
        assert_eq!(texts(queue.show()), ["private"]);
        queue.store_changes(&mut changes);
        assert_eq!(changes.consumed_messages, [data.messages()[0].id]);
    }

    #[test]
    fn end_notice_follows_pending_messages() {
        let mut queue =
            MessageQueue::new(MessageSource::Anonymous, None, &[message("pending").into()]);
        queue.push(message("added"));
        queue.set_reason(message("expired"));
        assert_eq!(texts(queue.show()), ["pending", "expired", "added"]);
        assert!(queue.has_shown_reason());
    }

    #[test]
    fn limit_counts_stored_bytes() {
        let many: Vec<_> = (0..40).map(|n| message(&n.to_string())).collect();
        assert_eq!(texts(within_limits(many.iter()))[0], "28");
        // Quotes take two bytes each.
        let quotes = [(); 3].map(|()| message(&"\"".repeat(700)));
        assert_eq!(within_limits(quotes.iter()).len(), 2);
        assert_eq!(within_limits([message(&"\"".repeat(1_400))].iter()).len(), 1);
        assert_eq!(within_limits([message(&"\"".repeat(1_500))].iter()).len(), 0);
    }
}
