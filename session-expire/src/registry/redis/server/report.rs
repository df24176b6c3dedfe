//! Message with the changes that a script has made.
//!
//! Its words are a number, the partition key of a user, and the public ids of changed sessions; the
//! word `*` means all sessions of the user. A message that contains only a number means all sessions
//! of all users. It contains no user id and no secret.

use std::str;

use crate::{registry::change::Change, session::key::PublicId};

/// Message of a script.
pub(crate) struct Report {
    pub(crate) number: u64,
    pub(crate) changes: Vec<Change>,
}

impl Report {
    /// Returns the content of a message; `None` if it has no number. A word of a newer version
    /// means all sessions.
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let mut words = str::from_utf8(message).ok()?.split(' ');
        let number = words.next()?.parse().ok()?;
        let changes = match words.next() {
            Some(partition) => words.map(|word| read_change(partition, word)).collect(),
            None => vec![Change::Any],
        };
        Some(Self { number, changes })
    }
}

fn read_change(partition: &str, word: &str) -> Change {
    let partition = partition.to_owned();
    match (word, PublicId::parse(word)) {
        ("*", _) => Change::User { partition },
        (_, Some(id)) => Change::Session { partition, id },
        _ => Change::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{registry::partition_key, session::record::SessionRef};

    #[test]
    fn message_contains_the_changes_in_order() {
        let (first, second) = (PublicId::random(), PublicId::random());
        let session = |id| Change::session(&SessionRef::new("alice", id));
        let text = format!("7 {} {first} {second} * !", partition_key("alice"));
        let report = Report::parse(text.as_bytes()).unwrap();
        let expected = [session(first), session(second), Change::user("alice"), Change::Any];
        assert_eq!((report.number, report.changes), (7, expected.into()));
        assert_eq!(Report::parse(b"8").unwrap().changes, [Change::Any]);
        assert!(Report::parse(b"").is_none() && Report::parse(b"a b").is_none());
    }
}
