//! Errors of the configuration, of the set-up and of a registry.

use std::{error::Error as StdError, fmt};

/// Invalid configuration, found when a policy is parsed or the middleware is built.
///
/// Each message names the option and the fix.
///
/// ```
/// use session_expire::{Policy, SessionExpire, hours};
/// let error = SessionExpire::builder(Policy::new().warn(hours(1))).build().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "warn: 1h is not shorter than idle = 30m; warn later, or leave `warn` out"
/// );
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A duration that cannot be parsed.
    #[error(
        "{key}: {value:?} is not a duration: {problem}; write one such as \"90s\", \"10m\", \"1h30m\" or \"never\""
    )]
    #[non_exhaustive]
    Duration {
        /// The option.
        key: &'static str,
        /// The value.
        value: String,
        /// Why it is no duration.
        problem: DurationError,
    },
    /// A value of the wrong kind.
    #[error("{key}: {value} is not {expected}")]
    #[non_exhaustive]
    Value {
        /// The option.
        key: &'static str,
        /// The value.
        value: String,
        /// What is expected.
        expected: &'static str,
    },
    /// A warning time that is not shorter than a limit.
    #[error(
        "warn: {warn} is not shorter than {limit_key} = {limit}; warn later, or leave `warn` out"
    )]
    #[non_exhaustive]
    WarnTooEarly {
        /// The warning time.
        warn: String,
        /// The limit's name.
        limit_key: &'static str,
        /// The limit.
        limit: String,
    },
    /// A limit of zero, which would end each session at once.
    #[error("{key}: zero would end every session at once; write \"never\" to switch the limit off")]
    #[non_exhaustive]
    Zero {
        /// The option.
        key: &'static str,
    },
    /// A path that is not a local path.
    #[error(
        "{key}: {value:?} is not a path of this site; it must start with one \"/\" and not end with one, such as \"/login\""
    )]
    #[non_exhaustive]
    NotLocal {
        /// The option.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// `max_sessions` with a registry that does not enforce it.
    #[error(
        "max_sessions: this registry cannot count the sessions of a user; leave `max_sessions` out or use a registry that can"
    )]
    CannotCount,
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_sources(self, f)
    }
}

/// Writes an error and its sources. A `main` that returns an error prints its `Debug` output, which
/// must say what to change.
pub(crate) fn write_with_sources(error: &dyn StdError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{error}")?;
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(f, ": {error}")?;
        cause = error.source();
    }
    Ok(())
}

/// Error of a library below this crate, behind [`Error::source`](StdError::source).
pub(crate) type Source = Box<dyn StdError + Send + Sync>;

/// Error of parsing a duration.
///
/// ```
/// use std::time::Duration;
/// use session_expire::{Limit, error::DurationError};
/// assert_eq!("600".parse::<Limit<Duration>>(), Err(DurationError::NoUnit));
/// assert_eq!("30m1h".parse::<Limit<Duration>>(), Err(DurationError::Order));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// A number without a unit, as in `"600"`.
    #[error("a number lacks its unit")]
    NoUnit,
    /// A unit without a number, as in `"m"`.
    #[error("a unit lacks its number")]
    NoNumber,
    /// A unit other than `ms`, `s`, `m`, `h`, `d`.
    #[error("its units can be d, h, m, s and ms")]
    UnknownUnit,
    /// Units twice or in a rising order, as in `"10s1h"`.
    #[error("its units must go from the largest to the smallest, each once")]
    Order,
    /// Zero.
    #[error("it is zero")]
    Zero,
    /// More than a hundred years.
    #[error("it is longer than a hundred years")]
    TooLong,
}

/// Error of parsing a [`PublicId`](crate::PublicId).
///
/// ```
/// use session_expire::{PublicId, error::InvalidPublicId};
/// assert_eq!("../etc".parse::<PublicId>(), Err(InvalidPublicId));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session id has 16 letters and digits")]
pub struct InvalidPublicId;

/// Error of a registry: the server cannot be reached, the disk is full, a response is invalid.
///
/// As a response it is a 503, so that `?` works in handlers. The message is for the log; users do not
/// see it.
///
/// ```
/// use std::{error::Error, io::{self, ErrorKind}};
/// use session_expire::error::RegistryError;
/// let error = RegistryError::new("load a record", io::Error::from(ErrorKind::TimedOut));
/// assert_eq!(error.to_string(), "the session registry could not load a record");
/// assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("timed out"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the session registry could not {operation}")]
pub struct RegistryError {
    operation: &'static str,
    source: Box<dyn StdError + Send + Sync>,
}

impl RegistryError {
    /// Returns an error of `operation` ("load a record") with its source.
    pub fn new(
        operation: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { operation, source: source.into() }
    }
}

/// An error of the application's set-up: the response is an opaque 500, the log says what to change.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() {
/// use actix_web::{FromRequest, test::TestRequest};
/// use session_expire::{SessionVars, error::SetupError};
/// let request = TestRequest::default().to_http_request();
/// let error = SessionVars::extract(&request).await.unwrap_err();
/// assert_eq!(error.as_error(), Some(&SetupError::NotMounted));
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A policy layer or an extractor without the middleware.
    #[error("SessionExpire is not mounted; add `.wrap(expire.clone())` to the App")]
    NotMounted,
    /// The middleware is mounted inside itself.
    #[error("SessionExpire is mounted twice; wrap the App once and give scopes a PolicyPatch")]
    MountedTwice,
    /// `SessionMiddleware` is wrapped beside the middleware.
    #[error("a second session layer is mounted; remove `.wrap(SessionMiddleware…)`")]
    OtherSessionLayer,
    /// A layer sets `max_sessions`, and the registry does not enforce it.
    #[error("the policy of this handler sets `max_sessions`, which the registry does not enforce")]
    CannotEnforceLimit,
    /// A handler is opened inside a scope that requires a login.
    #[error(
        "`require_login = false` inside a scope or application that requires a login; mount the page outside of it"
    )]
    OpenInsideClosed,
}
