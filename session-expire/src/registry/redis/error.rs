//! Errors of the connection and of operations.

use std::{fmt, time::Duration};

use redis::RedisError;

use crate::{
    error::{Source, write_with_sources},
    time::format_duration,
};

/// Why [`RedisRegistry::connect`](super::RedisRegistry::connect) failed. Its text names the server
/// without a password.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use session_expire::{RedisRegistry, registry::RedisConnectError};
/// let error = RedisRegistry::connect("http://user:secret@127.0.0.1/").await.err();
/// assert!(matches!(error, Some(RedisConnectError::Url(_))));
/// assert!(!format!("{error:?}").contains("secret"));
/// # Ok(()) }
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum RedisConnectError {
    /// The URL cannot be used. It is not shown, because it may hold a password.
    #[error(
        "the Redis URL cannot be used; write one such as \"redis://user:password@host:6379/0\" or \
         \"unix:///path\"; \"rediss://\" needs the crate redis 0.32 with its feature `tokio-rustls-comp`"
    )]
    Url(#[source] Source),
    /// There is no server at this address, or it refuses the connection.
    #[error(
        "cannot use the Redis server at {server}; is it running there, and are user and password right?"
    )]
    #[non_exhaustive]
    Server {
        /// The address.
        server: String,
        /// The error of the connection or of the server.
        source: Source,
    },
    /// There is no response from this address.
    #[error(
        "no response from the Redis server at {server} within 5 seconds; is the address right, and does \
         a firewall let it through?"
    )]
    #[non_exhaustive]
    Silent {
        /// The address.
        server: String,
    },
}

impl fmt::Debug for RedisConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_sources(self, f)
    }
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum OperationError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(
        "Redis did not respond within {}; `RedisRegistry::timeout` sets the limit",
        format_duration(*.0)
    )]
    Timeout(Duration),
    #[error("a record cannot be read or written as JSON")]
    Json(#[source] serde_json::Error),
    // Without the response: it may hold secrets.
    #[error("the response of Redis cannot be read")]
    Response,
}
