//! Errors after which a command is sent again.

use std::time::Duration;

use redis::RedisError;

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
