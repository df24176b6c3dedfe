//! Startup errors.

use std::{error::Error, io, net::SocketAddr, path::PathBuf};

use session_expire::{
    error::ConfigError,
    registry::{RedisConnectError, SqliteError},
};

/// Error that keeps the site from starting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// The flag `--sessions` of earlier versions was given.
    #[error(
        "--sessions (SESSION_EXPIRE_SESSIONS) is gone: the registry stores session data; leave \
         out the flag"
    )]
    SessionsFlag,
    /// The policy contains contradictory limits.
    #[error("{0} (flags --idle, --absolute and --warn)")]
    Policy(#[from] ConfigError),
    /// The policies do not meet a standard of the flag `--comply`.
    #[error("the policies do not meet --comply:\n{}", lines.join("\n"))]
    NotCompliant {
        /// The breaches, one per line.
        lines: Vec<String>,
    },
    /// The address cannot be bound.
    #[error(
        "cannot listen on {address}: {source}; choose another address with --bind (port 0 picks a \
         free port)"
    )]
    Bind {
        /// The requested address.
        address: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// The key file cannot be read or created.
    #[error(
        "cannot {action} the key file {}: {source}; check its permissions, or name another file with \
         --key-file",
        path.display()
    )]
    KeyFile {
        /// `read` or `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The key file contains no key.
    #[error(
        "the key file {} does not contain 128 hexadecimal digits; delete it (this signs no user \
         out), or name another file with --key-file",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The SQLite file cannot be opened.
    #[error("{0} (flag --registry)")]
    Sqlite(#[from] SqliteError),
    /// The Redis server cannot be reached or used.
    #[error("{} (flag --registry)", with_source(.0))]
    Redis(#[from] RedisConnectError),
    /// The certificates for the Redis server cannot be used.
    #[error("cannot use the certificates in {}: {source} (flag --redis-ca)", path.display())]
    RedisCa {
        /// The file.
        path: PathBuf,
        /// The error of the operating system or of the Redis client.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server stopped with an error.
    #[error("the server stopped: {0}")]
    Stopped(io::Error),
}

/// Returns the messages of `error` and of its source, which contains the error of the server.
fn with_source(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
