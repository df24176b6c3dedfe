//! Contradictions in a policy.

use std::{sync::Arc, time::Duration};

use crate::{
    error::ConfigError,
    policy::{limit::Limit, local_path::local_path},
    time::format_duration,
};

/// Returns the warning time for a shortest limit.
pub(super) fn warn_in_time(wanted: Duration, shortest: Duration) -> Duration {
    if wanted < shortest { wanted } else { shortest / 2 }
}

/// Returns the first contradiction.
pub(super) fn check(
    idle: Option<Limit<Duration>>,
    absolute: Option<Limit<Duration>>,
    warn: Option<Limit<Duration>>,
    login_url: Option<&Arc<str>>,
) -> Result<(), ConfigError> {
    for (key, limit) in [("idle", idle), ("absolute", absolute)] {
        let Some(Limit::At(limit)) = limit else { continue };
        if limit < Duration::from_millis(1) {
            return Err(ConfigError::Zero { key });
        }
        match warn {
            Some(Limit::At(warn)) if warn >= limit => {
                return Err(ConfigError::WarnTooEarly {
                    warn: format_duration(warn),
                    limit_key: key,
                    limit: format_duration(limit),
                });
            }
            _ => {}
        }
    }
    match login_url {
        Some(url) if local_path(url).is_none() => {
            Err(ConfigError::NotLocal { key: "login_url", value: url.to_string() })
        }
        _ => Ok(()),
    }
}
