//! Reasons of the end of a session.

use std::fmt;

use serde::{Serialize, Serializer};

/// Reason for which a session has ended or expired.
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
    /// The session limit was reached: by a newer login of the user, or on a page for fewer sessions.
    Evicted,
    /// It was revoked: on a sessions page, by an administrator, after a changed password.
    Revoked,
    /// The user signed out.
    LoggedOut,
    /// The session key was replaced: the session continues under the new one.
    Renewed,
    /// The registry has no record of it.
    Unknown,
}

impl Reason {
    /// Parses the word for machines; `None` if there is no such reason.
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

    /// Returns the word for machines: `idle`, `absolute`, `evicted`, `revoked`, `logged_out`, `renewed`, `unknown`.
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
    /// Serializes the word for machines.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
