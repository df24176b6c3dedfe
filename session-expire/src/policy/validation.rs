//! Validation of policies and patches.
//!
//! The builder, the policy layers, logins and parsing use it.

use std::{sync::Arc, time::Duration};

use crate::{
    error::ConfigError,
    policy::{limit::Limit, local_path::local_path},
    time::format_duration,
};

/// Returns the warning time for the shortest timeout: half of it if `wanted` is not shorter.
pub(super) fn capped_warning(wanted: Duration, shortest: Duration) -> Duration {
    if wanted < shortest { wanted } else { shortest / 2 }
}

/// Validates options. `None` is an option that is not set.
pub(super) fn check_options(
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
            Err(ConfigError::NotLocalPath { key: "login_url", value: url.to_string() })
        }
        _ => Ok(()),
    }
}
