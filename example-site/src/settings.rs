//! Flags of the command line, and the settings that they become.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use actix_web::cookie::Key;
use clap::Parser;
use session_expire::{
    ConfigError, Limit, ManualClock, Overflow, Policy, TrustedProxy, hours, limit, minutes,
};

use crate::{backends::RegistryKind, error::SiteError, key_file};

/// How many ended sessions of a user are kept, unless a flag says otherwise.
const LOG_LIMIT: u32 = 20;

/// The example site of session-expire.
///
/// Write durations like 90s, 10m or 1h30m; "never" turns a limit off.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Flags {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, env = "SESSION_EXPIRE_BIND", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,

    /// Sign out after this long without activity
    #[arg(
        long,
        env = "SESSION_EXPIRE_IDLE",
        default_value = "10m",
        value_parser = idle,
        allow_hyphen_values = true
    )]
    pub idle: Limit<Duration>,

    /// Sign out this long after signing in, however active
    #[arg(
        long,
        env = "SESSION_EXPIRE_ABSOLUTE",
        default_value = "8h",
        value_parser = absolute,
        allow_hyphen_values = true
    )]
    pub absolute: Limit<Duration>,

    /// Warn this long before the end [default: 2m, or half of a shorter limit]
    #[arg(long, env = "SESSION_EXPIRE_WARN", value_parser = warn, allow_hyphen_values = true)]
    pub warn: Option<Limit<Duration>>,

    /// Idle timeout of /editor [default: 1h]
    #[arg(
        long,
        env = "SESSION_EXPIRE_EDITOR_IDLE",
        value_parser = idle,
        allow_hyphen_values = true
    )]
    pub editor_idle: Option<Limit<Duration>>,

    /// Idle timeout of /vault [default: 1m]
    #[arg(
        long,
        env = "SESSION_EXPIRE_VAULT_IDLE",
        value_parser = idle,
        allow_hyphen_values = true
    )]
    pub vault_idle: Option<Limit<Duration>>,

    /// Idle timeout of /admin/ [default: 2m]
    #[arg(
        long,
        env = "SESSION_EXPIRE_ADMIN_IDLE",
        value_parser = idle,
        allow_hyphen_values = true
    )]
    pub admin_idle: Option<Limit<Duration>>,

    /// How many sessions a user may have; 0 or "unlimited" for any number
    #[arg(
        long,
        env = "SESSION_EXPIRE_MAX_SESSIONS",
        default_value = "3",
        value_parser = count,
        allow_hyphen_values = true
    )]
    pub max_sessions: Limit<u32>,

    /// What gives way to a login over the limit: the oldest login (evict), the session that was idle
    /// for longest (least-recent), or the new login (refuse)
    #[arg(long, env = "SESSION_EXPIRE_OVERFLOW", default_value = "evict", value_parser = overflow)]
    pub overflow: Overflow,

    /// How many ended sessions of a user are kept; "unlimited" for all
    #[arg(
        long,
        env = "SESSION_EXPIRE_LOG_LIMIT",
        default_value = "20",
        value_parser = log_limit,
        allow_hyphen_values = true
    )]
    pub log_limit: Limit<u32>,

    /// A peer whose X-Forwarded-For is believed: an address or a network such as 10.0.0.0/8
    #[arg(long, env = "SESSION_EXPIRE_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<TrustedProxy>,

    /// Where sessions are stored: memory, sqlite:PATH or redis://HOST:PORT/DB
    #[arg(
        long,
        env = "SESSION_EXPIRE_REGISTRY",
        default_value = "sqlite:example-site.sqlite",
        hide_env_values = true
    )]
    pub registry: RegistryKind,

    /// Gone: session data is stored beside the session record
    #[arg(
        long,
        env = "SESSION_EXPIRE_SESSIONS",
        hide = true,
        num_args = 0..=1,
        default_missing_value = ""
    )]
    pub sessions: Option<String>,

    /// Key that seals the cookie of anonymous visitors; created if the file is missing
    #[arg(long, env = "SESSION_EXPIRE_KEY_FILE", default_value = "example-site.key")]
    pub key_file: PathBuf,
}

impl Flags {
    /// Returns the settings, with the key read from its file.
    ///
    /// # Errors
    ///
    /// - [`SiteError::SessionsFlag`] if the flag `--sessions` was given.
    /// - [`SiteError::KeyFile`] or [`SiteError::NoKey`] if the key cannot be read or created.
    pub fn into_settings(self) -> Result<Settings, SiteError> {
        if self.sessions.is_some() {
            return Err(SiteError::SessionsFlag);
        }
        let mut policy = Policy::new()
            .idle(self.idle)
            .absolute(self.absolute)
            .max_sessions(self.max_sessions)
            .overflow(self.overflow);
        // Without the flag the library chooses a warning time that fits the limits.
        policy.warn = self.warn;
        let idles =
            PageIdles { editor: self.editor_idle, vault: self.vault_idle, admin: self.admin_idle };
        let key = key_file::read_or_create(&self.key_file)?;
        Ok(Settings {
            bind: self.bind,
            policy,
            idles,
            key,
            registry: self.registry,
            log_limit: self.log_limit,
            proxies: self.trusted_proxy,
            clock: None,
        })
    }
}

