//! Command-line flags and settings.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use actix_web::cookie::Key;
use clap::{ArgAction, Parser};
use session_expire::{
    Limit, Overflow, Policy, clock::ManualClock, compliance::Standard, hours, minutes,
    request::TrustedProxy, sign_out::SiteData,
};

use crate::{
    backends::RegistryKind,
    error::SiteError,
    flag_values::{duration, expired_url, log_limit, overflow, session_limit, site_data, switch},
    key_file,
    message_rate::MessageRate,
    redis_servers::Password,
};

/// Default number of ended sessions that the registry keeps per user.
const LOG_LIMIT: u32 = 20;

/// Example site of session-expire
///
/// Durations are written 90s, 10m or 1h30m; "never" turns a limit off.
#[derive(Debug, Clone, Parser)]
// The error for a value such as -1 then names the flag.
#[command(version, after_help = "RUST_LOG sets the log levels [default: info]", mut_args(|arg| arg.allow_negative_numbers(true)))]
pub struct Flags {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, env = "SESSION_EXPIRE_BIND", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,

    /// Sign out after this long without activity
    #[arg(
        long,
        env = "SESSION_EXPIRE_IDLE",
        default_value = "10m",
        value_parser = duration
    )]
    pub idle: Limit<Duration>,

    /// Sign out this long after login, regardless of activity
    #[arg(
        long,
        env = "SESSION_EXPIRE_ABSOLUTE",
        default_value = "8h",
        value_parser = duration
    )]
    pub absolute: Limit<Duration>,

    /// Warn this long before the session ends [default: 2m, or half of a shorter limit]
    #[arg(long, env = "SESSION_EXPIRE_WARN", value_parser = duration)]
    pub warn: Option<Limit<Duration>>,

    /// Idle timeout of /editor [default: 1h]
    #[arg(
        long,
        env = "SESSION_EXPIRE_EDITOR_IDLE",
        value_parser = duration
    )]
    pub editor_idle: Option<Limit<Duration>>,

    /// Idle timeout of /vault [default: 1m]
    #[arg(
        long,
        env = "SESSION_EXPIRE_VAULT_IDLE",
        value_parser = duration
    )]
    pub vault_idle: Option<Limit<Duration>>,

    /// Idle timeout of /admin/ [default: 2m]
    #[arg(
        long,
        env = "SESSION_EXPIRE_ADMIN_IDLE",
        value_parser = duration
    )]
    pub admin_idle: Option<Limit<Duration>>,

    /// Time after which /settings, and the end of a session on /devices, ask for the password again
    #[arg(
        long,
        env = "SESSION_EXPIRE_SETTINGS_FRESH",
        default_value = "10m",
        value_parser = duration
    )]
    pub settings_fresh: Limit<Duration>,

    /// Sessions per user; 0 or "unlimited" sets no limit
    #[arg(
        long,
        env = "SESSION_EXPIRE_MAX_SESSIONS",
        default_value = "3",
        value_parser = session_limit
    )]
    pub max_sessions: Limit<u32>,

    /// At the session limit, end the oldest session (evict), end the least recently used session
    /// (least-recent), or reject the new login (refuse)
    #[arg(long, env = "SESSION_EXPIRE_OVERFLOW", default_value = "evict", value_parser = overflow)]
    pub overflow: Overflow,

    /// Ended sessions to keep per user; "unlimited" keeps all
    #[arg(
        long,
        env = "SESSION_EXPIRE_LOG_LIMIT",
        default_value = "20",
        value_parser = log_limit
    )]
    pub log_limit: Limit<u32>,

    /// Standard that all policies must meet; otherwise the site does not start: asvs-l1, asvs-l2,
    /// asvs-l3, nist-aal1, nist-aal2, nist-aal3, pci-dss-4, psd2, hipaa or wcag-2.2
    #[arg(long, env = "SESSION_EXPIRE_COMPLY", value_delimiter = ',', value_name = "STANDARD")]
    pub comply: Vec<Standard>,

    /// Whether open pages leave at once when their session ends elsewhere: on or off
    #[arg(
        long,
        env = "SESSION_EXPIRE_LIVE",
        default_value = "on",
        value_name = "SWITCH",
        action = ArgAction::Set,
        value_parser = switch
    )]
    pub live: bool,

    /// Page for users whose session has ended, such as /session-ended, which shows the reason
    /// [default: the login page]
    #[arg(
        long,
        env = "SESSION_EXPIRE_EXPIRED_URL",
        value_name = "PATH",
        value_parser = expired_url
    )]
    pub expired_url: Option<String>,

    /// Data that the browser deletes at a sign-out: storage, cache or cookies. It has an effect
    /// only on https and on localhost
    #[arg(
        long,
        env = "SESSION_EXPIRE_CLEAR_SITE_DATA",
        value_delimiter = ',',
        value_name = "DATA",
        value_parser = site_data
    )]
    pub clear_site_data: Vec<SiteData>,

    /// Proxy whose X-Forwarded-For is trusted: an address, or a network such as 10.0.0.0/8
    #[arg(long, env = "SESSION_EXPIRE_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<TrustedProxy>,

    /// Where to store sessions: memory, sqlite:PATH, redis://USER:PASSWORD@HOST:PORT/DB,
    /// redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT for a Redis Cluster,
    /// redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/DB for servers behind Sentinels, or
    /// rediss… for TLS. The user and the password are those of the servers
    #[arg(
        long,
        env = "SESSION_EXPIRE_REGISTRY",
        default_value = "sqlite:example-site.sqlite",
        hide_env_values = true
    )]
    pub registry: RegistryKind,

    /// PEM file with the root certificates for the Redis servers [default: the file in
    /// SSL_CERT_FILE, or those of the operating system]
    #[arg(long, env = "SESSION_EXPIRE_REDIS_CA", value_name = "FILE")]
    pub redis_ca: Option<PathBuf>,

    /// Password of the Sentinels, if they have one
    #[arg(
        long,
        env = "SESSION_EXPIRE_REDIS_SENTINEL_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    pub redis_sentinel_password: Option<Password>,

    /// Removed: the registry stores session data
    #[arg(
        long,
        env = "SESSION_EXPIRE_SESSIONS",
        hide = true,
        num_args = 0..=1,
        default_missing_value = ""
    )]
    pub sessions: Option<String>,

    /// File with the key of the anonymous cookie; created if it is missing
    #[arg(long, env = "SESSION_EXPIRE_KEY_FILE", default_value = "example-site.key")]
    pub key_file: PathBuf,
}

