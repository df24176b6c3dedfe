//! The flags of the command line, and the settings they become.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use actix_web::cookie::Key;
use clap::Parser;
use session_expire::{Limit, ManualClock, Overflow, Policy, Proxy, hours, limit, minutes};

use crate::{
    error::SiteError,
    key_file,
    stores::{RegistryKind, SessionsKind},
};

/// The example site of session-expire.
///
/// Durations are written like 90s, 10m or 1h30m; "never" switches a limit off.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Flags {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, env = "SESSION_EXPIRE_BIND", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,

    /// Sign out after this long without activity
    #[arg(long, env = "SESSION_EXPIRE_IDLE", default_value = "10m", value_parser = idle)]
    pub idle: Limit<Duration>,

    /// Sign out this long after signing in, however active
    #[arg(long, env = "SESSION_EXPIRE_ABSOLUTE", default_value = "8h", value_parser = absolute)]
    pub absolute: Limit<Duration>,

    /// Warn this long before the end [default: 2m, or half of a shorter limit]
    #[arg(long, env = "SESSION_EXPIRE_WARN", value_parser = warn)]
    pub warn: Option<Limit<Duration>>,

    /// The idle limit of /editor [default: 1h]
    #[arg(long, env = "SESSION_EXPIRE_EDITOR_IDLE", value_parser = idle)]
    pub editor_idle: Option<Limit<Duration>>,

    /// The idle limit of /vault [default: 1m]
    #[arg(long, env = "SESSION_EXPIRE_VAULT_IDLE", value_parser = idle)]
    pub vault_idle: Option<Limit<Duration>>,

    /// The idle limit of /admin/ [default: 2m]
    #[arg(long, env = "SESSION_EXPIRE_ADMIN_IDLE", value_parser = idle)]
    pub admin_idle: Option<Limit<Duration>>,

    /// How many sessions a user may have; 0 or "unlimited" for any number
    #[arg(long, env = "SESSION_EXPIRE_MAX_SESSIONS", default_value = "3", value_parser = count)]
    pub max_sessions: Limit<u32>,

    /// Who yields when there are too many: evict (the oldest login), least-recent or refuse
    #[arg(long, env = "SESSION_EXPIRE_OVERFLOW", default_value = "evict", value_parser = overflow)]
    pub overflow: Overflow,

    /// How many ended sessions of a user are kept in the log; "unlimited" for all
    #[arg(long, env = "SESSION_EXPIRE_LOG_LIMIT", default_value = "unlimited", value_parser = log_limit)]
    pub log_limit: Limit<u32>,

    /// A peer whose X-Forwarded-For is believed: an address or a network such as 10.0.0.0/8
    #[arg(long, env = "SESSION_EXPIRE_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<Proxy>,

    /// Where logins are recorded: memory, sqlite:PATH or redis://HOST:PORT/DB
    #[arg(
        long,
        env = "SESSION_EXPIRE_REGISTRY",
        default_value = "sqlite:example-site.sqlite",
        hide_env_values = true
    )]
    pub registry: RegistryKind,

    /// Where actix-session keeps what sessions hold: cookie or redis://HOST:PORT/DB
    #[arg(long, env = "SESSION_EXPIRE_SESSIONS", default_value = "cookie", hide_env_values = true)]
    pub sessions: SessionsKind,

    /// The cookie key; created if the file is missing
    #[arg(long, env = "SESSION_EXPIRE_KEY_FILE", default_value = "example-site.key")]
    pub key_file: PathBuf,
}

impl Flags {
    /// The settings, with the key read from its file.
    ///
    /// # Errors
    ///
    /// [`SiteError::KeyFile`] or [`SiteError::NoKey`].
    pub fn into_settings(self) -> Result<Settings, SiteError> {
        let mut policy = Policy::new()
            .idle(self.idle)
            .absolute(self.absolute)
            .max_sessions(self.max_sessions)
            .overflow(self.overflow);
        // Without the flag the library finds a warning time that fits the limits.
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
            sessions: self.sessions,
            log_limit: self.log_limit,
            proxies: self.trusted_proxy,
            clock: None,
        })
    }
}

