//! Errors of configuration, set-up and registries.
//!
//! Messages state the fact. Sources are available by [`Error::source`](StdError::source).

use std::{error::Error as StdError, fmt};

/// Error for an invalid configuration. Parsing a policy or building the middleware returns it.
///
/// Each message names the option.
///
/// ```
/// use session_expire::{Policy, SessionExpire, hours};
///
/// let error = SessionExpire::builder(Policy::new().warn(hours(1))).build().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`warn` (1h) must be shorter than `idle` (30m)"
/// );
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The value cannot be parsed as a duration.
    #[error(
        "{key}: {value:?} is not a duration: {problem}; write one such as \"90s\", \"10m\", \"1h30m\" or \"never\""
    )]
    #[non_exhaustive]
    Duration {
        /// The option.
        key: &'static str,
        /// The value.
        value: String,
        /// The problem.
        problem: DurationError,
    },
    /// The value is not what the option expects.
    #[error("{key}: {value} is not {expected}")]
    #[non_exhaustive]
    Value {
        /// The option.
        key: &'static str,
        /// The value.
        value: String,
        /// The expected kind of value.
        expected: &'static str,
    },
    /// The warning time is not shorter than a timeout.
    #[error("`warn` ({warn}) must be shorter than `{limit_key}` ({limit})")]
    #[non_exhaustive]
    WarnTooEarly {
        /// The warning time.
        warn: String,
        /// The option that sets the timeout.
        limit_key: &'static str,
        /// The timeout.
        limit: String,
    },
    /// The duration is zero.
    #[error("{key}: a duration of zero is not valid; write \"never\" for no limit")]
    #[non_exhaustive]
    Zero {
        /// The option.
        key: &'static str,
    },
    /// The value is not a local path.
    #[error("{key}: {value:?} is not a local path; write one such as \"/login\"")]
    #[non_exhaustive]
    NotLocalPath {
        /// The option.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// The policy sets `max_sessions`, which the registry does not enforce.
    #[error(
        "max_sessions: the registry enforces no session limit; remove `max_sessions` or use another registry"
    )]
    LimitNotEnforced,
    /// A [deviation](crate::SessionExpireBuilder::deviates_from) must name one requirement.
    #[error(
        "deviates_from: {name:?} is not the name of one requirement; write {}",
        list_names(possible)
    )]
    #[non_exhaustive]
    DeviationName {
        /// The name in the deviation.
        name: String,
        /// Names of the requirements of this section that are checked.
        possible: Vec<String>,
    },
    /// The configuration does not meet a standard that
    /// [`complies_with`](crate::SessionExpireBuilder::complies_with) declares.
    #[error("{}", list_breaches(breaches))]
    #[non_exhaustive]
    NotCompliant {
        /// All breaches.
        breaches: Vec<Breach>,
    },
    /// A translation is invalid.
    #[cfg(feature = "translations")]
    #[cfg_attr(docsrs, doc(cfg(feature = "translations")))]
    #[error(transparent)]
    Translation(#[from] TranslationError),
}

/// Option that does not meet a requirement of a declared standard. Its display is one line:
///
/// ```
/// use session_expire::{Policy, SessionExpire, compliance::Standard, error::ConfigError};
///
/// let built = SessionExpire::builder(Policy::new()).complies_with([Standard::PciDss4]).build();
/// let Err(ConfigError::NotCompliant { breaches, .. }) = built else { panic!("30m is too long") };
/// assert_eq!(breaches[0].to_string(), "`idle` (30m) is longer than 15m (PCI DSS 4.0.1 8.2.8)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("`{key}` ({value}) {fault} ({requirement})")]
#[non_exhaustive]
pub struct Breach {
    /// The option.
    pub key: &'static str,
    /// The value of the option as policies write it: `901s`, `30m`, `never`.
    pub value: String,
    /// The fault, with the limit, such as `is longer than 15m`.
    pub fault: String,
    /// The standard with its section. It ends with `should` for a recommendation.
    pub requirement: String,
}

fn list_names(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(" or ")
}

fn list_breaches(breaches: &[Breach]) -> String {
    let lines: Vec<_> = breaches.iter().map(Breach::to_string).collect();
    format!("declared standard not met: {}", lines.join("; "))
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_sources(self, f)
    }
}

