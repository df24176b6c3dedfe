//! Owned events, for an observer that runs later.

use std::{error::Error, sync::Arc};

use super::{Event, EventKind};
use crate::{
    session::{client::Client, key::PublicId, reason::Reason},
    time::Timestamp,
};

/// Event that owns its data, for
/// [`async_observer`](crate::SessionExpireBuilder::async_observer). An unknown value is `None`.
///
/// ```
/// use session_expire::{Reason, clock::Timestamp, event::{Event, EventKind, OwnedEvent}};
///
/// let event = OwnedEvent::new(&Event::refused(Reason::Unknown), Timestamp::from_millis(0));
/// assert_eq!((event.kind, event.reason), (EventKind::Refused, Some(Reason::Unknown)));
/// assert_eq!(event.kind.word(), "session_use_after_expire");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnedEvent {
    /// The kind.
    pub kind: EventKind,
    /// Time of the event.
    pub at: Timestamp,
    /// The user.
    pub user: Option<Arc<str>>,
    /// The user who impersonates [`user`](Self::user).
    pub actor: Option<Arc<str>>,
    /// Public id of the session.
    pub session: Option<PublicId>,
    /// Client of the session's login.
    pub client: Option<Client>,
    /// Client of the session's last activity, if it differs from that of the login.
    pub last_client: Option<Client>,
    /// Client of the request that caused the event.
    pub requester: Option<Client>,
    /// Reason of the end.
    pub reason: Option<Reason>,
    /// Cause of the end, which is a word of the application.
    pub cause: Option<Arc<str>>,
    /// See [`Event::LoggedIn`].
    pub seen_before: Option<bool>,
    /// Time of the previous login; see [`Event::LoggedIn`].
    pub previous_login: Option<Timestamp>,
    /// See [`Event::ConfirmationFailed`].
    pub attempts_left: Option<u32>,
    /// Number of sessions that ended, or of records that were deleted.
    pub count: Option<u64>,
    /// Text of the error with its sources, or of the breach of a standard.
    pub error: Option<String>,
}

impl OwnedEvent {
    /// Copies an event that happened at `at`.
    #[must_use]
    pub fn new(event: &Event<'_>, at: Timestamp) -> Self {
        let session = event.session();
        let mut owned = Self {
            kind: event.kind(),
            at,
            user: event.user().map(Arc::from),
            actor: event.actor().map(Arc::from),
            session: session.map(|session| session.id),
            client: session.map(|session| session.client.clone()),
            last_client: session.and_then(|session| session.last_client).cloned(),
            requester: event.requester().cloned(),
            reason: event.reason(),
            cause: event.cause().map(Arc::from),
            seen_before: None,
            previous_login: None,
            attempts_left: None,
            count: None,
            error: None,
        };
        owned.copy_details(event);
        owned
    }

    fn copy_details(&mut self, event: &Event<'_>) {
        match event {
            Event::LoggedIn { seen_before, previous_login, .. } => {
                (self.seen_before, self.previous_login) = (*seen_before, *previous_login);
            }
            Event::ConfirmationFailed { attempts_left, .. } => {
                self.attempts_left = Some(*attempts_left);
            }
            Event::EveryoneEnded { count, .. } | Event::Erased { count, .. } => {
                self.count = Some(*count);
            }
            Event::RegistryFailed { error } => self.error = Some(with_sources(*error)),
            Event::PolicyBreach { breach, layer } => {
                let layer = layer.map(|layer| format!(", in the layer {layer}"));
                self.error = Some(format!("{breach}{}", layer.unwrap_or_default()));
            }
            _ => {}
        }
    }
}

fn with_sources(error: &dyn Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