impl Flags {
    /// Returns the settings. Reads the key from its file.
    ///
    /// # Errors
    ///
    /// - Returns [`SiteError::SessionsFlag`] if the flag `--sessions` was given.
    /// - Returns [`SiteError::KeyFile`] if the key file cannot be read or created.
    /// - Returns [`SiteError::NoKey`] if the key file contains no key.
    pub fn into_settings(self) -> Result<Settings, SiteError> {
        if self.sessions.is_some() {
            return Err(SiteError::SessionsFlag);
        }
        Ok(Settings {
            bind: self.bind,
            policy: self.policy(),
            idles: self.page_idles(),
            settings_fresh: self.settings_fresh,
            is_live: self.live,
            chat_rate: MessageRate::default(),
            expired_url: self.expired_url,
            clear_site_data: self.clear_site_data,
            key: key_file::read_or_create(&self.key_file)?,
            registry: self.registry,
            redis_ca: self.redis_ca,
            redis_sentinel_password: self.redis_sentinel_password,
            log_limit: self.log_limit,
            proxies: self.trusted_proxy,
            standards: self.comply,
            clock: None,
        })
    }

    fn policy(&self) -> Policy {
        let mut policy = Policy::new()
            .idle(self.idle)
            .absolute(self.absolute)
            .max_sessions(self.max_sessions)
            .overflow(self.overflow);
        // Without the flag, the library chooses a time that fits the limits.
        policy.warn = self.warn;
        policy
    }

    fn page_idles(&self) -> PageIdles {
        PageIdles { editor: self.editor_idle, vault: self.vault_idle, admin: self.admin_idle }
    }
}

/// Idle timeouts that replace those in the attributes of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageIdles {
    /// For `/editor`.
    pub editor: Option<Limit<Duration>>,
    /// For `/vault`.
    pub vault: Option<Limit<Duration>>,
    /// For `/admin/`.
    pub admin: Option<Limit<Duration>>,
}

/// Settings of a site.
pub struct Settings {
    /// Address to listen on.
    pub bind: SocketAddr,
    /// The application's policy.
    pub policy: Policy,
    /// Idle timeouts of pages.
    pub idles: PageIdles,
    /// Policy key `fresh` of `/settings` and of the handlers that end sessions.
    pub settings_fresh: Limit<Duration>,
    /// `true` if open pages leave at once when their session ends elsewhere.
    pub is_live: bool,
    /// Rate of the chat messages of a user.
    pub chat_rate: MessageRate,
    /// Page for users whose session has ended; `None` for the login page.
    pub expired_url: Option<String>,
    /// Data that the browser deletes at a sign-out.
    pub clear_site_data: Vec<SiteData>,
    /// Key that encrypts the cookie of anonymous visitors.
    pub key: Key,
    /// Registry to store sessions in.
    pub registry: RegistryKind,
    /// Root certificates for Redis servers with TLS; `None` for those of the operating system.
    pub redis_ca: Option<PathBuf>,
    /// Password of the Sentinels; `None` if they have none.
    pub redis_sentinel_password: Option<Password>,
    /// Number of ended sessions to keep per user.
    pub log_limit: Limit<u32>,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub proxies: Vec<TrustedProxy>,
    /// Standards that all policies must meet.
    pub standards: Vec<Standard>,
    /// Clock of a test; `None` for the system clock.
    pub clock: Option<ManualClock>,
}

