//! Message with the changes that a script has made.
//!
//! The first word is the partition key of a user. Each other word is the public id of a changed
//! session, or `*` for all sessions of the user. A message of one word, the new epoch, means all
//! sessions of all users. No message contains a user id or a secret.

use std::str;

use crate::{registry::change::Change, session::key::PublicId};

/// Message of a script.
#[derive(Debug, PartialEq)]
pub(crate) enum Report {
    /// Changes of one user's sessions.
    User(Vec<Change>),
    /// `end_everyone`, with the epoch that it has begun.
    Everyone(String),
}

impl Report {
    /// Reads a message. An unknown word, such as one of a newer version, means all sessions of all
    /// users.
    pub(crate) fn read(message: &[u8]) -> Self {
        let Ok(text) = str::from_utf8(message) else { return Self::User(vec![Change::Any]) };
        match text.split_once(' ') {
            Some((partition, words)) => {
                Self::User(words.split(' ').map(|word| read_change(partition, word)).collect())
            }
            None => Self::Everyone(text.to_owned()),
        }
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
        let text = format!("{} {first} {second} * !", partition_key("alice"));
        let expected = [session(first), session(second), Change::user("alice"), Change::Any];
        assert_eq!(Report::read(text.as_bytes()), Report::User(expected.into()));
        assert_eq!(Report::read(b"epoch"), Report::Everyone("epoch".to_owned()));
        assert_eq!(Report::read(b"\xff"), Report::User(vec![Change::Any]));
    }
}
