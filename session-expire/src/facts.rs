//! Reasons of an end, and the part of a session record that [`judge`](crate::judge) needs.

use std::{fmt, str::FromStr};

use crate::time::Timestamp;

/// Reason for which a session has ended or expired.
///
/// ```
/// use session_expire::Reason;
/// assert_eq!(Reason::LoggedOut.as_str(), "logged_out");
/// assert_eq!("evicted".parse(), Ok(Reason::Evicted));
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

impl FromStr for Reason {
    type Err = UnknownReason;

    /// Parses the word for machines.
    fn from_str(word: &str) -> Result<Self, UnknownReason> {
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
        .ok_or(UnknownReason)
    }
}

/// Error of parsing a [`Reason`].
///
/// ```
/// use session_expire::{Reason, UnknownReason};
/// assert_eq!("bored".parse::<Reason>(), Err(UnknownReason));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown session end reason")]
pub struct UnknownReason;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of the session of a request: the input of [`judge`](crate::judge).
///
/// ```
/// use session_expire::{Facts, Policy, Reason, Timestamp, Verdict, judge};
/// let (policy, now) = (Policy::new(), Timestamp::from_millis(0));
/// assert_eq!(judge(&Facts::Anonymous, &policy, now), Verdict::Anonymous);
/// assert_eq!(judge(&Facts::Unknown, &policy, now), Verdict::Expired(Reason::Unknown));
/// // An ended session is expired, however much time is left.
/// let ended = Facts::Login { authenticated_at: now, last_seen: now, ended: Some(Reason::Revoked) };
/// assert_eq!(judge(&ended, &policy, now), Verdict::Expired(Reason::Revoked));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facts {
    /// The request has no session.
    Anonymous,
    /// The request has a key that the registry does not know.
    Unknown,
    /// A session that the registry knows.
    Login {
        /// When the user last authenticated.
        authenticated_at: Timestamp,
        /// When the user was last active.
        last_seen: Timestamp,
        /// Why it has ended, if it has.
        ended: Option<Reason>,
    },
}
