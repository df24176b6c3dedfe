//! Errors of the Redis registry.
//!
//! No message contains a password, a secret key or session data. Connecting returns
//! [`RedisConnectError`]; [`OperationError`] is the source of a
//! [`RegistryError`](crate::error::RegistryError).

use std::{fmt, io, time::Duration};

use redis::{ErrorKind, RedisError, ServerErrorKind};

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
         (\"rediss://\" needs the feature `redis-tls`)"
    )]
    Url(#[source] Source),
    /// The server is a node of a Redis Cluster, which the registry does not support.
    #[error(
        "the Redis server at {server} is in cluster mode; use a server with `cluster-enabled no`, \
         and replicas for high availability"
    )]
    #[non_exhaustive]
    Cluster {
        /// Address of the server, without user and password.
        server: String,
    },
    /// The Redis user may not run some commands that the registry needs.
    #[error(
        "the user may not run these commands on the Redis server at {server}: \
         {commands}; see \"Permissions\" in the guide on deployment"
    )]
    #[non_exhaustive]
    Permissions {
        /// Address of the server, without user and password.
        server: String,
        /// Names of the commands, separated by commas.
        commands: String,
    },
    /// The thread for the connection cannot be started.
    #[error("cannot start the thread for the connection to Redis")]
    Thread(#[source] io::Error),
    /// There is no server at this address, or it refuses the connection or a command.
    #[error(
        "cannot use the Redis server at {server}; check that it is running there, and check the \
         user, the password and the certificates"
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
    Redis(RedisError),
    #[error("the Redis server is in cluster mode, which `RedisRegistry` does not support")]
    Cluster(#[source] RedisError),
    #[error(
        "the Redis user may not use the channel of the registry; see \"Permissions\" in the guide \
         on deployment"
    )]
    Channel(#[source] RedisError),
    #[error(
        "no response from Redis within {} (`RedisRegistry::timeout`)",
        format_duration(*.0)
    )]
    Timeout(Duration),
    #[error(
        "{replicas} of {expected} replicas have acknowledged the change in time \
         (`RedisRegistry::wait_for_replicas`); it may be stored"
    )]
    Replicas { replicas: u32, expected: u32 },
    #[error(
        "{replicas} of {expected} replicas have acknowledged a test write in time \
         (`RedisRegistry::wait_for_replicas`); nothing has changed"
    )]
    MissingReplicas { replicas: u32, expected: u32 },
    #[error("invalid JSON in a session record")]
    Json(#[source] serde_json::Error),
    // The response is left out, because it may contain secrets.
    #[error("unexpected response from Redis")]
    Response,
}

impl OperationError {
    /// Returns `true` if the server does not know the script of an `EVALSHA`.
    pub(super) fn is_unknown_script(&self) -> bool {
        let unknown = ErrorKind::Server(ServerErrorKind::NoScript);
        matches!(self, Self::Redis(error) if error.kind() == unknown)
    }
}

impl From<RedisError> for OperationError {
    fn from(error: RedisError) -> Self {
        let is_other_slot = error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot);
        if is_other_slot || error.is_cluster_error() {
            return Self::Cluster(error);
        }
        if error.detail().is_some_and(|detail| detail.contains(" channel")) {
            return Self::Channel(error);
        }
        Self::Redis(error)
    }
}
