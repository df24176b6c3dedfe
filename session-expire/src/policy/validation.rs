//! Validation of policies and patches.
//!
//! The builder, the policy layers, logins and parsing use it.

use std::{sync::Arc, time::Duration};

use crate::{
    error::ConfigError,
    policy::{PolicyPatch, limit::Limit, local_path::local_path},
    time::format_duration,
};

/// Returns the warning time for the shortest timeout: half of it if `wanted` is not shorter.
pub(super) fn capped_warning(wanted: Duration, shortest: Duration) -> Duration {
    if wanted < shortest { wanted } else { shortest / 2 }
}

/// Validates the options that `patch` sets.
pub(super) fn check_options(patch: &PolicyPatch) -> Result<(), ConfigError> {
    let limits = [("idle", patch.idle), ("absolute", patch.absolute)];
    for (key, limit) in
        limits.into_iter().chain([("fresh", patch.fresh), ("lock_for", patch.lock_for)])
    {
        check_not_zero(key, limit)?;
    }
    for (key, limit) in limits {
        check_warning(patch.warn, key, limit)?;
    }
    check_local_path("login_url", patch.login_url.as_ref())?;
    check_local_path("confirm_url", patch.confirm_url.as_ref())
}

fn check_not_zero(key: &'static str, limit: Option<Limit<Duration>>) -> Result<(), ConfigError> {
    match limit {
        Some(Limit::At(limit)) if limit < Duration::from_millis(1) => {
            Err(ConfigError::Zero { key })
        }
        _ => Ok(()),
    }
}

fn check_warning(
    warn: Option<Limit<Duration>>,
    limit_key: &'static str,
    limit: Option<Limit<Duration>>,
) -> Result<(), ConfigError> {
    match (warn, limit) {
        (Some(Limit::At(warn)), Some(Limit::At(limit))) if warn >= limit => {
            Err(ConfigError::WarnTooEarly {
                warn: format_duration(warn),
                limit_key,
                limit: format_duration(limit),
            })
        }
        _ => Ok(()),
    }
}

fn check_local_path(key: &'static str, url: Option<&Arc<str>>) -> Result<(), ConfigError> {
    match url {
        Some(url) if local_path(url).is_none() => {
            Err(ConfigError::NotLocalPath { key, value: url.to_string() })
        }
        _ => Ok(()),
    }
}