fn idle(text: &str) -> Result<Limit<Duration>, ConfigError> {
    limit("idle", text)
}

fn absolute(text: &str) -> Result<Limit<Duration>, ConfigError> {
    limit("absolute", text)
}

fn warn(text: &str) -> Result<Limit<Duration>, ConfigError> {
    limit("warn", text)
}

/// Zero sessions mean any number, as in the library.
fn count(text: &str) -> Result<Limit<u32>, &'static str> {
    log_limit(text).map(|limit| limit.at().map_or(Limit::Off, Limit::from))
}

/// Zero ended sessions mean that none is kept.
fn log_limit(text: &str) -> Result<Limit<u32>, &'static str> {
    match text {
        "unlimited" => Ok(Limit::Off),
        _ => text.parse().map(Limit::At).map_err(|_| "write a number, such as 3, or unlimited"),
    }
}

fn overflow(text: &str) -> Result<Overflow, &'static str> {
    text.parse().map_err(|_| "write evict, least-recent or refuse")
}

/// Idle timeouts in the place of those in the attributes of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageIdles {
    /// For `/editor`.
    pub editor: Option<Limit<Duration>>,
    /// For `/vault`.
    pub vault: Option<Limit<Duration>>,
    /// For `/admin/`.
    pub admin: Option<Limit<Duration>>,
}

/// Everything that differs between two sites.
pub struct Settings {
    /// Where to listen.
    pub bind: SocketAddr,
    /// The application's policy.
    pub policy: Policy,
    /// Idle timeouts of pages.
    pub idles: PageIdles,
    /// Key that seals the cookie of anonymous visitors.
    pub key: Key,
    /// Where sessions are stored.
    pub registry: RegistryKind,
    /// How many ended sessions of a user are kept.
    pub log_limit: Limit<u32>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub proxies: Vec<TrustedProxy>,
    /// Clock of a test; `None` for the clock of the machine.
    pub clock: Option<ManualClock>,
}

impl Default for Settings {
    /// Returns the default policy of the flags, a free port on localhost, a new key, and a registry in
    /// memory.
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            policy: Policy::new().idle(minutes(10)).absolute(hours(8)).max_sessions(3),
            idles: PageIdles::default(),
            key: Key::generate(),
            registry: RegistryKind::Memory,
            log_limit: Limit::At(LOG_LIMIT),
            proxies: vec![],
            clock: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_as_documented() {
        let flags = Flags::try_parse_from(["example-site"]).unwrap();
        assert_eq!(flags.bind, SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!(flags.idle, Limit::At(minutes(10)));
        assert_eq!(flags.absolute, Limit::At(hours(8)));
        assert_eq!((flags.max_sessions, flags.overflow), (Limit::At(3), Overflow::Evict));
        assert_eq!(flags.log_limit, Limit::At(LOG_LIMIT));
        assert_eq!(flags.warn, None);
        assert_eq!(flags.registry, RegistryKind::Sqlite("example-site.sqlite".into()));
        assert_eq!(flags.sessions, None);
    }

    #[test]
    fn duration_without_unit_is_refused() {
        let error = Flags::try_parse_from(["example-site", "--vault-idle", "60"]).unwrap_err();
        assert!(error.to_string().contains("a number lacks its unit"), "{error}");
    }

    #[test]
    fn negative_value_is_refused_by_the_name_of_the_flag() {
        for (flag, value) in
            [("--max-sessions", "-1"), ("--log-limit", "-1"), ("--idle", "-5s"), ("--warn", "-1m")]
        {
            let error = Flags::try_parse_from(["example-site", flag, value]).unwrap_err();
            let expected = format!("invalid value '{value}' for '{flag} ");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }

    #[test]
    fn sessions_flag_is_refused_in_words() {
        for given in [&["--sessions", "cookie"][..], &["--sessions"], &["--sessions=redis://h"]] {
            let words = ["example-site"].iter().chain(given);
            let error = Flags::try_parse_from(words).unwrap().into_settings().err().unwrap();
            let text = error.to_string();
            assert!(text.starts_with("--sessions") && text.contains("is gone"), "{text}");
        }
    }

    #[test]
    fn flags_accept_what_is_documented() {
        for (flag, value, fine) in [
            ("--max-sessions", "0", true),
            ("--max-sessions", "unlimited", true),
            ("--max-sessions", "many", false),
            ("--overflow", "least-recent", true),
            ("--overflow", "least_recent", true),
            ("--overflow", "explode", false),
            ("--log-limit", "0", true),
            ("--trusted-proxy", "10.0.0.0/8,::1", true),
            ("--trusted-proxy", "localhost", false),
        ] {
            let given = format!("{flag}={value}");
            assert_eq!(Flags::try_parse_from(["example-site", &given]).is_ok(), fine, "{given}");
        }
        let none = Flags::try_parse_from(["example-site", "--max-sessions=0"]).unwrap();
        assert_eq!(none.max_sessions, Limit::Off);
    }
}