fn idle(text: &str) -> Result<Limit<Duration>, session_expire::ConfigError> {
    limit("idle", text)
}

fn absolute(text: &str) -> Result<Limit<Duration>, session_expire::ConfigError> {
    limit("absolute", text)
}

fn warn(text: &str) -> Result<Limit<Duration>, session_expire::ConfigError> {
    limit("warn", text)
}

/// For sessions, zero means any number, as in the library.
fn count(text: &str) -> Result<Limit<u32>, &'static str> {
    log_limit(text).map(|limit| limit.at().map_or(Limit::Off, Limit::from))
}

/// For the log, zero means that nothing is kept.
fn log_limit(text: &str) -> Result<Limit<u32>, &'static str> {
    match text {
        "unlimited" => Ok(Limit::Off),
        _ => text.parse().map(Limit::At).map_err(|_| "write a number, such as 3, or unlimited"),
    }
}

fn overflow(text: &str) -> Result<Overflow, &'static str> {
    text.parse().map_err(|_| "write evict, least-recent or refuse")
}

/// Idle limits in the place of those that the pages name in their attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageIdles {
    /// For `/editor`.
    pub editor: Option<Limit<Duration>>,
    /// For `/vault`.
    pub vault: Option<Limit<Duration>>,
    /// For `/admin/`.
    pub admin: Option<Limit<Duration>>,
}

/// Everything that makes one site different from another.
pub struct Settings {
    /// Where to listen.
    pub bind: SocketAddr,
    /// The application's policy.
    pub policy: Policy,
    /// The pages with limits of their own.
    pub idles: PageIdles,
    /// What cookies are encrypted with.
    pub key: Key,
    /// Where logins are recorded.
    pub registry: RegistryKind,
    /// Where actix-session keeps what sessions hold.
    pub sessions: SessionsKind,
    /// How many ended sessions of a user are kept in the log.
    pub log_limit: Limit<u32>,
    /// The peers whose `X-Forwarded-For` is believed.
    pub proxies: Vec<Proxy>,
    /// A clock to turn, for tests; without one it is the machine's.
    pub clock: Option<ManualClock>,
}

impl Default for Settings {
    /// The policy of the flags' defaults, a free port of this machine, a key of its own, and logins in
    /// memory.
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            policy: Policy::new().idle(minutes(10)).absolute(hours(8)).max_sessions(3),
            idles: PageIdles::default(),
            key: Key::generate(),
            registry: RegistryKind::Memory,
            sessions: SessionsKind::Cookie,
            log_limit: Limit::Off,
            proxies: vec![],
            clock: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_as_they_are_documented() {
        let flags = Flags::try_parse_from(["example-site"]).unwrap();
        assert_eq!(flags.bind, SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!(flags.idle, Limit::At(minutes(10)));
        assert_eq!(flags.absolute, Limit::At(hours(8)));
        assert_eq!((flags.max_sessions, flags.overflow), (Limit::At(3), Overflow::Evict));
        assert_eq!(flags.log_limit, Limit::Off);
        assert_eq!(flags.warn, None);
        assert_eq!(flags.registry, RegistryKind::Sqlite("example-site.sqlite".into()));
        assert_eq!(flags.sessions, SessionsKind::Cookie);
    }

    #[test]
    fn a_wrong_duration_is_refused_with_the_cure() {
        let error = Flags::try_parse_from(["example-site", "--vault-idle", "60"]).unwrap_err();
        assert!(error.to_string().contains("a number lacks its unit"), "{error}");
    }

    #[test]
    fn limits_of_number_are_read_in_words_and_figures() {
        for (flag, value, fine) in [
            ("--max-sessions", "0", true),
            ("--max-sessions", "unlimited", true),
            ("--max-sessions", "-1", false),
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
