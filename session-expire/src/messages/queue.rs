//! Flash messages of one request: those that waited, and those it adds.
//!
//! A message waits in the session record or in the anonymous cookie. Only those of the source that
//! the handler may see are shown; those of the other source stay as they are.

use rand::RngExt;

use super::flash::{FlashMessage, StoredFlash};
use crate::session::data::{DataChanges, SessionData, StoredMessage};

/// Most bytes of all waiting messages together, JSON-escaped as they are stored: what a cookie of
/// 4,096 bytes carries.
const MAX_BYTES: usize = 2_900;

/// Where messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Source {
    #[default]
    Anonymous,
    Record,
}

/// The messages of one request.
#[derive(Debug, Default)]
pub(crate) struct MessageQueue {
    source: Source,
    record: Vec<Item>,
    anonymous: Vec<Item>,
    /// The reason why the session ended, once it is due.
    reason: Option<Item>,
    added: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    /// The number of a message of the record; 0 for others.
    id: u64,
    message: FlashMessage,
    is_shown: bool,
}

impl Item {
    fn new(id: u64, message: FlashMessage) -> Self {
        Self { id, message, is_shown: false }
    }

    fn stored(stored: &StoredMessage) -> Option<Self> {
        let message: StoredFlash = serde_json::from_str(stored.content.get()).ok()?;
        Some(Self::new(stored.id, message.into()))
    }
}

impl MessageQueue {
    pub(crate) fn new(
        source: Source,
        data: Option<&SessionData>,
        anonymous: &[StoredFlash],
    ) -> Self {
        let record = data.map(SessionData::messages).unwrap_or_default();
        Self {
            source,
            record: record.iter().filter_map(Item::stored).collect(),
            anonymous: anonymous
                .iter()
                .map(|message| Item::new(0, message.clone().into()))
                .collect(),
            ..Self::default()
        }
    }

    /// Switches between the record's messages and those of the anonymous cookie.
    pub(crate) fn set_source(&mut self, source: Source) {
        self.source = source;
    }

    pub(crate) fn push(&mut self, message: FlashMessage) {
        self.added.push(Item::new(0, message));
    }

    /// Adds the reason why the session ended, unless it is there.
    pub(crate) fn set_reason(&mut self, message: FlashMessage) {
        self.reason.get_or_insert_with(|| Item::new(0, message));
    }

    /// Returns all messages that have not been shown, in order. They count as shown from here on.
    pub(crate) fn show(&mut self) -> Vec<FlashMessage> {
        let mut shown = Vec::new();
        for item in self.visible().filter(|item| !item.is_shown) {
            item.is_shown = true;
            shown.push(item.message.clone());
        }
        shown
    }

    /// Takes back that messages were shown: the page is not going to be seen.
    pub(crate) fn mark_unread(&mut self) {
        self.visible().for_each(|item| item.is_shown = false);
    }

    /// Returns `true` if a message was shown.
    pub(crate) fn has_shown(&self) -> bool {
        let all = self.record.iter().chain(&self.anonymous).chain(&self.reason).chain(&self.added);
        all.into_iter().any(|item| item.is_shown)
    }

    /// Returns `true` if the reason was shown.
    pub(crate) fn has_shown_reason(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| reason.is_shown)
    }

    /// Drops what waited in the record: it was for a user who is no longer signed in.
    pub(crate) fn drop_record_messages(&mut self) {
        self.record.clear();
    }

    /// Writes into `changes` what this request consumed of the record's messages, and added.
    pub(crate) fn store_changes(&self, changes: &mut DataChanges) {
        let shown = self.record.iter().filter(|item| item.is_shown);
        changes.consumed_messages.extend(shown.map(|item| item.id));
        let added = within_limits(unshown(&self.added));
        changes.added_messages.extend(added.iter().filter_map(stored));
    }

    /// Returns what waits in the anonymous cookie from now on.
    pub(crate) fn remaining_anonymous(&self) -> Vec<StoredFlash> {
        within_limits(unshown(&self.anonymous).chain(unshown(&self.added)))
    }

    /// Writes into `changes` what a new session starts with.
    pub(crate) fn store_all(&self, changes: &mut DataChanges) {
        let all = unshown(&self.record).chain(unshown(&self.anonymous)).chain(unshown(&self.added));
        changes.added_messages.extend(within_limits(all).iter().filter_map(stored));
    }

    fn visible(&mut self) -> impl Iterator<Item = &mut Item> {
        let waiting = match self.source {
            Source::Record => &mut self.record,
            Source::Anonymous => &mut self.anonymous,
        };
        waiting.iter_mut().chain(&mut self.reason).chain(&mut self.added)
    }
}

fn unshown(items: &[Item]) -> impl Iterator<Item = &FlashMessage> {
    items.iter().filter(|item| !item.is_shown).map(|item| &item.message)
}

fn stored(message: &StoredFlash) -> Option<StoredMessage> {
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
    let dropped = messages.len() - newest.count();
    if dropped > 0 {
        warn_of_dropped(dropped);
    }
    messages.drain(..dropped);
    messages
}

/// Logs how many messages found no room.
pub(crate) fn warn_of_dropped(dropped: usize) {
    tracing::warn!(dropped, "flash messages dropped");
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
            texts.iter().filter_map(|text| stored(&message(text).into())).collect();
        let changes = DataChanges { added_messages, ..DataChanges::default() };
        let mut data = SessionData::default();
        data.apply(&changes).unwrap();
        data
    }

    #[test]
    fn messages_are_shown_once_and_in_order() {
        let mut queue = MessageQueue::new(Source::Anonymous, None, &[message("waited").into()]);
        queue.push(message("pushed"));
        assert_eq!(texts(queue.show()), ["waited", "pushed"]);
        queue.push(message("late"));
        assert_eq!(texts(queue.remaining_anonymous()), ["late"]);
        assert!(queue.has_shown());
        queue.mark_unread();
        assert_eq!(texts(queue.remaining_anonymous()), ["waited", "pushed", "late"]);
    }

    #[test]
    fn messages_of_the_hidden_source_stay() {
        let data = with_record(&["private"]);
        let mut queue = MessageQueue::new(Source::Record, Some(&data), &[message("public").into()]);
        queue.set_source(Source::Anonymous);
        assert_eq!(texts(queue.show()), ["public"]);
        queue.set_source(Source::Record);
        let mut changes = DataChanges::default();
        queue.store_changes(&mut changes);
        assert!(changes.consumed_messages.is_empty());
        assert_eq!(texts(queue.show()), ["private"]);
        queue.store_changes(&mut changes);
        assert_eq!(changes.consumed_messages, [data.messages()[0].id]);
    }

    #[test]
    fn reason_is_shown_between_waiting_and_added_messages() {
        let mut queue = MessageQueue::new(Source::Anonymous, None, &[message("waited").into()]);
        queue.push(message("added"));
        queue.set_reason(message("expired"));
        assert_eq!(texts(queue.show()), ["waited", "expired", "added"]);
        assert!(queue.has_shown_reason());
    }

    #[test]
    fn limit_counts_bytes_as_they_are_stored() {
        let many: Vec<_> = (0..40).map(|n| message(&n.to_string())).collect();
        assert_eq!(texts(within_limits(many.iter()))[0], "28");
        // Quotes take two bytes each.
        let quotes = [(); 3].map(|()| message(&"\"".repeat(700)));
        assert_eq!(within_limits(quotes.iter()).len(), 2);
        assert_eq!(within_limits([message(&"\"".repeat(1_400))].iter()).len(), 1);
        assert_eq!(within_limits([message(&"\"".repeat(1_500))].iter()).len(), 0);
    }
}
