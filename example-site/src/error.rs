//! Why the site does not start.

use std::{io, net::SocketAddr, path::PathBuf};

use session_expire::{ConfigError, RedisConnectError, SqliteError};

/// What keeps the site from starting, and the cure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// The policy contradicts itself.
    #[error("{0} (flags --idle, --absolute and --warn)")]
    Policy(#[from] ConfigError),
    /// The address cannot be had.
    #[error(
        "cannot listen on {address}: {source}; stop whatever uses it, or choose another address \
         with --bind (port 0 takes a free one)"
    )]
    Bind {
        /// The address that was wanted.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The key file cannot be read or written.
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
        /// What the system says.
        source: io::Error,
    },
    /// The key file holds something else.
    #[error(
        "the key file {} holds no cookie key, which is one line of 128 hexadecimal digits; name \
         another file with --key-file, or delete this one to get a new key (that signs everyone out)",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The file of logins cannot be used.
    #[error("{0} (flag --registry)")]
    Sqlite(#[from] SqliteError),
    /// The Redis server of logins cannot be used.
    #[error("{0} (flag --registry)")]
    Redis(#[from] RedisConnectError),
    /// The Redis server of actix-session cannot be used.
    #[error("cannot reach Redis: {0}; is it running at the address that --sessions names?")]
    Sessions(Box<dyn std::error::Error + Send + Sync>),
    /// The server stopped by itself.
    #[error("the server stopped: {0}; start it again")]
    Stopped(io::Error),
}
