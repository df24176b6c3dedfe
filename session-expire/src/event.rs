//! Events of sessions, for the log, the metrics and the application's observer.
//!
//! No event contains a session key. The middleware and `Sessions` emit them.

use std::sync::Arc;

use tracing::field;

use crate::{
    error::RegistryError,
    session::{key::PublicId, reason::Reason, record::SessionRecord},
};

/// Event of a session. Each is also a `tracing` event.
///
/// ```
/// use session_expire::{Event, Policy, SessionExpire};
///
/// fn line(event: &Event<'_>) -> String {
///     match (event, event.reason()) {
///         (Event::LoginRefused { user, .. }, _) => format!("{user} has too many sessions"),
///         (other, Some(reason)) => format!("{}: {reason}", other.word()),
///         (other, None) => other.word().to_owned(),
///     }
/// }
///
/// let builder = SessionExpire::builder(Policy::new());
/// let builder = builder.observer(|event| println!("{}", line(event)));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A user signed in.
    #[non_exhaustive]
    LoggedIn {
        /// The user.
        user: &'a str,
        /// The public id of the session.
        id: PublicId,
    },
    /// A session ended. It is emitted once per session.
    #[non_exhaustive]
    Ended {
        /// The user.
        user: &'a str,
        /// The public id of the session.
        id: PublicId,
        /// The reason.
        reason: Reason,
    },
    /// A keep-alive has reported activity of the user.
    #[non_exhaustive]
    KeptAlive {
        /// The user.
        user: &'a str,
        /// The public id of the session.
        id: PublicId,
    },
    /// A request with an ended or unknown session was refused.
    #[non_exhaustive]
    Refused {
        /// The reason.
        reason: Reason,
    },
    /// A login was refused because the session limit was reached.
    #[non_exhaustive]
    LoginRefused {
        /// The user.
        user: &'a str,
    },
    /// All sessions of all users were ended.
    #[non_exhaustive]
    EveryoneEnded {
        /// The number of sessions that ended.
        count: u64,
    },
    /// An operation of the registry has failed. If it loads a session, the request continues as
    /// that of an anonymous visitor.
    #[non_exhaustive]
    RegistryFailed {
        /// The error, which names the operation and has a source.
        error: &'a RegistryError,
    },
}

/// Receives every [`Event`], on the thread of the request.
pub(crate) type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Constructors for tests of an observer.
impl<'a> Event<'a> {
    /// Returns [`LoggedIn`](Self::LoggedIn).
    #[must_use]
    pub fn logged_in(user: &'a str, id: PublicId) -> Self {
        Self::LoggedIn { user, id }
    }

    /// Returns [`Ended`](Self::Ended).
    #[must_use]
    pub fn ended(user: &'a str, id: PublicId, reason: Reason) -> Self {
        Self::Ended { user, id, reason }
    }

    /// Returns [`KeptAlive`](Self::KeptAlive).
    #[must_use]
    pub fn kept_alive(user: &'a str, id: PublicId) -> Self {
        Self::KeptAlive { user, id }
    }

    /// Returns [`Refused`](Self::Refused).
    #[must_use]
    pub fn refused(reason: Reason) -> Self {
        Self::Refused { reason }
    }

    /// Returns [`LoginRefused`](Self::LoginRefused).
    #[must_use]
    pub fn login_refused(user: &'a str) -> Self {
        Self::LoginRefused { user }
    }

    /// Returns [`EveryoneEnded`](Self::EveryoneEnded).
    #[must_use]
    pub fn everyone_ended(count: u64) -> Self {
        Self::EveryoneEnded { count }
    }

    /// Returns [`RegistryFailed`](Self::RegistryFailed).
    #[must_use]
    pub fn registry_failed(error: &'a RegistryError) -> Self {
        Self::RegistryFailed { error }
    }
}

impl<'a> Event<'a> {
    /// Returns the event of an ended record.
    pub(crate) fn from_ended(record: &'a SessionRecord) -> Self {
        let reason = record.ended.as_ref().map_or(Reason::Unknown, |ended| ended.reason);
        Self::Ended { user: &record.user, id: record.id, reason }
    }
}

