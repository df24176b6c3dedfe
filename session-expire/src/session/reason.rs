//! Reasons why a session ends.
//!
//! The list is fixed, and its words are part of the HTTP interface: JSON, headers, close frames.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Reason why a session has ended or expired.
///
/// ```
/// use session_expire::Reason;
/// assert_eq!(Reason::LoggedOut.as_str(), "logged_out");
/// assert_eq!(Reason::parse("evicted"), Some(Reason::Evicted));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The idle timeout was reached.
    Idle,
    /// The absolute timeout was reached.
    Absolute,
    /// The session limit was exceeded: by a newer login of the user, or on a page whose policy
    /// allows fewer sessions.
    Evicted,
    /// The session was revoked: on a sessions page, by an administrator, or after a password
    /// change.
    Revoked,
    /// The user signed out.
    LoggedOut,
    /// The session key was rotated; the session continues under the new key.
    Renewed,
    /// The registry has no record of the session.
    Unknown,
}

impl Reason {
    /// Parses the word of a reason, as [`as_str`](Self::as_str) returns it; `None` if there is no
    /// such reason.
    ///
    /// ```
    /// use session_expire::Reason;
    /// assert_eq!(Reason::parse("idle"), Some(Reason::Idle));
    /// assert_eq!(Reason::parse("bored"), None);
    /// ```
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Idle,
            Self::Absolute,
            Self::Evicted,
            Self::Revoked,
            Self::LoggedOut,
            Self::Renewed,
            Self::Unknown,
        ]
        .into_iter()
        .find(|reason| reason.as_str() == word)
    }

    /// Returns the word of the reason: `idle`, `absolute`, `evicted`, `revoked`, `logged_out`,
    /// `renewed` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Absolute => "absolute",
            Self::Evicted => "evicted",
            Self::Revoked => "revoked",
            Self::LoggedOut => "logged_out",
            Self::Renewed => "renewed",
            Self::Unknown => "unknown",
        }
    }
}

impl Serialize for Reason {
    /// Serializes the word of the reason.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&word).ok_or_else(|| de::Error::custom("unknown session end reason"))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