impl Default for Settings {
    /// Returns settings with the default policy, a free port on localhost, a new key and an
    /// in-memory registry.
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            policy: Policy::new().idle(minutes(10)).absolute(hours(8)).max_sessions(3),
            idles: PageIdles::default(),
            settings_fresh: Limit::At(minutes(10)),
            is_live: true,
            chat_rate: MessageRate::default(),
            expired_url: None,
            clear_site_data: vec![],
            key: Key::generate(),
            registry: RegistryKind::Memory,
            redis_ca: None,
            redis_sentinel_password: None,
            log_limit: Limit::At(LOG_LIMIT),
            proxies: vec![],
            standards: vec![],
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
        assert_eq!(flags.settings_fresh, Limit::At(minutes(10)));
        assert!(flags.live);
        assert_eq!((flags.expired_url, flags.clear_site_data), (None, vec![]));
        assert_eq!(flags.registry, RegistryKind::Sqlite("example-site.sqlite".into()));
        assert_eq!((flags.redis_ca, flags.redis_sentinel_password), (None, None));
        assert_eq!(flags.sessions, None);
    }

    #[test]
    fn duration_without_unit_is_rejected() {
        let error = Flags::try_parse_from(["example-site", "--vault-idle", "60"]).unwrap_err();
        assert!(error.to_string().contains("a number lacks its unit"), "{error}");
    }

    #[test]
    fn negative_value_is_rejected_by_name_of_flag() {
        for (flag, value) in [
            ("--max-sessions", "-1"),
            ("--log-limit", "-1"),
            ("--overflow", "-1"),
            ("--idle", "-5"),
            ("--absolute", "-1"),
            ("--warn", "-1"),
            ("--editor-idle", "-1"),
            ("--vault-idle", "-1"),
            ("--admin-idle", "-1.5"),
            ("--settings-fresh", "-1"),
            ("--live", "-1"),
            ("--bind", "-1"),
            ("--registry", "-1"),
            ("--trusted-proxy", "-1"),
        ] {
            let error = Flags::try_parse_from(["example-site", flag, value]).unwrap_err();
            let expected = format!("invalid value '{value}' for '{flag} ");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }

    #[test]
    fn flag_is_no_value_of_the_flag_before_it() {
        for words in [["--key-file", "--registry=memory"], ["--idle", "--absolute=5m"]] {
            let error = Flags::try_parse_from(["example-site"].iter().chain(&words)).unwrap_err();
            assert!(error.to_string().contains("a value is required"), "{error}");
        }
    }

    #[test]
    fn redis_url_with_password_is_no_part_of_messages() {
        for url in [
            "rediss://u:s3cret@h:1/2",
            "redi://u:s3cret@h",
            "redis:u:s3cret@h",
            "redis+cluster://u:s3cret@h,i",
            "redis+sentinel://u:s3cret@h/",
        ] {
            let words = ["example-site", "--redis-sentinel-password", "s3cret", "--registry", url];
            let flags = Flags::try_parse_from(words).unwrap();
            assert_eq!(flags.registry, RegistryKind::Redis(url.to_owned()));
            assert!(!format!("{flags:?}").contains("s3cret"), "{flags:?}");
        }
    }

    #[test]
    fn removed_sessions_flag_is_explained() {
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
            ("--comply", "asvs-l2,wcag-2.2", true),
            ("--comply", "asvs", false),
            ("--live", "on", true),
            ("--live", "off", true),
            ("--live", "maybe", false),
            ("--expired-url", "/session-ended", true),
            ("--expired-url", "//evil.example", false),
            ("--expired-url", "session-ended", false),
            ("--clear-site-data", "storage,cache,cookies", true),
            ("--clear-site-data", "all", false),
        ] {
            let given = format!("{flag}={value}");
            assert_eq!(Flags::try_parse_from(["example-site", &given]).is_ok(), fine, "{given}");
        }
        let none = Flags::try_parse_from(["example-site", "--max-sessions=0"]).unwrap();
        assert_eq!(none.max_sessions, Limit::Off);
    }
}
