//! Errors at start-up.

use std::{io, net::SocketAddr, path::PathBuf};

use session_expire::{ConfigError, RedisConnectError, SqliteError};

/// Why the site does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// The flag `--sessions` of earlier versions was given.
    #[error(
        "--sessions (SESSION_EXPIRE_SESSIONS) is gone: session data is stored beside the session \
         record, in the registry that --registry names; leave it out"
    )]
    SessionsFlag,
    /// The policy contradicts itself.
    #[error("{0} (flags --idle, --absolute and --warn)")]
    Policy(#[from] ConfigError),
    /// The address is not available.
    #[error(
        "cannot listen on {address}: {source}; stop the program that uses it, or choose another \
         address with --bind (port 0 picks a free one)"
    )]
    Bind {
        /// The requested address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The key file cannot be read or created.
    #[error(
        "cannot {action} the key file {}: {source}; check its folder and its permissions, or name \
         another file with --key-file",
        path.display()
    )]
    KeyFile {
        /// `read` or `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The key file holds no key.
    #[error(
        "the key file {} holds no cookie key, which is one line of 128 hexadecimal digits; name \
         another file with --key-file, or delete this one to get a new key (that signs no user out)",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The SQLite file cannot be used.
    #[error("{0} (flag --registry)")]
    Sqlite(#[from] SqliteError),
    /// The Redis server cannot be used.
    #[error("{0} (flag --registry)")]
    Redis(#[from] RedisConnectError),
    /// The server stopped with an error.
    #[error("the server stopped: {0}; start it again")]
    Stopped(io::Error),
}
