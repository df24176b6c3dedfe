//! Rules that `build` checks: pure functions of a policy and of the builder's options.

use std::{fmt, time::Duration};

use actix_web::cookie::SameSite;

use super::{fault::Fault, words};
use crate::{
    policy::{Policy, at_end::AtEnd, limit::Limit},
    time::{hours, seconds},
};

/// Shortest time that a user must have to extend the session (WCAG 2.2.1).
const MIN_WARNING: Duration = seconds(20);

/// Time limit above which users need no extension (WCAG 2.2.1).
const LONG: Duration = hours(20);

/// Smallest ratio of the absolute timeout to the idle timeout with which users can extend the
/// session ten times.
const EXTENSIONS: u32 = 11;

/// Rule of a requirement for the configuration. `Display` writes the text of the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The idle timeout is at most this long.
    IdleAtMost(Duration),
    /// The absolute timeout is at most this long.
    AbsoluteAtMost(Duration),
    /// There is an idle timeout.
    HasIdle,
    /// There is an absolute timeout.
    HasAbsolute,
    /// The absolute timeout is longer than 20 hours, `never`, or declared essential.
    LongOrEssential,
    /// Users are warned in time, or need no extension of the idle timeout.
    Warned,
    /// Users can extend the session ten times, or need no extension of the idle timeout.
    Extensible,
    /// Pages leave when the session ends: `at_end` is not `lock`.
    LeavesAtEnd,
    /// Cookies are `Secure`.
    SecureCookies,
    /// If cookies are `Secure`, their names start with `__Host-` or `__Secure-`.
    PrefixedCookies,
    /// The names of cookies start with `__Host-`.
    HostCookies,
    /// `SameSite` of cookies is `Lax` or `Strict`.
    SameSite,
    /// Allowed origins use HTTPS.
    SecureOrigins,
}

/// Policy of the application and options of the builder that rules read.
#[derive(Debug)]
pub(crate) struct BuilderFacts<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) secure: bool,
    pub(crate) cookie_names: [&'a str; 2],
    pub(crate) same_site: SameSite,
    pub(crate) allowed_origins: &'a [String],
    /// `true` if `cookie_domain` or `cookie_path` is set.
    pub(crate) has_cookie_scope: bool,
}

impl Rule {
    /// Returns the policy key or the option that names the rule in a deviation.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::IdleAtMost(_) | Self::HasIdle | Self::Extensible => "idle",
            Self::AbsoluteAtMost(_) | Self::HasAbsolute => "absolute",
            Self::LongOrEssential => "absolute_is_essential",
            Self::Warned => "warn",
            Self::LeavesAtEnd => "at_end",
            Self::SecureCookies => "plain_http",
            Self::PrefixedCookies | Self::HostCookies => "cookie_names",
            Self::SameSite => "cookie_same_site",
            Self::SecureOrigins => "allowed_origins",
        }
    }

    /// Returns `true` if the rule reads a policy, and `false` if it reads the builder's options.
    pub(super) fn reads_policy(self) -> bool {
        !self.keys().is_empty()
    }

    /// Returns `true` if the rule reads a timeout.
    pub(super) fn reads_timeouts(self) -> bool {
        self.keys().iter().any(|key| ["idle", "absolute"].contains(key))
    }

    /// Returns the keys of a policy that the rule reads.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::IdleAtMost(_) | Self::HasIdle => &["idle"],
            Self::AbsoluteAtMost(_) | Self::HasAbsolute => &["absolute"],
            Self::LongOrEssential => &["absolute", "absolute_is_essential"],
            Self::Warned => &["idle", "absolute", "warn"],
            Self::Extensible => &["idle", "absolute"],
            Self::LeavesAtEnd => &["at_end"],
            _ => &[],
        }
    }

    /// Checks a policy.
    pub(super) fn check_policy(self, policy: &Policy) -> Vec<Fault> {
        let has = |key, limit: Limit<Duration>| match limit {
            Limit::Off => vec![Fault::new(key, "never", "is no limit, but one is required")],
            Limit::At(_) => vec![],
        };
        match self {
            Self::IdleAtMost(most) => at_most("idle", policy.idle, most),
            Self::AbsoluteAtMost(most) => at_most("absolute", policy.absolute, most),
            Self::HasIdle => has("idle", policy.idle),
            Self::HasAbsolute => has("absolute", policy.absolute),
            Self::LongOrEssential => check_essential(policy),
            Self::Warned => {
                short_idle(policy).and_then(|_| check_warning(policy)).into_iter().collect()
            }
            Self::Extensible => {
                let idle = short_idle(policy);
                idle.and_then(|idle| check_extensions(idle, policy.absolute)).into_iter().collect()
            }
            Self::LeavesAtEnd if policy.at_end == AtEnd::Lock => {
                let text =
                    "keeps the content of the page in the browser when the session has ended";
                vec![Fault::new("at_end", policy.at_end.as_str(), text)]
            }
            _ => vec![],
        }
    }

    /// Checks the options of the builder.
    pub(super) fn check_builder(self, facts: &BuilderFacts<'_>) -> Vec<Fault> {
        match self {
            Self::SecureCookies if !facts.secure => {
                vec![Fault::new("plain_http", "true", "sends cookies that are not `Secure`")]
            }
            // Browsers refuse a prefix without `Secure`.
            Self::PrefixedCookies if facts.secure => check_names(facts, &["__Host-", "__Secure-"]),
            Self::HostCookies => check_names(facts, &["__Host-"]),
            Self::SameSite if facts.same_site == SameSite::None => {
                vec![Fault::new("cookie_same_site", "None", "is neither `Lax` nor `Strict`")]
            }
            Self::SecureOrigins => check_origins(facts),
            _ => vec![],
        }
    }
}