/// Writes an error and its sources. A `main` that returns an error prints the `Debug` output, which
/// must contain the whole message.
pub(crate) fn write_with_sources(error: &dyn StdError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{error}")?;
    let mut source = error.source();
    while let Some(error) = source {
        write!(f, ": {error}")?;
        source = error.source();
    }
    Ok(())
}

/// Error of a dependency, which [`Error::source`](StdError::source) returns.
pub(crate) type Source = Box<dyn StdError + Send + Sync>;

/// Error returned when parsing a duration.
///
/// ```
/// use std::time::Duration;
/// use session_expire::{Limit, error::DurationError};
///
/// assert_eq!("600".parse::<Limit<Duration>>(), Err(DurationError::NoUnit));
/// assert_eq!("30m1h".parse::<Limit<Duration>>(), Err(DurationError::Order));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// A number has no unit, as in `"600"`.
    #[error("a number lacks its unit")]
    NoUnit,
    /// A unit has no number, as in `"m"`.
    #[error("a unit lacks its number")]
    NoNumber,
    /// A unit is not `d`, `h`, `m`, `s` or `ms`.
    #[error("the units are d, h, m, s and ms")]
    UnknownUnit,
    /// Units are repeated or in rising order, as in `"10s1h"`.
    #[error("units must be listed largest first, each at most once")]
    Order,
    /// The duration is zero.
    #[error("it is zero")]
    Zero,
    /// The duration is longer than a hundred years.
    #[error("it is longer than a hundred years")]
    TooLong,
}

/// Error returned when parsing a [`Translation`](crate::page::Translation).
#[cfg(feature = "translations")]
#[cfg_attr(docsrs, doc(cfg(feature = "translations")))]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TranslationError {
    /// The text is not a JSON object of texts.
    #[error("translation is not a JSON object of texts: {problem}")]
    #[non_exhaustive]
    Json {
        /// The problem, with its line.
        problem: String,
    },
    /// `lang` is missing, or is not a language tag.
    #[error("`lang`: {value:?} is not a language tag; write one such as \"pt-BR\"")]
    #[non_exhaustive]
    Language {
        /// The value.
        value: String,
    },
    /// `dir` is neither `ltr` nor `rtl`.
    #[error("`dir`: {value:?} is neither \"ltr\" nor \"rtl\"")]
    #[non_exhaustive]
    Direction {
        /// The value.
        value: String,
    },
    /// Keys are missing, and this crate has no translation into the language.
    #[error("translation {lang:?} lacks the keys {}", keys.join(", "))]
    #[non_exhaustive]
    MissingKeys {
        /// The language.
        lang: String,
        /// All missing keys.
        keys: Vec<String>,
    },
    /// A key is unknown, or is a plural category that the language does not have.
    #[error("translation {lang:?} has the unknown key {key:?}")]
    #[non_exhaustive]
    UnknownKey {
        /// The language.
        lang: String,
        /// The key.
        key: String,
    },
    /// A text is empty, or consists of spaces.
    #[error("`{key}` is empty")]
    #[non_exhaustive]
    EmptyText {
        /// The key of the text.
        key: String,
    },
    /// A text lacks a placeholder of the English text.
    #[error("`{key}` lacks the placeholder {{{placeholder}}}")]
    #[non_exhaustive]
    MissingPlaceholder {
        /// The key of the text.
        key: String,
        /// The placeholder.
        placeholder: String,
    },
    /// A text has a placeholder more than once.
    #[error("`{key}` has the placeholder {{{placeholder}}} more than once")]
    #[non_exhaustive]
    RepeatedPlaceholder {
        /// The key of the text.
        key: String,
        /// The placeholder.
        placeholder: String,
    },
    /// A text has a placeholder that the English text does not have.
    #[error("`{key}` has the unknown placeholder {{{placeholder}}}")]
    #[non_exhaustive]
    UnknownPlaceholder {
        /// The key of the text.
        key: String,
        /// The placeholder.
        placeholder: String,
    },
}

