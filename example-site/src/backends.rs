//! Registries of the flag `--registry`.

use std::{fmt, path::PathBuf, str::FromStr};

use session_expire::{Limit, MemoryRegistry, SessionExpireBuilder, SqliteRegistry};

use crate::{error::SiteError, redis_servers::RedisOptions};

const REDIS_SCHEMES: [&str; 6] =
    ["redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"];

/// Registry to store sessions in.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryKind {
    /// In memory of this process; a restart signs all users out.
    Memory,
    /// In this SQLite file.
    Sqlite(PathBuf),
    /// On the Redis servers at this URL, which several processes can share.
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
            Some((scheme, _)) if REDIS_SCHEMES.contains(&scheme) => {
                Ok(Self::Redis(text.to_owned()))
            }
            // Accepted here, because an error of clap would print the password. The connection then
            // fails with a message without the URL.
            Some((_, rest)) if rest.contains('@') => Ok(Self::Redis(text.to_owned())),
            _ => Err("expected memory, sqlite:PATH, redis://HOST:PORT/DB, \
                 redis+cluster://HOST:PORT,HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/NAME/DB, \
                 or rediss… for TLS"),
        }
    }
}

impl RegistryKind {
    /// Opens the registry and gives it to `builder`. It keeps `log_limit` ended sessions per user.
    ///
    /// # Errors
    ///
    /// Returns [`SiteError::Sqlite`] or [`SiteError::Redis`] if it cannot be opened,
    /// [`SiteError::RedisCa`] if the certificates cannot be used, and [`SiteError::ClusterUrl`] or
    /// [`SiteError::SentinelUrl`] if the URL is incomplete.
    pub(crate) async fn open(
        &self,
        log_limit: Limit<u32>,
        redis: RedisOptions<'_>,
        builder: SessionExpireBuilder,
    ) -> Result<SessionExpireBuilder, SiteError> {
        Ok(match self {
            Self::Memory => builder.registry(MemoryRegistry::new().history_limit(log_limit)),
            Self::Sqlite(path) => {
                builder.registry(SqliteRegistry::open(path)?.history_limit(log_limit))
            }
            Self::Redis(url) => {
                builder.registry(redis.connect(url).await?.history_limit(log_limit))
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
            ("rediss://u:p@h:1/2", RegistryKind::Redis("rediss://u:p@h:1/2".into())),
            ("redis+cluster://h:1,i", RegistryKind::Redis("redis+cluster://h:1,i".into())),
            ("rediss+sentinel://h/n", RegistryKind::Redis("rediss+sentinel://h/n".into())),
        ] {
            assert_eq!(text.parse(), Ok(kind));
        }
        for text in ["", "sqlite", "sqlite:", "memory:", "postgres://h", "redis", "redis+other://h"]
        {
            assert!(text.parse::<RegistryKind>().is_err(), "{text}");
        }
    }

    #[test]
    fn debug_text_of_url_is_left_out() {
        let kind = RegistryKind::Redis("redis://user:secret@host".into());
        assert_eq!(format!("{kind:?}"), "Redis(…)");
    }
}
