//! Errors after which a command is sent again.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

use super::{
    cluster::{is_lost, is_unavailable},
    sentinel::SentinelFailure,
};

/// Pause before a refused command is sent again. Also the minimum age of a connection to a replica
/// before the registry replaces it.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// Reason to send a command again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Retry {
    /// The connection failed. The server may have run the command.
    Lost,
    /// The server is a replica and refused the command. After a failover, a new connection leads to
    /// the new primary.
    Replica,
    /// The server is loading its data and refused the command.
    Loading,
    /// There is no connection to a primary, or the slot is moving. No server has run the command.
    Unavailable,
}

impl Retry {
    pub(crate) fn after(error: &RedisError) -> Option<Self> {
        let is_lost = || error.is_unrecoverable_error() && !error.is_connection_refusal();
        match error {
            _ if has_code(error, "READONLY") || has_code(error, "MASTERDOWN") => {
                Some(Self::Replica)
            }
            _ if has_code(error, "LOADING") => Some(Self::Loading),
            // A primary that becomes a replica interrupts `WAIT`.
            _ if has_code(error, "UNBLOCKED") || is_lost() => Some(Self::Lost),
            _ => None,
        }
    }

    /// Returns the reason to send a command to a Cluster again.
    pub(crate) fn in_cluster(error: &RedisError) -> Option<Self> {
        let codes = ["READONLY", "MASTERDOWN", "LOADING"];
        let has_no_primary = codes.iter().any(|code| has_code(error, code))
            || is_unavailable(error)
            || error.is_cluster_error()
            || error.kind() == ErrorKind::ClusterConnectionNotFound;
        match error {
            _ if is_lost(error) || has_code(error, "UNBLOCKED") => Some(Self::Lost),
            _ if is_closed_link(error) => Some(Self::Lost),
            _ if has_no_primary || error.is_io_error() => Some(Self::Unavailable),
            _ => None,
        }
    }

    /// Returns the reason to connect again after an attempt that found no primary.
    pub(crate) fn after_connecting(error: &RedisError) -> Option<Self> {
        let is_temporary = has_code(error, "LOADING") || SentinelFailure::is_temporary_error(error);
        is_temporary.then_some(Self::Unavailable)
    }
}

/// Returns `true` if the cluster client itself has ended. Errors of its nodes have no source.
pub(crate) fn is_closed_link(error: &RedisError) -> bool {
    error.is_io_error() && std::error::Error::source(error).is_some()
}

/// Returns `true` for an error with this code. Redis 6 reports the error of a command in a script
/// as a text within another error.
fn has_code(error: &RedisError, code: &str) -> bool {
    let is_code_of_script = |text: &str| text.contains(&format!("-{code} "));
    error.code() == Some(code) || error.detail().is_some_and(is_code_of_script)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(response: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{response}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn refusals_are_recognised_in_both_forms() {
        let replica = "READONLY You can't write against a read only replica.";
        let script = |text: &str| {
            format!(
                "ERR Error running script (call to f_ab): @user_script:8: @user_script: 8: {text}"
            )
        };
        for (response, expected) in [
            (replica.to_owned(), Some(Retry::Replica)),
            (format!("{replica} script: ab, on @user_script:8."), Some(Retry::Replica)),
            (script(&format!("-{replica}")), Some(Retry::Replica)),
            ("MASTERDOWN Link with MASTER is down".to_owned(), Some(Retry::Replica)),
            ("LOADING Redis is loading the dataset in memory".to_owned(), Some(Retry::Loading)),
            ("UNBLOCKED force unblock from blocking operation".to_owned(), Some(Retry::Lost)),
            ("OOM command not allowed".to_owned(), None),
            (script("-OOM command not allowed when used memory > 'maxmemory'."), None),
            ("ERR READONLY".to_owned(), None),
        ] {
            assert_eq!(Retry::after(&error(&response)), expected, "{response}");
        }
    }
}