/// Error returned when parsing a [`PublicId`](crate::PublicId).
///
/// ```
/// use session_expire::{PublicId, error::InvalidPublicId};
///
/// let invalid: Result<PublicId, InvalidPublicId> = "../etc".parse();
/// assert!(invalid.is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("session id must have 16 letters and digits")]
#[non_exhaustive]
pub struct InvalidPublicId;

/// Error of a registry, such as an unreachable server or a full disk.
///
/// With `?` in a handler, it becomes a 503 response. If a login policy or a user policy is invalid
/// or does not meet a declared standard, it becomes a 500 response. The response does not contain
/// the message, which is for the log.
///
/// ```
/// use std::{error::Error, io::{self, ErrorKind}};
/// use session_expire::error::RegistryError;
///
/// let error = RegistryError::new("load a record", io::Error::from(ErrorKind::TimedOut));
/// assert_eq!(error.to_string(), "the session registry could not load a record");
/// assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("timed out"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the session registry could not {operation}")]
pub struct RegistryError {
    operation: &'static str,
    source: Source,
}

impl RegistryError {
    /// Returns an error of `operation`, such as `"load a record"`, with its source.
    pub fn new(
        operation: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { operation, source: source.into() }
    }

    /// Returns the error of a login policy or a user policy that was refused before the call of the
    /// registry.
    pub(crate) fn from_policy(error: ConfigError) -> Self {
        Self::new("store a policy patch", error)
    }

    /// Returns the error in the application's configuration that is the source, if there is one.
    pub(crate) fn config_error(&self) -> Option<&ConfigError> {
        self.source.downcast_ref()
    }
}

/// Error of [`SessionHandle::confirm`](crate::SessionHandle::confirm) and
/// [`confirm_failed`](crate::SessionHandle::confirm_failed).
///
/// With `?` in a handler, it becomes a challenge if the user must sign in, and a problem response
/// otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfirmError {
    /// The request has no active session.
    #[error("no user is signed in")]
    NotSignedIn,
    /// The user whose credentials were checked is not the user of the session.
    #[error("the session belongs to another user")]
    OtherUser,
    /// The session is impersonated, so it cannot be confirmed.
    #[error("an impersonated session cannot be confirmed")]
    Impersonated,
    /// Too many attempts have failed, or the session has ended in the meantime.
    #[error("the session has ended")]
    SessionEnded,
    /// The registry is unavailable.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The response was already sent, with its cookies.
    #[error("cannot confirm a session after the response was sent")]
    ResponseSent,
}

/// Error of [`SessionHandle::require_stamp`](crate::SessionHandle::require_stamp).
///
/// With `?` in a handler, it becomes the challenge for an ended session, or a 503 if the registry
/// is unavailable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// The session was started with an earlier credential, or has no stamp. It has ended.
    #[error("session was started with an earlier credential")]
    Changed,
    /// The request has no active session, or has signed a user in or out.
    #[error("request has no active session")]
    NotSignedIn,
    /// The registry is unavailable.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Error in the application's set-up. The response is a 500 without details; the log has the
/// message.
///
/// ```
/// use actix_web::Error;
/// use session_expire::error::SetupError;
///
/// fn is_middleware_missing(error: &Error) -> bool {
///     error.as_error() == Some(&SetupError::NotMounted)
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A policy layer or an extractor is used without the middleware.
    #[error("SessionExpire is not mounted; add `.wrap(expire.clone())` to the App")]
    NotMounted,
    /// The middleware is mounted inside itself.
    #[error("SessionExpire is mounted twice; wrap only the App, and wrap scopes in a PolicyPatch")]
    MountedTwice,
    /// `SessionMiddleware` is mounted, too.
    #[error("second session layer is mounted; remove `.wrap(SessionMiddleware…)`")]
    OtherSessionLayer,
    /// A policy layer sets `max_sessions`, which the registry does not enforce.
    #[error("policy layer sets `max_sessions`, which the registry does not enforce")]
    CannotEnforceLimit,
    /// A policy layer sets `require_login = false` inside one that requires a login.
    #[error(
        "`require_login = false` inside a scope or application that requires a login; mount the handler outside of it"
    )]
    LoginNotOptional,
}
