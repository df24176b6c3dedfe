//! Errors of the Redis registry.
//!
//! No message contains a password, a secret key or session data. Connecting returns
//! [`RedisConnectError`]; [`OperationError`] is the source of a
//! [`RegistryError`](crate::error::RegistryError).

use std::{fmt, io, time::Duration};

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::server::cluster::{is_lost, is_unavailable};
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
    /// The list of Sentinels or nodes is empty.
    #[error("the list of {list} is empty")]
    #[non_exhaustive]
    NoAddress {
        /// `Sentinels` or `nodes`.
        list: &'static str,
    },
    /// The URLs of Sentinels or nodes differ in more than their addresses.
    #[error(
        "the URLs must have the same user, password and database, and all or none must use \
         `rediss://`"
    )]
    MixedUrls,
    /// The URL of a node names a database other than 0.
    #[error("a Redis Cluster has only database 0, but a URL names database {database}")]
    #[non_exhaustive]
    Database {
        /// Number of the database in the URL.
        database: i64,
    },
    /// The server is a node of a Redis Cluster.
    #[error("the Redis server at {server} is in cluster mode; use `RedisRegistry::cluster`")]
    #[non_exhaustive]
    Cluster {
        /// Address of the server, without user and password.
        server: String,
    },
    /// The server is not a node of a Redis Cluster.
    #[error("the Redis server at {server} is not in cluster mode; use `RedisRegistry::connect`")]
    #[non_exhaustive]
    NotACluster {
        /// Address of the server, without user and password.
        server: String,
    },
    /// The Sentinels know no primary with this name.
    #[error(
        "the Sentinels at {server} know no primary of this name; compare it with `sentinel monitor` \
         in their configuration"
    )]
    #[non_exhaustive]
    UnknownName {
        /// Addresses of the Sentinels, without user and password, and the name.
        server: String,
    },
    /// The server is not a Sentinel.
    #[error(
        "the server at {server} is not a Sentinel; use `RedisRegistry::connect` or the addresses of \
         the Sentinels, whose usual port is 26379"
    )]
    #[non_exhaustive]
    NotASentinel {
        /// Addresses of the servers, without user and password, and the name.
        server: String,
    },
    /// The server is a Sentinel.
    #[error("the Redis server at {server} is a Sentinel; use `RedisRegistry::sentinel`")]
    #[non_exhaustive]
    Sentinel {
        /// Address of the server, without user and password.
        server: String,
    },
    /// No Sentinel is reachable, or the Sentinels refuse the connection or a command.
    #[error(
        "cannot use the Sentinels at {server}; check that they are running, and check their \
         password (`RedisRegistry::from_sentinel`) and certificates"
    )]
    #[non_exhaustive]
    Sentinels {
        /// Addresses of the Sentinels, without user and password, and the name.
        server: String,
        /// Error from the connection or a Sentinel.
        source: Source,
    },
    /// The version of a node is too old for a Cluster.
    #[error("the Redis server at {server} has version {version}; a Cluster needs 7.0 or newer")]
    #[non_exhaustive]
    Version {
        /// Address of the server, without user and password.
        server: String,
        /// Version of the server.
        version: String,
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
    #[error("the Redis server is in cluster mode; use `RedisRegistry::cluster`")]
    Cluster(#[source] RedisError),
    #[error("a slot of the Redis Cluster has no primary at the moment, or is moving")]
    Unavailable(#[source] RedisError),
    #[error("the connection to a node of the Redis Cluster has failed; the change may be stored")]
    Lost(#[source] RedisError),
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
    /// Converts the error of a command that was sent to a Cluster.
    pub(super) fn in_cluster(error: RedisError) -> Self {
        let has_no_primary = is_unavailable(&error)
            || error.is_cluster_error()
            || error.kind() == ServerErrorKind::ReadOnly.into();
        match has_no_primary {
            true => Self::Unavailable(error),
            false if is_lost(&error) => Self::Lost(error),
            false => error.into(),
        }
    }

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