fn at_most(key: &'static str, limit: Limit<Duration>, most: Duration) -> Vec<Fault> {
    match limit {
        Limit::At(limit) if limit <= most => vec![],
        limit => {
            let text = format!("is longer than {}", words::duration(most));
            vec![Fault::new(key, words::limit(limit), text)]
        }
    }
}

fn check_essential(policy: &Policy) -> Vec<Fault> {
    let reason = policy.absolute_is_essential.as_deref().unwrap_or_default();
    match policy.absolute {
        Limit::At(absolute) if absolute <= LONG && reason.trim().is_empty() => {
            let text = "is neither longer than 20h nor declared essential";
            vec![Fault::new("absolute", words::duration(absolute), text)]
        }
        _ => vec![],
    }
}

/// Returns the idle timeout if users must be able to extend it.
fn short_idle(policy: &Policy) -> Option<Duration> {
    policy.idle.at().filter(|idle| *idle <= LONG)
}

fn check_warning(policy: &Policy) -> Option<Fault> {
    let warning = policy.warning();
    if warning.is_some_and(|warning| warning >= MIN_WARNING) {
        return None;
    }
    Some(Fault::new("warn", words::limit(warning.into()), "is shorter than 20s"))
}

fn check_extensions(idle: Duration, absolute: Limit<Duration>) -> Option<Fault> {
    let least = idle.saturating_mul(EXTENSIONS);
    let absolute = absolute.at().filter(|absolute| *absolute < least)?;
    let text = format!(
        "is shorter than {}, which is {EXTENSIONS} times `idle`: users can extend the session less \
         than ten times",
        words::duration(least)
    );
    Some(Fault::new("absolute", words::duration(absolute), text))
}

fn check_names(facts: &BuilderFacts<'_>, prefixes: &[&str]) -> Vec<Fault> {
    let has_prefix = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let expected = prefixes.join("` or `");
    let fault = |name: &&str| {
        Fault::new("cookie_names", *name, format!("does not start with `{expected}`"))
    };
    facts.cookie_names.iter().filter(|name| !has_prefix(name)).map(fault).collect()
}

fn check_origins(facts: &BuilderFacts<'_>) -> Vec<Fault> {
    let is_secure = |origin: &str| {
        origin.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
    };
    let origins = facts.allowed_origins.iter().filter(|origin| !is_secure(origin));
    origins.map(|origin| Fault::new("allowed_origins", origin, "does not use https")).collect()
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdleAtMost(most) => write!(f, "`idle` is at most {}", words::duration(*most)),
            Self::AbsoluteAtMost(most) => {
                write!(f, "`absolute` is at most {}", words::duration(*most))
            }
            Self::HasIdle => f.write_str("`idle` is not `never`"),
            Self::HasAbsolute => f.write_str("`absolute` is not `never`"),
            Self::LongOrEssential => f.write_str(
                "`absolute` is `never` or longer than 20h, or `absolute_is_essential` is set",
            ),
            Self::Warned => f.write_str("`warn` is at least 20s, or `idle` is longer than 20h"),
            Self::Extensible => {
                f.write_str("`absolute` is at least 11 times `idle`, or `idle` is longer than 20h")
            }
            Self::LeavesAtEnd => f.write_str("`at_end` is `leave`"),
            Self::SecureCookies => f.write_str("`plain_http` is `false`"),
            Self::PrefixedCookies => {
                f.write_str("`cookie_names` start with `__Host-` or `__Secure-`")
            }
            Self::HostCookies => f.write_str("`cookie_names` start with `__Host-`"),
            Self::SameSite => f.write_str("`cookie_same_site` is `Lax` or `Strict`"),
            Self::SecureOrigins => f.write_str("`allowed_origins` use https"),
        }
    }
}
