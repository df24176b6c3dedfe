//! Login tickets.
//!
//! A login that the session limit refuses may continue on the next page, on which the user selects
//! a session to end. The ticket replaces the password there. The operation that ends the session
//! and commits the login also spends the ticket.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::{
    ended::Ended,
    key::{PublicId, RecordKey, encode_base62, is_secret, random_secret},
};
use crate::time::Timestamp;

/// Secret of a ticket: 22 letters and digits (131 bits). The page contains one, and the anonymous
/// cookie another. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TicketSecret(String);

/// Error if a text is not the secret of a ticket.
#[derive(Debug, thiserror::Error)]
#[error("not a secret of a ticket")]
pub(crate) struct InvalidSecret;

impl TicketSecret {
    pub(crate) fn random() -> Self {
        Self(random_secret())
    }

    /// Parses a secret; `None` if it is malformed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        is_secret(text).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TicketSecret {
    type Error = InvalidSecret;

    fn try_from(text: String) -> Result<Self, InvalidSecret> {
        Self::parse(&text).ok_or(InvalidSecret)
    }
}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecret(…)")
    }
}

/// Returns the key of the ticket with the secret `ticket` of the page and the secret `binding` of
/// the browser. Neither secret alone reveals the key.
pub(crate) fn ticket_key(
    user: &str,
    ticket: &TicketSecret,
    binding: &TicketSecret,
) -> Option<RecordKey> {
    // Both secrets have the same length, so no separator is needed.
    let digest = Sha256::new()
        .chain_update("session-expire: key of a login ticket")
        .chain_update(ticket.as_str())
        .chain_update(binding.as_str());
    RecordKey::with_secret(user, &encode_base62(digest.finalize().into()))
}

/// One-time ticket for a login of `user`: the input of
/// [`Registry::issue_ticket`](crate::registry::Registry::issue_ticket).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginTicket {
    /// Secret key of the ticket, in the partition of the user.
    pub(crate) key: RecordKey,
    /// User id.
    pub user: Arc<str>,
    /// Current time.
    pub at: Timestamp,
    /// Time at which the ticket expires.
    pub until: Timestamp,
}

impl LoginTicket {
    /// Largest number of unspent tickets of a user; the first to expire is deleted.
    pub const MAX_PER_USER: usize = 16;

    /// Returns a ticket with a random key for `user`, issued at `at` and valid until `until`.
    pub fn new(user: impl Into<Arc<str>>, at: Timestamp, until: Timestamp) -> Self {
        let user = user.into();
        Self { key: RecordKey::random(&user), user, at, until }
    }

    /// Sets the secret key. Default: a random key.
    #[must_use]
    pub fn with_key(mut self, key: RecordKey) -> Self {
        self.key = key;
        self
    }

    /// Returns the secret key of the ticket. Do not log it.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        self.key
    }
}

/// Session that a login with a ticket ends, and whose slot it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Takeover {
    /// Secret key of the ticket.
    pub(crate) ticket: RecordKey,
    /// Session of the same user that ends. If it has already ended, the login needs a free slot.
    pub session: PublicId,
    /// End to record.
    pub ended: Ended,
}

impl Takeover {
    /// Returns a takeover that spends the ticket with the key `ticket`.
    #[must_use]
    pub fn new(ticket: RecordKey, session: PublicId, ended: Ended) -> Self {
        Self { ticket, session, ended }
    }

    /// Returns the secret key of the ticket. Do not log it.
    #[must_use]
    pub fn ticket(&self) -> RecordKey {
        self.ticket
    }
}
