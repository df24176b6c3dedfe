//! End of a stream, with the reason that its client receives.

use std::{fmt, sync::Arc};

use crate::session::{ended::Ended, reason::Reason};

/// End of a guarded stream: the end of its session, an outage, or a shutdown.
///
/// It is the output of [`SessionEnd`](crate::live::SessionEnd), and the last error of a
/// [`Guarded`](crate::live::Guarded) stream or body.
///
/// ```
/// use session_expire::{Reason, live::StreamEnd};
/// let ended = StreamEnd::Ended { reason: Reason::Evicted, cause: None };
/// assert_eq!((ended.as_str(), ended.close_code()), ("evicted", 4401));
/// assert_eq!(StreamEnd::Unavailable.close_code(), 1013);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEnd {
    /// The session has ended, has expired under the policy of the handler, or has a new key
    /// ([`Reason::Renewed`]).
    Ended {
        /// Reason, from the fixed list.
        reason: Reason,
        /// The application's own word in addition to the reason.
        cause: Option<Arc<str>>,
    },
    /// The registry was unavailable at the last known deadline of the session.
    Unavailable,
    /// The application called
    /// [`SessionExpire::close_streams`](crate::SessionExpire::close_streams).
    ShuttingDown,
}

impl StreamEnd {
    /// Returns the reason of the session's end, `unavailable` or `shutting_down`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ended { reason, .. } => reason.as_str(),
            Self::Unavailable => "unavailable",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// Returns the close code for a WebSocket: 4401 for the end of the session, 1013 ("try again
    /// later") for an outage and 1001 ("going away") for a shutdown (RFC 6455 §7.4 and its IANA
    /// registry).
    #[must_use]
    pub fn close_code(&self) -> u16 {
        match self {
            Self::Ended { .. } => 4401,
            Self::Unavailable => 1013,
            Self::ShuttingDown => 1001,
        }
    }

    pub(crate) fn from_reason(reason: Reason) -> Self {
        Self::Ended { reason, cause: None }
    }
}

impl From<Ended> for StreamEnd {
    fn from(ended: Ended) -> Self {
        Self::Ended { reason: ended.reason, cause: ended.cause }
    }
}

impl fmt::Display for StreamEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { reason, .. } => write!(f, "session has ended: {reason}"),
            Self::Unavailable => f.write_str("session could not be checked"),
            Self::ShuttingDown => f.write_str("server is shutting down"),
        }
    }
}

impl std::error::Error for StreamEnd {}
