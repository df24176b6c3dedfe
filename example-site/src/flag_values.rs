//! Parsers of the values of flags.

use std::time::Duration;

use session_expire::{
    Limit, Overflow, error::DurationError, request::local_path, sign_out::SiteData,
};

pub(crate) fn duration(text: &str) -> Result<Limit<Duration>, String> {
    text.parse().map_err(|problem: DurationError| {
        format!("{problem}; write a duration such as 90s, 10m, 1h30m or never")
    })
}

const EXPECTED_NUMBER: &str = "expected a number, such as 3, or unlimited";

/// Parses a session limit. Zero sets no limit, as in the library.
pub(crate) fn session_limit(text: &str) -> Result<Limit<u32>, &'static str> {
    text.parse().map_err(|_| EXPECTED_NUMBER)
}

/// Parses the number of ended sessions to keep. Zero keeps none.
pub(crate) fn log_limit(text: &str) -> Result<Limit<u32>, &'static str> {
    match text {
        "unlimited" => Ok(Limit::Off),
        _ => text.parse().map(Limit::At).map_err(|_| EXPECTED_NUMBER),
    }
}

/// Parses a switch. Returns `true` for `on`.
pub(crate) fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off"),
    }
}

pub(crate) fn overflow(text: &str) -> Result<Overflow, &'static str> {
    text.parse().map_err(|_| "expected evict, least-recent or refuse")
}

pub(crate) fn expired_url(text: &str) -> Result<String, &'static str> {
    local_path(text)
        .map(str::to_owned)
        .ok_or("expected a path of this site, such as /session-ended")
}

pub(crate) fn site_data(text: &str) -> Result<SiteData, &'static str> {
    match text {
        "storage" => Ok(SiteData::Storage),
        "cache" => Ok(SiteData::Cache),
        "cookies" => Ok(SiteData::Cookies),
        _ => Err("expected storage, cache or cookies"),
    }
}
