//! Errors of Sentinels.

use std::{error::Error, io, sync::Arc};

use redis::{ErrorKind, RedisError};

/// Reason why the Sentinels name no usable primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SentinelFailure {
    /// No Sentinel is reachable.
    NoResponse,
    /// The server that a Sentinel names is not a primary: a failover is under way.
    NoPrimary,
    /// A Sentinel refuses the connection or the commands.
    Refused,
    /// The Sentinels do not know the name.
    UnknownName,
    /// A server is not a Sentinel.
    NotASentinel,
}

impl SentinelFailure {
    const ALL: [Self; 5] =
        [Self::NoResponse, Self::NoPrimary, Self::Refused, Self::UnknownName, Self::NotASentinel];

    /// Returns the beginning of the message, which [`in_error`](Self::in_error) detects.
    const fn text(self) -> &'static str {
        match self {
            Self::NoResponse => "no Sentinel responds",
            Self::NoPrimary => "Sentinel names no primary",
            Self::Refused => "a Sentinel refuses the connection",
            Self::UnknownName => "the Sentinels know no primary of this name",
            Self::NotASentinel => "the server is not a Sentinel",
        }
    }

    fn error(self, detail: Option<String>) -> RedisError {
        redis::make_extension_error(self.text().to_owned(), detail)
    }

    pub(super) fn no_response() -> RedisError {
        io::Error::from(io::ErrorKind::TimedOut).into()
    }

    pub(super) fn no_primary() -> RedisError {
        Self::NoPrimary.error(None)
    }

    /// Returns the failure that an error reports.
    pub(crate) fn in_error(error: &RedisError) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| error.code() == Some(failure.text()))
    }

    fn is_temporary(self) -> bool {
        matches!(self, Self::NoResponse | Self::NoPrimary)
    }

    /// Returns `true` for an error after which a later attempt may succeed.
    pub(crate) fn is_temporary_error(error: &RedisError) -> bool {
        Self::in_error(error).map_or_else(|| is_temporary(error), Self::is_temporary)
    }

    /// Converts the error of a connection to a Sentinel.
    pub(super) fn of_sentinel(error: &RedisError) -> RedisError {
        let detail = error.detail().unwrap_or_default();
        match error {
            _ if detail.contains("No such master") => Self::UnknownName.error(None),
            _ if error.kind() == ErrorKind::InvalidClientConfig => Self::NotASentinel.error(None),
            _ if is_temporary(error) => Self::NoResponse.error(Some(error.to_string())),
            _ => Self::Refused.error(Some(error.to_string())),
        }
    }

    /// Returns the clearer of two errors: that of a Sentinel that responds.
    pub(super) fn clearer(first: Option<RedisError>, second: RedisError) -> RedisError {
        let responds = |error: &RedisError| Self::in_error(error) != Some(Self::NoResponse);
        first.filter(responds).unwrap_or(second)
    }
}

/// Returns `true` for the error of a connection that may succeed later.
pub(crate) fn is_temporary(error: &RedisError) -> bool {
    let source =
        error.source().and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let io_error = source.and_then(|source| source.downcast_ref::<io::Error>());
    // rustls reports an invalid certificate as `InvalidData`.
    let is_invalid = io_error.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData);
    error.is_io_error() && !is_invalid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_certificate_is_permanent() {
        for (kind, expected) in [
            (io::ErrorKind::InvalidData, false),
            (io::ErrorKind::ConnectionRefused, true),
            (io::ErrorKind::TimedOut, true),
        ] {
            assert_eq!(is_temporary(&io::Error::from(kind).into()), expected, "{kind}");
        }
    }
}
