//! Errors of the Redis registry.
//!
//! No message contains a password, a secret key or session data. Connecting returns
//! [`RedisConnectError`]; [`OperationError`] is the source of a
//! [`RegistryError`](crate::error::RegistryError).

use std::{fmt, time::Duration};

use redis::RedisError;

use crate::{
    error::{Source, write_with_sources},
    time::format_duration,
};

/// Error of [`RedisRegistry::connect`](super::RedisRegistry::connect). Messages name the server
/// without its password.
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
    /// The URL is invalid. The message does not contain it, because it may contain a password.
    #[error(
        "invalid Redis URL; use \"redis://user:password@host:6379/0\" or \"unix:///path\" \
         (\"rediss://\" needs the crate redis 1 with its feature `tokio-rustls-comp`)"
    )]
    Url(#[source] Source),
    /// There is no server at this address, or it refuses the connection or a command.
    #[error(
        "cannot use the Redis server at {server}; check that it is running there, and check the \
         user and the password"
    )]
    #[non_exhaustive]
    Server {
        /// Address of the server, without user and password.
        server: String,
        /// Error from the connection or the server.
        source: Source,
    },
    /// The server does not respond.
    #[error(
        "no response from the Redis server at {server} within 5 seconds; check the address and the \
         firewall"
    )]
    #[non_exhaustive]
    NoResponse {
        /// Address of the server, without user and password.
        server: String,
    },
}

impl fmt::Debug for RedisConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_sources(self, f)
    }
}

/// Error of an operation.
#[derive(Debug, thiserror::Error)]
pub(super) enum OperationError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(
        "no response from Redis within {} (`RedisRegistry::timeout`)",
        format_duration(*.0)
    )]
    Timeout(Duration),
    #[error("invalid JSON in a session record")]
    Json(#[source] serde_json::Error),
    // The response is left out, because it may contain secrets.
    #[error("unexpected response from Redis")]
    Response,
}