impl Event<'_> {
    /// Returns the word for the event in OWASP's [logging vocabulary]. For events that the
    /// vocabulary lacks, this crate defines its own words:
    ///
    /// | event | word | level |
    /// |---|---|---|
    /// | [`LoggedIn`](Self::LoggedIn) | `session_created` | info |
    /// | [`KeptAlive`](Self::KeptAlive) | `session_renewed` | debug |
    /// | [`Ended`](Self::Ended) | `session_expired` | info |
    /// | [`Refused`](Self::Refused) | `session_use_after_expire` | warn |
    /// | [`LoginRefused`](Self::LoginRefused) | `excess_sessions_exceeded` | warn |
    /// | [`EveryoneEnded`](Self::EveryoneEnded) | `session_expired_all` | warn |
    /// | [`RegistryFailed`](Self::RegistryFailed) | `session_registry_failed` | error |
    ///
    /// [logging vocabulary]: https://cheatsheetseries.owasp.org/cheatsheets/Logging_Vocabulary_Cheat_Sheet.html
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::LoggedIn { .. } => "session_created",
            Self::KeptAlive { .. } => "session_renewed",
            Self::Ended { .. } => "session_expired",
            Self::Refused { .. } => "session_use_after_expire",
            Self::LoginRefused { .. } => "excess_sessions_exceeded",
            Self::EveryoneEnded { .. } => "session_expired_all",
            Self::RegistryFailed { .. } => "session_registry_failed",
        }
    }

    /// Returns the user of the event, if it has one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::LoggedIn { user, .. }
            | Self::Ended { user, .. }
            | Self::KeptAlive { user, .. }
            | Self::LoginRefused { user } => Some(user),
            Self::Refused { .. } | Self::EveryoneEnded { .. } | Self::RegistryFailed { .. } => None,
        }
    }

    /// Returns the reason of the event, if it has one.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Ended { reason, .. } | Self::Refused { reason } => Some(*reason),
            _ => None,
        }
    }

    /// Writes the event to the log, with the user if `logs_user` is set. User ids are quoted:
    /// otherwise a user id could forge a log line.
    pub(crate) fn trace(&self, logs_user: bool) {
        let event = self.word();
        let user = self.user().filter(|_| logs_user).map(field::debug);
        match self {
            Self::LoggedIn { id, .. } => {
                tracing::info!(event, user, session = %id, "signed in");
            }
            Self::KeptAlive { id, .. } => {
                tracing::debug!(event, user, session = %id, "activity reported");
            }
            Self::Ended { id, reason, .. } => {
                tracing::info!(event, user, session = %id, %reason, "session ended");
            }
            Self::LoginRefused { .. } => {
                tracing::warn!(event, user, "login refused: too many sessions");
            }
            Self::EveryoneEnded { count } => {
                tracing::warn!(event, count, "all sessions of all users ended");
            }
            Self::Refused { reason } => tracing::warn!(event, %reason, "session refused"),
            Self::RegistryFailed { error } => {
                let error: &(dyn std::error::Error + 'static) = *error;
                tracing::error!(event, error, "session registry error");
            }
        }
    }

    /// Counts the event.
    #[cfg(feature = "metrics")]
    pub(crate) fn count(&self) {
        let reason = self.reason().map_or("", Reason::as_str);
        metrics::counter!("session_expire_events_total", "event" => self.word(), "reason" => reason)
            .increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Mutex, PoisonError},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct LogBuffer(Arc<Mutex<Vec<u8>>>);

    impl Write for LogBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(event: &Event<'_>, logs_user: bool) -> String {
        let log = LogBuffer::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || event.trace(logs_user));
        let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn log_line_has_owasp_word_user_and_reason() {
        let ended = Event::Ended { user: "alice", id: PublicId::random(), reason: Reason::Idle };
        let line = logged(&ended, true);
        for part in ["INFO", "event=\"session_expired\"", "user=\"alice\"", "reason=idle"] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }

    #[test]
    fn log_line_has_no_user_if_users_are_not_logged() {
        let events = [
            Event::logged_in("alice", PublicId::random()),
            Event::kept_alive("alice", PublicId::random()),
            Event::ended("alice", PublicId::random(), Reason::Idle),
            Event::login_refused("alice"),
        ];
        for event in events {
            let line = logged(&event, false);
            assert!(!line.contains("alice") && !line.contains("user"), "{line}");
        }
    }

    #[test]
    fn user_id_cannot_forge_log_line_or_field() {
        let name = "eve\nINFO session_created user=\"root\"\r\u{1b}[2J\u{85}\u{2028}";
        let line = logged(&Event::LoginRefused { user: name }, true);
        assert_eq!(line.trim_end().lines().count(), 1, "{line}");
        assert!(!line.contains("user=\"root\"") && !line.contains('\u{1b}'), "{line}");
    }
}
