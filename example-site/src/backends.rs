//! Registries that the site can use for its sessions.

use std::{path::PathBuf, str::FromStr};

use session_expire::{Limit, MemoryRegistry, RedisRegistry, SessionExpireBuilder, SqliteRegistry};

use crate::error::SiteError;

/// A registry, as the flag `--registry` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryKind {
    /// In this process; a restart signs all users out.
    Memory,
    /// In this SQLite file, for the processes of one host.
    Sqlite(PathBuf),
    /// On the Redis server at this URL, for any number of processes.
    Redis(String),
}

impl FromStr for RegistryKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("redis", _)) => Ok(Self::Redis(text.to_owned())),
            _ => Err("write memory, sqlite:PATH or redis://HOST:PORT/DB"),
        }
    }
}

impl RegistryKind {
    /// Opens the registry, which keeps `log_limit` ended sessions of each user, for `builder`.
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
    fn registry_is_read_as_documented() {
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
