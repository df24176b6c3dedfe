//! Errors of a node, and what the cluster client does after them.

use std::{fmt, io};

use redis::{RedisError, RetryMethod, ServerErrorKind, Value};

use crate::registry::redis::server::sentinel::is_temporary;

/// Code of the error after which a script may have run.
const LOST: &str = "LOST";

/// Code of the error of a node that has just failed.
const UNAVAILABLE: &str = "UNAVAILABLE";

pub(super) fn timed_out() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

pub(super) fn lost(cause: &str) -> RedisError {
    redis::make_extension_error(LOST.to_owned(), Some(cause.to_owned()))
}

/// Returns `true` for the error of a script that may have run.
pub(crate) fn is_lost(error: &RedisError) -> bool {
    error.code() == Some(LOST)
}

/// Returns `true` for the error of a command that a node has not run.
pub(crate) fn is_unavailable(error: &RedisError) -> bool {
    error.code() == Some(UNAVAILABLE)
}

/// Returns an error after which the cluster client asks another node for the owners of the slots,
/// and sends the command again.
pub(super) fn outdated() -> RedisError {
    (ServerErrorKind::ReadOnly.into(), "the node is not available").into()
}

/// Returns `true` for the error of a node that another one may have replaced: it is not reachable,
/// has another id, or does not belong to a Cluster.
pub(super) fn is_away(error: &RedisError) -> bool {
    let is_refusal = error.kind() == ServerErrorKind::ResponseError.into();
    is_temporary(error) || is_outdated(error) || is_refusal
}

/// Returns `true` for the error of [`outdated`].
pub(super) fn is_outdated(error: &RedisError) -> bool {
    error.kind() == ServerErrorKind::ReadOnly.into()
}

/// Returns the error of a node that is not asked again at once.
pub(super) fn unavailable(node: impl fmt::Display, cause: &str) -> RedisError {
    redis::make_extension_error(UNAVAILABLE.to_owned(), Some(format!("{node}: {cause}")))
}

/// Returns `true` for the error of a command that a primary has interrupted, because it became a
/// replica.
pub(super) fn is_interruption(response: &Value) -> bool {
    matches!(response, Value::ServerError(error) if error.code() == "UNBLOCKED")
}

/// Returns `true` if the first command of a pipeline has run and a later one must be repeated.
pub(super) fn was_interrupted(responses: &[Value]) -> bool {
    let must_be_repeated = |response: &Value| {
        let error = response.clone().extract_error().err();
        error.is_some_and(|error| !matches!(error.retry_method(), RetryMethod::NoRetry))
    };
    let mut repeated = responses.iter().map(must_be_repeated);
    repeated.next() == Some(false) && repeated.any(|is_repeated| is_repeated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(text: &str) -> Value {
        redis::parse_redis_value(format!("{text}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn pipeline_is_interrupted_after_its_first_command() {
        for (responses, expected) in [
            (["+OK", "+OK", ":1"], false),
            (["-TRYAGAIN Multiple keys", "-ASK 1 a:1", ":1"], false),
            (["-NOSCRIPT No matching script", "+OK", ":1"], false),
            (["+OK", "-MOVED 1 a:1", ":1"], true),
            (["+OK", "-READONLY You can't write", ":0"], true),
            (["+OK", "-OOM command not allowed", ":1"], false),
        ] {
            let responses = responses.map(response);
            assert_eq!(was_interrupted(&responses), expected, "{responses:?}");
        }
    }
}
