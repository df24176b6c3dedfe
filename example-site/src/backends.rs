//! Registries of the flag `--registry`.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use session_expire::{
    Limit, MemoryRegistry, RedisRegistry, SessionExpireBuilder, SqliteRegistry,
    registry::{
        RedisConnectError,
        redis_rs::{Client, TlsCertificates},
    },
};

use crate::error::SiteError;

/// Registry to store sessions in.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryKind {
    /// In memory of this process; a restart signs all users out.
    Memory,
    /// In this SQLite file.
    Sqlite(PathBuf),
    /// On the Redis server with this URL, which several processes can share.
    Redis(String),
}

impl fmt::Debug for RegistryKind {
    /// Leaves out the URL, because it may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("Memory"),
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Redis(_) => f.write_str("Redis(…)"),
        }
    }
}

impl FromStr for RegistryKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("redis" | "rediss", _)) => Ok(Self::Redis(text.to_owned())),
            // Accepted here, because an error of clap would print the password. The connection then
            // fails with a message without the URL.
            Some((_, rest)) if rest.contains('@') => Ok(Self::Redis(text.to_owned())),
            _ => Err("expected memory, sqlite:PATH, redis://HOST:PORT/DB or rediss://HOST:PORT/DB"),
        }
    }
}

impl RegistryKind {
    /// Opens the registry and gives it to `builder`. It keeps `log_limit` ended sessions per user.
    ///
    /// # Errors
    ///
    /// Returns [`SiteError::Sqlite`] or [`SiteError::Redis`] if it cannot be opened, and
    /// [`SiteError::RedisCa`] if `redis_ca` cannot be used.
    pub(crate) async fn open(
        &self,
        log_limit: Limit<u32>,
        redis_ca: Option<&Path>,
        builder: SessionExpireBuilder,
    ) -> Result<SessionExpireBuilder, SiteError> {
        Ok(match self {
            Self::Memory => builder.registry(MemoryRegistry::new().history_limit(log_limit)),
            Self::Sqlite(path) => {
                builder.registry(SqliteRegistry::open(path)?.history_limit(log_limit))
            }
            Self::Redis(url) => {
                builder.registry(connect(url, redis_ca).await?.history_limit(log_limit))
            }
        })
    }
}

/// Connects to the server at `url`. Its certificate must be valid under `ca`, or else under those
/// of the operating system.
async fn connect(url: &str, ca: Option<&Path>) -> Result<RedisRegistry, SiteError> {
    let mut client = Client::open(url).map_err(|error| RedisConnectError::Url(error.into()))?;
    if let Some(path) = ca {
        let unusable = |source| SiteError::RedisCa { path: path.to_owned(), source };
        let root_cert = Some(fs::read(path).map_err(|error| unusable(error.into()))?);
        let certificates = TlsCertificates { client_tls: None, root_cert };
        client = Client::build_with_tls(client.get_connection_info().clone(), certificates)
            .map_err(|error| unusable(error.into()))?;
    }
    Ok(RedisRegistry::from_client(client).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_kind_is_parsed_as_documented() {
        for (text, kind) in [
            ("memory", RegistryKind::Memory),
            ("sqlite:a:b.db", RegistryKind::Sqlite("a:b.db".into())),
            ("redis://h:1/2", RegistryKind::Redis("redis://h:1/2".into())),
            ("rediss://u:p@h:1/2", RegistryKind::Redis("rediss://u:p@h:1/2".into())),
        ] {
            assert_eq!(text.parse(), Ok(kind));
        }
        for text in ["", "sqlite", "sqlite:", "memory:", "postgres://h", "redis"] {
            assert!(text.parse::<RegistryKind>().is_err(), "{text}");
        }
    }

    #[test]
    fn debug_text_of_url_is_left_out() {
        let kind = RegistryKind::Redis("redis://user:secret@host".into());
        assert_eq!(format!("{kind:?}"), "Redis(…)");
    }
}
