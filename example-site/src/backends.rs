//! Registries of the flag `--registry`.

use std::{path::PathBuf, str::FromStr};

use session_expire::{Limit, MemoryRegistry, RedisRegistry, SessionExpireBuilder, SqliteRegistry};

use crate::error::SiteError;

/// Registry to store sessions in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryKind {
    /// In memory of this process; a restart signs all users out.
    Memory,
    /// In this SQLite file.
    Sqlite(PathBuf),
    /// On the Redis server with this URL, which several processes can share.
    Redis(String),
}

impl FromStr for RegistryKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("redis", _)) => Ok(Self::Redis(text.to_owned())),
            _ => Err("expected memory, sqlite:PATH or redis://HOST:PORT/DB"),
        }
    }
}

impl RegistryKind {
    /// Opens the registry and gives it to `builder`. It keeps `log_limit` ended sessions per user.
    ///
    /// # Errors
    ///
    /// Returns [`SiteError::Sqlite`] or [`SiteError::Redis`] if it cannot be opened.
    pub(crate) async fn open(
        &self,
        log_limit: Limit<u32>,
        builder: SessionExpireBuilder,
    ) -> Result<SessionExpireBuilder, SiteError> {
        Ok(match self {
            Self::Memory => builder.registry(MemoryRegistry::new().history_limit(log_limit)),
            Self::Sqlite(path) => {
                builder.registry(SqliteRegistry::open(path)?.history_limit(log_limit))
            }
            Self::Redis(url) => {
                builder.registry(RedisRegistry::connect(url).await?.history_limit(log_limit))
            }
        })
    }
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
        ] {
            assert_eq!(text.parse(), Ok(kind));
        }
        for text in ["", "sqlite", "sqlite:", "memory:", "postgres://h", "redis"] {
            assert!(text.parse::<RegistryKind>().is_err(), "{text}");
        }
    }
}
