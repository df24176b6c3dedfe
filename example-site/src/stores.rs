//! Where logins are recorded, and where actix-session keeps what sessions hold.

use std::{path::PathBuf, str::FromStr, time::Duration};

use actix_session::storage::RedisSessionStore;
use session_expire::{Builder, Limit, MemoryRegistry, RedisRegistry, SqliteRegistry};

use crate::{
    error::SiteError,
    patient::{Patient, within},
};

/// The registries that this site can use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryKind {
    /// In this process; a restart signs everyone out.
    Memory,
    /// In this file, for this process alone.
    Sqlite(PathBuf),
    /// On the Redis server at this URL, for any number of processes.
    Redis(String),
}

impl FromStr for RegistryKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("redis", _)) => Ok(Self::Redis(text.to_owned())),
            _ => Err("write memory, sqlite:PATH or redis://HOST:PORT/DB".to_owned()),
        }
    }
}

impl RegistryKind {
    /// Opens the registry, which keeps this many ended logins of each user, and gives it to `builder`.
    pub(crate) async fn open(
        &self,
        log_limit: Limit<u32>,
        builder: Builder,
    ) -> Result<Builder, SiteError> {
        Ok(match self {
            Self::Memory => builder.registry(MemoryRegistry::new().log_limit(log_limit)),
            Self::Sqlite(path) => {
                builder.registry(SqliteRegistry::open(path)?.log_limit(log_limit))
            }
            Self::Redis(url) => {
                builder.registry(RedisRegistry::connect(url).await?.log_limit(log_limit))
            }
        })
    }
}

/// The session stores that this site can use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionsKind {
    /// In the visitor's cookie, encrypted.
    Cookie,
    /// On the Redis server at this URL.
    Redis(String),
}

impl FromStr for SessionsKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "cookie" => Ok(Self::Cookie),
            Some(("redis", _)) => Ok(Self::Redis(text.to_owned())),
            _ => Err("write cookie or redis://HOST:PORT/DB".to_owned()),
        }
    }
}

/// How long the start waits for the server.
const START: Duration = Duration::from_secs(5);

/// The store on the Redis server at `url`.
pub(crate) async fn on_redis(url: &str) -> Result<Patient<RedisSessionStore>, SiteError> {
    let opened = within(START, RedisSessionStore::new(url)).await.flatten();
    opened.map(Patient).map_err(|source| SiteError::Sessions(source.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_documented() {
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
        assert_eq!("cookie".parse(), Ok(SessionsKind::Cookie));
        assert!("sqlite:a".parse::<SessionsKind>().is_err());
    }
}
