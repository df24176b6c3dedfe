//! Accessors for data that events of several kinds contain.

use super::{Event, EventKind, EventSession};
use crate::session::{client::Client, reason::Reason};

impl<'a> Event<'a> {
    /// Returns the kind of the event.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::LoggedIn { .. } => EventKind::LoggedIn,
            Self::Reauthenticated { .. } => EventKind::Reauthenticated,
            Self::ConfirmationFailed { .. } => EventKind::ConfirmationFailed,
            Self::Ended { .. } => EventKind::Ended,
            Self::KeptAlive { .. } => EventKind::KeptAlive,
            Self::PolicyRefreshed { .. } => EventKind::PolicyRefreshed,
            Self::Refused { .. } => EventKind::Refused,
            Self::LoginRefused { .. } => EventKind::LoginRefused,
            Self::TicketRefused { .. } => EventKind::TicketRefused,
            Self::EveryoneEnded { .. } => EventKind::EveryoneEnded,
            Self::Erased { .. } => EventKind::Erased,
            Self::RegistryFailed { .. } => EventKind::RegistryFailed,
            Self::PolicyBreach { .. } => EventKind::PolicyBreach,
        }
    }

    /// Returns the word of the event's kind; see [`EventKind`].
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.kind().word()
    }

    /// Returns the session of the event, if it is known.
    #[must_use]
    pub fn session(&self) -> Option<EventSession<'a>> {
        match self {
            Self::LoggedIn { session, .. }
            | Self::Reauthenticated { session, .. }
            | Self::ConfirmationFailed { session, .. }
            | Self::Ended { session, .. }
            | Self::KeptAlive { session, .. }
            | Self::PolicyRefreshed { session, .. } => Some(*session),
            Self::Refused { session, .. } => *session,
            Self::LoginRefused { .. }
            | Self::TicketRefused { .. }
            | Self::EveryoneEnded { .. }
            | Self::Erased { .. }
            | Self::RegistryFailed { .. }
            | Self::PolicyBreach { .. } => None,
        }
    }

    /// Returns the user of the event, if it has one.
    #[must_use]
    pub fn user(&self) -> Option<&'a str> {
        match self {
            Self::LoginRefused { user, .. } | Self::Erased { user, .. } => Some(user),
            Self::TicketRefused { user, .. } => *user,
            other => other.session().map(|session| session.user),
        }
    }

    /// Returns the user who impersonates the user of the event, if there is one.
    #[must_use]
    pub fn actor(&self) -> Option<&'a str> {
        match self {
            Self::LoginRefused { actor, .. } => *actor,
            other => other.session()?.actor,
        }
    }

    /// Returns the client of the request that caused the event. Returns `None` if no request caused
    /// it, such as a call of [`SessionExpire::sessions`](crate::SessionExpire::sessions).
    #[must_use]
    pub fn requester(&self) -> Option<&'a Client> {
        match self {
            Self::LoggedIn { session, .. } => Some(session.client),
            Self::Reauthenticated { requester, .. }
            | Self::ConfirmationFailed { requester, .. }
            | Self::Ended { requester, .. }
            | Self::KeptAlive { requester, .. }
            | Self::PolicyRefreshed { requester, .. }
            | Self::Refused { requester, .. }
            | Self::LoginRefused { requester, .. }
            | Self::TicketRefused { requester, .. }
            | Self::EveryoneEnded { requester, .. }
            | Self::Erased { requester, .. } => *requester,
            Self::RegistryFailed { .. } | Self::PolicyBreach { .. } => None,
        }
    }

    /// Returns the reason of the event, if it has one.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Ended { reason, .. } | Self::Refused { reason, .. } => Some(*reason),
            _ => None,
        }
    }

    /// Returns the cause of the end, if it has one.
    #[must_use]
    pub fn cause(&self) -> Option<&'a str> {
        match self {
            Self::Ended { cause, .. }
            | Self::Refused { cause, .. }
            | Self::EveryoneEnded { cause, .. } => *cause,
            _ => None,
        }
    }
}
