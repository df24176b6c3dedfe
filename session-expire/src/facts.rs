//! What the registry knows of a login, reduced to what judging needs.

use std::{fmt, str::FromStr};

use crate::time::Timestamp;

/// Why a session is over.
///
/// ```
/// use session_expire::Reason;
/// assert_eq!(Reason::LoggedOut.as_str(), "logged_out");
/// assert_eq!("evicted".parse(), Ok(Reason::Evicted));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nobody used it for too long.
    Idle,
    /// It lasted as long as any session may.
    Absolute,
    /// A newer login of the same user took its place.
    Evicted,
    /// It was ended from elsewhere: a devices page, an administrator, a changed password.
    Revoked,
    /// The person signed out.
    LoggedOut,
    /// The session key was replaced: the session continues under the new one.
    Renewed,
    /// The registry does not know it.
    Unknown,
}

impl Reason {
    /// The word for machines: `idle`, `absolute`, `evicted`, `revoked`, `logged_out`, `renewed`, `unknown`.
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

    /// Reads the word for machines.
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

/// A word that names no [`Reason`].
///
/// ```
/// use session_expire::{Reason, UnknownReason};
/// assert_eq!("bored".parse::<Reason>(), Err(UnknownReason));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no reason is called so")]
pub struct UnknownReason;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of the session of a request.
///
/// ```
/// use session_expire::{Facts, Policy, Reason, Timestamp, Verdict, judge};
/// let (policy, now) = (Policy::new(), Timestamp::from_millis(0));
/// assert_eq!(judge(&Facts::Nobody, &policy, now), Verdict::Anonymous);
/// assert_eq!(judge(&Facts::Unknown, &policy, now), Verdict::Expired(Reason::Unknown));
/// // However much time is left, what was ended is over.
/// let ended = Facts::Login { authenticated_at: now, last_seen: now, ended: Some(Reason::Revoked) };
/// assert_eq!(judge(&ended, &policy, now), Verdict::Expired(Reason::Revoked));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facts {
    /// Nobody is signed in.
    Nobody,
    /// Somebody claims to be, with a key that the registry doesn't know.
    Unknown,
    /// A login that the registry knows.
    Login {
        /// When the user last authenticated.
        authenticated_at: Timestamp,
        /// When the person was last active.
        last_seen: Timestamp,
        /// Why it is over, once it is.
        ended: Option<Reason>,
    },
}
