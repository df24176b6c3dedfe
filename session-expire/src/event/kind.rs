//! Kinds of events, and their words.

use std::fmt;

/// Kind of an [`Event`](super::Event).
///
/// Each kind has a word from OWASP's [logging vocabulary], or from this crate if the vocabulary has
/// none:
///
/// | kind | word | level |
/// |---|---|---|
/// | [`LoggedIn`](Self::LoggedIn) | `session_created` | info |
/// | [`Reauthenticated`](Self::Reauthenticated) | `session_reauthenticated` | info |
/// | [`ConfirmationFailed`](Self::ConfirmationFailed) | `authn_login_fail` | warn |
/// | [`KeptAlive`](Self::KeptAlive) | `session_renewed` | debug |
/// | [`PolicyRefreshed`](Self::PolicyRefreshed) | `session_policy_refreshed` | info |
/// | [`Ended`](Self::Ended) | `session_expired` | info |
/// | [`Refused`](Self::Refused) | `session_use_after_expire` | warn |
/// | [`LoginRefused`](Self::LoginRefused) | `excess_sessions_exceeded` | warn |
/// | [`TicketRefused`](Self::TicketRefused) | `authn_login_fail` | warn |
/// | [`EveryoneEnded`](Self::EveryoneEnded) | `session_expired_all` | warn |
/// | [`Erased`](Self::Erased) | `sensitive_delete` | warn |
/// | [`RegistryFailed`](Self::RegistryFailed) | `session_registry_failed` | error |
/// | [`PolicyBreach`](Self::PolicyBreach) | `session_policy_breach` | error |
///
/// [logging vocabulary]: https://cheatsheetseries.owasp.org/cheatsheets/Logging_Vocabulary_Cheat_Sheet.html
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A user signed in.
    LoggedIn,
    /// A user has re-authenticated in an active session.
    Reauthenticated,
    /// A user has failed to re-authenticate in an active session.
    ConfirmationFailed,
    /// A keep-alive has reported activity of the user.
    KeptAlive,
    /// The user policy of a session was evaluated again.
    PolicyRefreshed,
    /// A session ended.
    Ended,
    /// A request with an ended or unknown session was refused.
    Refused,
    /// A login was refused because the session limit was reached.
    LoginRefused,
    /// The ticket to continue a refused login was refused.
    TicketRefused,
    /// All sessions of all users were ended.
    EveryoneEnded,
    /// All records of a user were deleted.
    Erased,
    /// An operation of the registry has failed.
    RegistryFailed,
    /// A policy does not meet a declared standard.
    PolicyBreach,
}

impl EventKind {
    /// Returns the word of the kind.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::LoggedIn => "session_created",
            Self::Reauthenticated => "session_reauthenticated",
            Self::ConfirmationFailed | Self::TicketRefused => "authn_login_fail",
            Self::KeptAlive => "session_renewed",
            Self::PolicyRefreshed => "session_policy_refreshed",
            Self::Ended => "session_expired",
            Self::Refused => "session_use_after_expire",
            Self::LoginRefused => "excess_sessions_exceeded",
            Self::EveryoneEnded => "session_expired_all",
            Self::Erased => "sensitive_delete",
            Self::RegistryFailed => "session_registry_failed",
            Self::PolicyBreach => "session_policy_breach",
        }
    }
}

impl fmt::Display for EventKind {
    /// Writes the word of the kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
