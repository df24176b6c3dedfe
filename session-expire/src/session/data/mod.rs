//! Session data of a record: the application's entries and the unread flash messages.
//!
//! Writes merge per entry. A request stores only its own changes, and two requests that change
//! different entries lose nothing. Every registry applies [`SessionData::apply`] or its equivalent.

pub(crate) mod sealed;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Session data of a record.
///
/// Entries are JSON values under the names that the application passes to
/// [`Session::insert`](actix_session::Session::insert). The user id is not an entry; it is the
/// field [`SessionRecord::user`](crate::registry::SessionRecord::user).
///
/// ```
/// use session_expire::registry::{DataChanges, SessionData};
/// let mut changes = DataChanges::default();
/// changes.set("theme", serde_json::value::to_raw_value("dark")?);
/// let mut data = SessionData::default();
/// data.apply(&changes)?;
/// assert_eq!(data.get("theme").map(|json| json.get()), Some(r#""dark""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionData {
    /// Sorted by name. A session has few entries, so a sorted list is smaller than a map.
    #[serde(rename = "e", skip_serializing_if = "Vec::is_empty")]
    entries: Vec<DataEntry>,
    #[serde(rename = "m", skip_serializing_if = "Vec::is_empty")]
    messages: Vec<StoredMessage>,
}

/// One entry: its name and its JSON value.
pub(crate) type DataEntry = (Box<str>, Box<RawValue>);

/// Flash message in its stored form.
#[derive(Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoredMessage {
    /// Id by which a request consumes the message; unique within the session.
    #[serde(rename = "n")]
    pub id: u64,
    /// The message as JSON.
    #[serde(rename = "c")]
    pub content: Box<RawValue>,
}

/// Changes that a request makes to the data of its session.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct DataChanges {
    /// Entries to insert or to replace.
    pub set: Vec<(Box<str>, Box<RawValue>)>,
    /// Names of entries to remove.
    pub removed: Vec<Box<str>>,
    /// Messages to append.
    pub added_messages: Vec<StoredMessage>,
    /// Ids of messages that the user has read.
    pub consumed_messages: Vec<u64>,
}

/// Error of a change that would make session data exceed [`SessionData::MAX_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session data would exceed {} bytes", SessionData::MAX_BYTES)]
#[non_exhaustive]
pub struct DataTooLarge;

impl SessionData {
    /// Maximum size of the names and JSON values of one session: 64 KB.
    pub const MAX_BYTES: usize = 65_536;

    /// Maximum number of unread flash messages. If more are added, the oldest are deleted.
    pub const MAX_MESSAGES: usize = 12;

    /// Returns the JSON value of the entry `name`; `None` if there is no such entry.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.position(name).ok().map(|at| &*self.entries[at].1)
    }

    /// Returns all entries, sorted by name.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &RawValue)> {
        self.entries.iter().map(|(name, json)| (&**name, &**json))
    }

    /// Returns the unread flash messages, oldest first.
    #[must_use]
    pub fn messages(&self) -> &[StoredMessage] {
        &self.messages
    }

    /// Returns `true` if there are neither entries nor messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.messages.is_empty()
    }

    /// Merges `changes` into the data. [`Registry::update`](crate::registry::Registry::update)
    /// must have the same effect.
    ///
    /// # Errors
    ///
    /// Returns [`DataTooLarge`] if the result would exceed [`MAX_BYTES`](Self::MAX_BYTES). The data
    /// is then unchanged.
    pub fn apply(&mut self, changes: &DataChanges) -> Result<(), DataTooLarge> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut merged = self.clone();
        merged.merge(changes);
        if merged.bytes() > Self::MAX_BYTES {
            return Err(DataTooLarge);
        }
        *self = merged;
        Ok(())
    }

    /// Returns the size in bytes that counts toward [`MAX_BYTES`](Self::MAX_BYTES).
    #[must_use]
    pub fn bytes(&self) -> usize {
        let entries = self.entries.iter().map(|(name, json)| name.len() + json.get().len());
        let messages = self.messages.iter().map(|message| message.content.get().len());
        entries.chain(messages).sum()
    }

    /// Removes the entry `name`. It searches all entries, because forged data may not be sorted.
    pub(crate) fn remove(&mut self, name: &str) {
        self.entries.retain(|(entry, _)| **entry != *name);
    }

    /// Returns data made of `entries`, in any order, and `messages`.
    #[cfg(feature = "redis")]
    pub(crate) fn from_parts(mut entries: Vec<DataEntry>, messages: Vec<StoredMessage>) -> Self {
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self { entries, messages }
    }

    fn merge(&mut self, changes: &DataChanges) {
        for name in &changes.removed {
            if let Ok(at) = self.position(name) {
                self.entries.remove(at);
            }
        }
        for (name, json) in &changes.set {
            match self.position(name) {
                Ok(at) => self.entries[at].1.clone_from(json),
                Err(at) => self.entries.insert(at, (name.clone(), json.clone())),
            }
        }
        self.messages.retain(|message| !changes.consumed_messages.contains(&message.id));
        self.messages.extend(changes.added_messages.iter().cloned());
        let surplus = self.messages.len().saturating_sub(Self::MAX_MESSAGES);
        self.messages.drain(..surplus);
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

impl StoredMessage {
    /// Returns a message with this id and this JSON content.
    #[must_use]
    pub fn new(id: u64, content: Box<RawValue>) -> Self {
        Self { id, content }
    }
}

impl DataChanges {
    /// Inserts or replaces the entry `name`.
    pub fn set(&mut self, name: &str, value: Box<RawValue>) {
        self.set.push((name.into(), value));
    }

    /// Returns `true` if there are no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
            && self.removed.is_empty()
            && self.added_messages.is_empty()
            && self.consumed_messages.is_empty()
    }
}

