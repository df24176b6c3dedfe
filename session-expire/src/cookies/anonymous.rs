//! What anonymous visitors have: the content of their cookie.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    messages::flash::StoredFlash,
    session::{data::SessionData, key::RecordKey, reason::Reason},
};

/// What an anonymous visitor has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AnonymousState {
    #[serde(rename = "t")]
    pub(crate) issued_at: i64,
    #[serde(rename = "d", skip_serializing_if = "SessionData::is_empty")]
    pub(crate) data: SessionData,
    #[serde(rename = "m", skip_serializing_if = "Vec::is_empty")]
    pub(crate) messages: Vec<StoredFlash>,
    /// The text of an end under a policy with a message of its own, until it is shown.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<StoredFlash>,
    /// The login page to which a challenge that ended nothing has sent the browser.
    #[serde(rename = "l", skip_serializing_if = "Option::is_none")]
    pub(crate) marked_login: Option<String>,
    /// The key whose reason was shown, as a short hash, and the reason.
    #[serde(rename = "k", skip_serializing_if = "Option::is_none")]
    pub(crate) shown_reason: Option<String>,
    /// That key can never be used again, and need not be looked up.
    #[serde(rename = "x", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_dead: bool,
}

impl AnonymousState {
    pub(crate) fn is_empty(&self) -> bool {
        self.data.is_empty()
            && self.messages.is_empty()
            && self.reason.is_none()
            && self.marked_login.is_none()
            && self.shown_reason.is_none()
    }

    /// Compares everything but the issue time.
    pub(crate) fn has_same_content(&self, other: &Self) -> bool {
        self.data == other.data
            && self.messages == other.messages
            && self.reason == other.reason
            && self.marked_login == other.marked_login
            && self.shown_reason == other.shown_reason
            && self.is_dead == other.is_dead
    }

    /// Returns `true` if the user was shown that `key` ended for `reason`.
    pub(crate) fn has_shown_reason(&self, key: &RecordKey, reason: Reason) -> bool {
        self.shown_reason.as_ref().is_some_and(|mark| *mark == reason_mark(key, reason))
    }

    /// Returns `true` if `key` need not be looked up: it is dead, and its reason was shown.
    pub(crate) fn has_finished(&self, key: &RecordKey) -> bool {
        let mark = self.shown_reason.as_ref().filter(|_| self.is_dead);
        mark.is_some_and(|mark| mark.starts_with(&short_hash(key)))
    }

    /// Records that the reason of `key` was shown, and whether it can never be used again.
    pub(crate) fn set_shown_reason(&mut self, key: &RecordKey, reason: Reason, is_dead: bool) {
        (self.shown_reason, self.is_dead) = (Some(reason_mark(key, reason)), is_dead);
    }
}

fn reason_mark(key: &RecordKey, reason: Reason) -> String {
    format!("{}.{reason}", short_hash(key))
}

fn short_hash(key: &RecordKey) -> String {
    hex::encode(&Sha256::digest(key.expose())[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_reason_is_kept_as_a_hash_of_the_key() {
        let (key, mut state) = (RecordKey::random("alice"), AnonymousState::default());
        state.set_shown_reason(&key, Reason::Idle, false);
        assert!(
            state.has_shown_reason(&key, Reason::Idle)
                && !state.has_shown_reason(&key, Reason::Revoked)
        );
        assert!(!state.has_shown_reason(&RecordKey::random("alice"), Reason::Idle));
        assert!(!state.has_finished(&key));
        state.set_shown_reason(&key, Reason::Idle, true);
        assert!(state.has_finished(&key));
        assert!(!format!("{state:?}").contains(key.secret()));
    }
}
