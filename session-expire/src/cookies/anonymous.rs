//! State of anonymous visitors: the content of their cookie.
//!
//! A visitor can replay an old state, so it must not contain counters or one-time tickets. It may
//! contain the binding of a ticket, because the registry accepts the ticket only once.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::takeover_offer::StoredOffer;
use crate::{
    messages::flash::StoredFlash,
    session::{data::SessionData, key::RecordKey, reason::Reason},
};

/// State of an anonymous visitor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AnonymousState {
    #[serde(rename = "t")]
    pub(crate) issued_at: i64,
    #[serde(rename = "d", skip_serializing_if = "SessionData::is_empty")]
    pub(crate) data: SessionData,
    #[serde(rename = "m", skip_serializing_if = "Vec::is_empty")]
    pub(crate) messages: Vec<StoredFlash>,
    /// Notice for the next page, such as the message of the policy that ended a session.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<StoredFlash>,
    /// Login page to which a challenge that ended no session has redirected the browser.
    #[serde(rename = "l", skip_serializing_if = "Option::is_none")]
    pub(crate) login_redirect: Option<String>,
    /// Short hash of the session key whose reason was shown, and the reason.
    #[serde(rename = "k", skip_serializing_if = "Option::is_none")]
    pub(crate) shown_reason: Option<String>,
    /// `true` if no request can use that key any more.
    #[serde(rename = "x", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_key_void: bool,
    /// Offer to continue a refused login.
    #[serde(rename = "o", skip_serializing_if = "Option::is_none")]
    pub(crate) takeover: Option<StoredOffer>,
}

impl AnonymousState {
    pub(crate) fn is_empty(&self) -> bool {
        self.data.is_empty()
            && self.messages.is_empty()
            && self.reason.is_none()
            && self.login_redirect.is_none()
            && self.shown_reason.is_none()
            && self.takeover.is_none()
    }

    /// Returns `true` if everything except the issue time is equal.
    pub(crate) fn has_same_content(&self, other: &Self) -> bool {
        self.data == other.data
            && self.messages == other.messages
            && self.reason == other.reason
            && self.login_redirect == other.login_redirect
            && self.shown_reason == other.shown_reason
            && self.is_key_void == other.is_key_void
            && self.takeover == other.takeover
    }

    /// Returns `true` if the user was notified that the session of `key` ended for `reason`.
    pub(crate) fn has_shown_reason(&self, key: &RecordKey, reason: Reason) -> bool {
        self.shown_reason.as_ref().is_some_and(|shown| *shown == reason_digest(key, reason))
    }

    /// Returns `true` if `key` needs no look-up: it is void, and its reason was shown.
    pub(crate) fn can_skip_lookup(&self, key: &RecordKey) -> bool {
        let shown = self.shown_reason.as_ref().filter(|_| self.is_key_void);
        shown.is_some_and(|shown| shown.starts_with(&short_hash(key)))
    }

    /// Records that `reason` was shown for `key`, and whether the key is void.
    pub(crate) fn set_shown_reason(&mut self, key: &RecordKey, reason: Reason, is_key_void: bool) {
        (self.shown_reason, self.is_key_void) = (Some(reason_digest(key, reason)), is_key_void);
    }
}

fn reason_digest(key: &RecordKey, reason: Reason) -> String {
    format!("{}.{reason}", short_hash(key))
}

fn short_hash(key: &RecordKey) -> String {
    hex::encode(&Sha256::digest(key.expose())[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_reason_has_hash_of_key_only() {
        let (key, mut state) = (RecordKey::random("alice"), AnonymousState::default());
        state.set_shown_reason(&key, Reason::Idle, false);
        assert!(
            state.has_shown_reason(&key, Reason::Idle)
                && !state.has_shown_reason(&key, Reason::Revoked)
        );
        assert!(!state.has_shown_reason(&RecordKey::random("alice"), Reason::Idle));
        assert!(!state.can_skip_lookup(&key));
        state.set_shown_reason(&key, Reason::Idle, true);
        assert!(state.can_skip_lookup(&key));
        assert!(!format!("{state:?}").contains(key.secret()));
    }
}
