//! Constructors of events, for the middleware and for tests of observers.

use super::{Event, EventSession};
use crate::{
    error::{Breach, RegistryError},
    session::{client::Client, reason::Reason, record::SessionRecord},
    time::Timestamp,
};

/// Constructors. [`with_requester`](Self::with_requester) adds the client of the request.
impl<'a> Event<'a> {
    /// Returns [`LoggedIn`](Self::LoggedIn), without a comparison with earlier logins.
    #[must_use]
    pub fn logged_in(session: EventSession<'a>) -> Self {
        Self::LoggedIn { session, seen_before: None, previous_login: None }
    }

    /// Returns [`Reauthenticated`](Self::Reauthenticated).
    #[must_use]
    pub fn reauthenticated(session: EventSession<'a>) -> Self {
        Self::Reauthenticated { session, requester: None }
    }

    /// Returns [`ConfirmationFailed`](Self::ConfirmationFailed).
    #[must_use]
    pub fn confirmation_failed(session: EventSession<'a>, attempts_left: u32) -> Self {
        Self::ConfirmationFailed { session, attempts_left, requester: None }
    }

    /// Returns [`Ended`](Self::Ended), without a cause.
    #[must_use]
    pub fn ended(session: EventSession<'a>, reason: Reason) -> Self {
        Self::Ended { session, reason, cause: None, requester: None }
    }

    /// Returns [`KeptAlive`](Self::KeptAlive).
    #[must_use]
    pub fn kept_alive(session: EventSession<'a>) -> Self {
        Self::KeptAlive { session, requester: None }
    }

    /// Returns [`PolicyRefreshed`](Self::PolicyRefreshed).
    #[must_use]
    pub fn policy_refreshed(session: EventSession<'a>) -> Self {
        Self::PolicyRefreshed { session, requester: None }
    }

    /// Returns [`Refused`](Self::Refused), for an unknown session.
    #[must_use]
    pub fn refused(reason: Reason) -> Self {
        Self::Refused { session: None, reason, cause: None, requester: None }
    }

    /// Returns [`LoginRefused`](Self::LoginRefused).
    #[must_use]
    pub fn login_refused(user: &'a str) -> Self {
        Self::LoginRefused { user, actor: None, requester: None }
    }

    /// Returns [`TicketRefused`](Self::TicketRefused).
    #[must_use]
    pub fn ticket_refused(user: impl Into<Option<&'a str>>) -> Self {
        Self::TicketRefused { user: user.into(), requester: None }
    }

    /// Returns [`EveryoneEnded`](Self::EveryoneEnded), without a cause.
    #[must_use]
    pub fn everyone_ended(count: u64) -> Self {
        Self::EveryoneEnded { count, cause: None, requester: None }
    }

    /// Returns [`Erased`](Self::Erased).
    #[must_use]
    pub fn erased(user: &'a str, count: u64) -> Self {
        Self::Erased { user, count, requester: None }
    }

    /// Returns [`RegistryFailed`](Self::RegistryFailed).
    #[must_use]
    pub fn registry_failed(error: &'a RegistryError) -> Self {
        Self::RegistryFailed { error }
    }

    /// Returns [`PolicyBreach`](Self::PolicyBreach), without a layer.
    #[must_use]
    pub fn policy_breach(breach: &'a Breach) -> Self {
        Self::PolicyBreach { breach, layer: None }
    }

    /// Sets the client of the request. It has no effect on
    /// [`RegistryFailed`](Self::RegistryFailed), or on [`LoggedIn`](Self::LoggedIn), whose
    /// requester is the client of the login.
    #[must_use]
    pub fn with_requester(mut self, client: impl Into<Option<&'a Client>>) -> Self {
        match &mut self {
            Self::Reauthenticated { requester, .. }
            | Self::ConfirmationFailed { requester, .. }
            | Self::Ended { requester, .. }
            | Self::KeptAlive { requester, .. }
            | Self::PolicyRefreshed { requester, .. }
            | Self::Refused { requester, .. }
            | Self::LoginRefused { requester, .. }
            | Self::TicketRefused { requester, .. }
            | Self::EveryoneEnded { requester, .. }
            | Self::Erased { requester, .. } => *requester = client.into(),
            Self::LoggedIn { .. } | Self::RegistryFailed { .. } | Self::PolicyBreach { .. } => {}
        }
        self
    }
}

impl<'a> Event<'a> {
    /// Returns the event of the end of a record.
    pub(crate) fn from_ended(record: &'a SessionRecord, requester: Option<&'a Client>) -> Self {
        let ended = record.ended.as_ref();
        Self::Ended {
            session: record.into(),
            reason: ended.map_or(Reason::Unknown, |ended| ended.reason),
            cause: ended.and_then(|ended| ended.cause.as_deref()),
            requester,
        }
    }

    /// Returns the event of a request with an ended record, or without one if its key is unknown.
    pub(crate) fn from_refused(record: Option<&'a SessionRecord>, reason: Reason) -> Self {
        let ended = record.and_then(|record| record.ended.as_ref());
        Self::Refused {
            session: record.map(EventSession::from),
            reason,
            cause: ended.and_then(|ended| ended.cause.as_deref()),
            requester: None,
        }
    }

    /// Returns the event of a login. `others` are the user's records, or `None` if they are not
    /// known.
    pub(crate) fn from_login(record: &'a SessionRecord, others: Option<&[SessionRecord]>) -> Self {
        let times = others.into_iter().flatten().filter(|other| record.follows(other));
        let previous_login: Option<Timestamp> = times.map(|other| other.logged_in_at).max();
        Self::LoggedIn {
            session: record.into(),
            seen_before: others.map(|others| record.seen_before(others)),
            previous_login,
        }
    }
}
