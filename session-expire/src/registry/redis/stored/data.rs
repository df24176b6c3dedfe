//! Stored form of session data: a sequence of items, which scripts merge without parsing values.
//!
//! An item is `kind name_bytes:value_bytes:name value`, without the spaces: `e5:6:theme"dark"` is
//! the entry `theme`, and `m1:4:7"hi"` is the message 7. Changes have the same form, with the kinds
//! `r` (remove an entry) and `c` (consume a message). Items of another kind, from a newer version,
//! are ignored.

use std::fmt::{Display, Write};

use serde_json::value::RawValue;

use crate::registry::redis::error::OperationError;
use crate::session::data::{DataChanges, SessionData, StoredMessage};

/// Item of stored data or of changes.
struct DataItem<'a> {
    kind: u8,
    name: &'a str,
    value: &'a str,
}

/// Returns session data in its stored form; empty without data.
pub(crate) fn to_text(data: &SessionData) -> String {
    let mut text = String::with_capacity(data.bytes() + 16);
    data.entries().for_each(|(name, json)| push(&mut text, 'e', name, json.get()));
    push_messages(&mut text, data.messages());
    text
}

/// Returns changes in the order in which [`SessionData::apply`] applies them; `None` without
/// changes.
pub(crate) fn changes_to_text(changes: &DataChanges) -> Option<String> {
    let mut text = String::new();
    changes.removed.iter().for_each(|name| push(&mut text, 'r', name, ""));
    changes.set.iter().for_each(|(name, json)| push(&mut text, 'e', name, json.get()));
    changes.consumed_messages.iter().for_each(|id| push(&mut text, 'c', id, ""));
    push_messages(&mut text, &changes.added_messages);
    (!text.is_empty()).then_some(text)
}

/// Parses stored session data.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<SessionData, OperationError> {
    let mut remaining = std::str::from_utf8(bytes).map_err(|_| OperationError::Response)?;
    let (mut entries, mut messages) = (vec![], vec![]);
    while !remaining.is_empty() {
        let (item, tail) = split_item(remaining).ok_or(OperationError::Response)?;
        match item.kind {
            b'e' => entries.push((item.name.into(), parse_json(item.value)?)),
            b'm' => messages.push(parse_message(&item)?),
            _ => {}
        }
        remaining = tail;
    }
    Ok(SessionData::from_parts(entries, messages))
}

fn push(text: &mut String, kind: char, name: impl Display, value: &str) {
    let name = name.to_string();
    // Writing to a string cannot fail.
    let _ = write!(text, "{kind}{}:{}:{name}{value}", name.len(), value.len());
}

fn push_messages(text: &mut String, messages: &[StoredMessage]) {
    messages.iter().for_each(|message| push(text, 'm', message.id, message.content.get()));
}

/// Splits off the first item; `None` if the text is malformed.
fn split_item(text: &str) -> Option<(DataItem<'_>, &str)> {
    let kind = *text.as_bytes().first()?;
    let (name, rest) = text.get(1..)?.split_once(':')?;
    let (value, rest) = rest.split_once(':')?;
    let (name, rest) = rest.split_at_checked(name.parse().ok()?)?;
    let (value, rest) = rest.split_at_checked(value.parse().ok()?)?;
    Some((DataItem { kind, name, value }, rest))
}

fn parse_message(item: &DataItem<'_>) -> Result<StoredMessage, OperationError> {
    let id = item.name.parse().map_err(|_| OperationError::Response)?;
    Ok(StoredMessage { id, content: parse_json(item.value)? })
}

fn parse_json(text: &str) -> Result<Box<RawValue>, OperationError> {
    RawValue::from_string(text.to_owned()).map_err(OperationError::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn data() -> SessionData {
        let mut changes = DataChanges::default();
        for (name, json) in
            [("", "[]"), ("a:1", "{}"), ("ü\0", "12345678901234567890.50"), ("z", r#""\ud800:é""#)]
        {
            changes.set(name, raw(json));
        }
        changes.added_messages.push(StoredMessage { id: u64::MAX, content: raw("\"hi\"") });
        changes.added_messages.push(StoredMessage { id: 3, content: raw("null") });
        let mut data = SessionData::default();
        data.apply(&changes).unwrap();
        data
    }

    #[test]
    fn data_round_trips() {
        assert_eq!(from_bytes(to_text(&data()).as_bytes()).unwrap(), data());
        assert_eq!(to_text(&SessionData::default()), "");
        assert_eq!(from_bytes(b"").unwrap(), SessionData::default());
    }

    #[test]
    fn stored_entries_are_sorted_when_read() {
        let read = from_bytes(b"e1:1:b2e1:1:a1").unwrap();
        let names: Vec<_> = read.entries().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn changes_are_written_in_the_order_of_their_application() {
        let mut changes = DataChanges { consumed_messages: vec![7], ..<_>::default() };
        changes.added_messages.push(StoredMessage { id: 8, content: raw("1") });
        changes.set("theme", raw("\"dark\""));
        changes.removed.push("cart".into());
        let text = changes_to_text(&changes);
        assert_eq!(text.as_deref(), Some(r#"r4:0:carte5:6:theme"dark"c1:0:7m1:1:81"#));
        assert_eq!(changes_to_text(&DataChanges::default()), None);
    }

    #[test]
    fn items_of_a_newer_version_are_ignored() {
        let read = from_bytes(b"x3:4:abcdefge1:1:a1").unwrap();
        assert_eq!(read.entries().len(), 1);
    }

    #[test]
    fn unreadable_data_is_an_error() {
        for text in
            ["e", "e1", "e1:1", "e1:1:a", "e2:1:é", "e1:9:a1", "m1:1:x1", "e1:1:a{", "ee1:1:"]
        {
            assert!(from_bytes(text.as_bytes()).is_err(), "{text}");
        }
        assert!(from_bytes(&[b'e', b'1', b':', b'0', b':', 0xff]).is_err());
    }
}
