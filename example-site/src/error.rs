//! Startup errors.

use std::{error::Error, io, net::SocketAddr, path::PathBuf};

use session_expire::{
    error::ConfigError,
    registry::{RedisConnectError, SqliteError},
};
use tracing_subscriber::filter::FromEnvError;

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
    /// The environment variable `RUST_LOG` is not a valid log filter.
    #[error("RUST_LOG: {0}; use a level such as info, or directives such as session_expire=debug")]
    LogFilter(#[from] FromEnvError),
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
    #[error("{} (flag --registry)", with_sources(.0))]
    Redis(#[from] RedisConnectError),
    /// The URL of a Redis Cluster is incomplete.
    #[error(
        "the URL of the Redis Cluster lacks an address; use \
         redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT (flag --registry)"
    )]
    ClusterUrl,
    /// The URL of Sentinels is incomplete.
    #[error(
        "the URL of the Sentinels lacks an address or the name of the primary; use \
         redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/DB (flag --registry)"
    )]
    SentinelUrl,
    /// The certificates for the Redis server cannot be used.
    #[error("cannot use the certificates in {}: {source} (flag --redis-ca)", path.display())]
    RedisCa {
        /// The file.
        path: PathBuf,
        /// The error of the operating system or of the Redis client.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The signal handlers cannot be installed.
    #[error("cannot install signal handlers: {0}")]
    Signals(io::Error),
    /// The server stopped with an error.
    #[error("the server stopped: {0}")]
    Stopped(io::Error),
}

/// Returns the messages of `error` and of its sources, which contain the error of the server.
fn with_sources(error: &dyn Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(error) = source {
        let message = error.to_string();
        // Some errors of the Redis client return themselves as their source.
        if !text.ends_with(&message) {
            text = format!("{text}: {message}");
        }
        source = error.source();
    }
    text
}