impl PartialEq for SessionData {
    fn eq(&self, other: &Self) -> bool {
        let text = |entry: &DataEntry| (entry.0.clone(), entry.1.get().to_owned());
        self.entries.iter().map(text).eq(other.entries.iter().map(text))
            && self.messages == other.messages
    }
}

impl Eq for SessionData {}

impl PartialEq for StoredMessage {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.content.get()) == (other.id, other.content.get())
    }
}

impl Eq for StoredMessage {}

/// Shows only counts: the application may store secrets in session data.
impl fmt::Debug for SessionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionData")
            .field("entries", &self.entries.len())
            .field("messages", &self.messages.len())
            .finish()
    }
}

impl fmt::Debug for StoredMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredMessage").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for DataChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataChanges")
            .field("set", &self.set.len())
            .field("removed", &self.removed.len())
            .field("added_messages", &self.added_messages.len())
            .field("consumed_messages", &self.consumed_messages.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn message(id: u64) -> StoredMessage {
        StoredMessage { id, content: json("\"hello\"") }
    }

    #[test]
    fn changes_of_two_requests_merge_per_entry() {
        let mut data = SessionData::default();
        let mut first = DataChanges::default();
        first.set("b", json("1"));
        first.set("a", json("2"));
        data.apply(&first).unwrap();
        let mut second = DataChanges::default();
        second.set("c", json("3"));
        second.removed.push("a".into());
        data.apply(&second).unwrap();
        let entries: Vec<_> = data.entries().map(|(name, json)| (name, json.get())).collect();
        assert_eq!(entries, [("b", "1"), ("c", "3")]);
    }

    #[test]
    fn consumed_message_is_removed_and_the_others_stay() {
        let mut data = SessionData::default();
        let added = DataChanges { added_messages: vec![message(1), message(2)], ..<_>::default() };
        data.apply(&added).unwrap();
        let consumed = DataChanges { consumed_messages: vec![1, 7], ..<_>::default() };
        data.apply(&consumed).unwrap();
        data.apply(&consumed).unwrap();
        assert_eq!(data.messages(), [message(2)]);
    }

    #[test]
    fn surplus_messages_remove_the_oldest() {
        let mut data = SessionData::default();
        let added =
            DataChanges { added_messages: (0..20).map(message).collect(), ..<_>::default() };
        data.apply(&added).unwrap();
        assert_eq!((data.messages().len(), data.messages()[0].id), (12, 8));
    }

    #[test]
    fn data_over_the_limit_changes_nothing() {
        let mut data = SessionData::default();
        let mut small = DataChanges::default();
        small.set("theme", json("1"));
        data.apply(&small).unwrap();
        let mut large = DataChanges::default();
        large.set("theme", json("2"));
        large.set("large", json(&format!("\"{}\"", "x".repeat(SessionData::MAX_BYTES))));
        assert_eq!(data.apply(&large), Err(DataTooLarge));
        assert_eq!(data.get("theme").map(RawValue::get), Some("1"));
    }

    #[test]
    fn data_round_trips_as_json_and_debug_shows_no_values() {
        let mut data = SessionData::default();
        let mut changes =
            DataChanges { added_messages: vec![message(1)], ..DataChanges::default() };
        changes.set("secret", json("\"token\""));
        data.apply(&changes).unwrap();
        let text = serde_json::to_string(&data).unwrap();
        assert_eq!(serde_json::from_str::<SessionData>(&text).unwrap(), data);
        assert!(!format!("{data:?} {changes:?}").contains("token"));
    }
}
