//! Events of sessions: their data, and the queue of an asynchronous observer.
//!
//! No event contains a session key. [`SessionExpireBuilder::observer`] receives an [`Event`], and
//! [`SessionExpireBuilder::async_observer`] an [`OwnedEvent`]. The middleware and
//! [`Sessions`](crate::Sessions) emit them.
//!
//! [`SessionExpireBuilder::observer`]: crate::SessionExpireBuilder::observer
//! [`SessionExpireBuilder::async_observer`]: crate::SessionExpireBuilder::async_observer

mod accessors;
mod constructors;
pub(crate) mod emitter;
mod kind;
mod log;
mod owned;
pub(crate) mod queue;
mod session;

use std::sync::Arc;

pub use self::{kind::EventKind, owned::OwnedEvent, session::EventSession};
use crate::{
    error::{Breach, RegistryError},
    session::{client::Client, reason::Reason},
    time::Timestamp,
};

/// Event of a session. Each is also a `tracing` event.
///
/// Its [session](Self::session) names the user, the public id, the clients of the login and of the
/// last activity, and the actor of an impersonation. The [requester](Self::requester) is the client
/// of the request that caused the event. For a request with an unknown key, only the requester is
/// known.
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
    /// A user signed in. [`actor`](EventSession::actor) is set for an impersonation.
    #[non_exhaustive]
    LoggedIn {
        /// The session.
        session: EventSession<'a>,
        /// `true` if the user has signed in before with a device of this name from this network;
        /// see [`SessionRecord::seen_before`](crate::registry::SessionRecord::seen_before). It is a
        /// hint, never an authorisation. `None` without an observer, or if the registry could not
        /// list the user's records.
        seen_before: Option<bool>,
        /// Time of the previous login, if the registry still has its record.
        previous_login: Option<Timestamp>,
    },
    /// The user has re-authenticated in an active session.
    #[non_exhaustive]
    Reauthenticated {
        /// The session with its new public id.
        session: EventSession<'a>,
        /// Client of the request.
        requester: Option<&'a Client>,
    },
    /// The user has failed to re-authenticate in an active session.
    #[non_exhaustive]
    ConfirmationFailed {
        /// The session.
        session: EventSession<'a>,
        /// Number of attempts that are left; 0 if the session has ended.
        attempts_left: u32,
        /// Client of the request.
        requester: Option<&'a Client>,
    },
    /// A session ended. It is emitted once per session.
    #[non_exhaustive]
    Ended {
        /// The session.
        session: EventSession<'a>,
        /// The reason.
        reason: Reason,
        /// The cause, which is a word of the application.
        cause: Option<&'a str>,
        /// Client of the request that ended it.
        requester: Option<&'a Client>,
    },
    /// A keep-alive has reported activity of the user.
    #[non_exhaustive]
    KeptAlive {
        /// The session.
        session: EventSession<'a>,
        /// Client of the request.
        requester: Option<&'a Client>,
    },
    /// [`SessionHandle::refresh_policy`](crate::SessionHandle::refresh_policy) has stored a new
    /// user policy.
    #[non_exhaustive]
    PolicyRefreshed {
        /// The session.
        session: EventSession<'a>,
        /// Client of the request.
        requester: Option<&'a Client>,
    },
    /// A request with an ended or unknown session was refused.
    #[non_exhaustive]
    Refused {
        /// The session; `None` if its key is unknown.
        session: Option<EventSession<'a>>,
        /// The reason.
        reason: Reason,
        /// The cause of the end, which is a word of the application.
        cause: Option<&'a str>,
        /// Client of the request.
        requester: Option<&'a Client>,
    },
    /// A login was refused because the session limit was reached.
    #[non_exhaustive]
    LoginRefused {
        /// The user.
        user: &'a str,
        /// The user who would have impersonated `user`.
        actor: Option<&'a str>,
        /// Client of the request.
        requester: Option<&'a Client>,
    },
    /// The ticket to continue a refused login was refused. It is unknown, spent or expired, it
    /// belongs to another browser, or the credential has changed.
    #[non_exhaustive]
    TicketRefused {
        /// The user of the refused login; `None` if this browser has no offer to continue one.
        user: Option<&'a str>,
        /// Client of the request.
        requester: Option<&'a Client>,
    },
    /// All sessions of all users were ended.
    #[non_exhaustive]
    EveryoneEnded {
        /// The number of sessions that ended.
        count: u64,
        /// The cause, which is a word of the application.
        cause: Option<&'a str>,
        /// Client of the request.
        requester: Option<&'a Client>,
    },
    /// [`Sessions::erase`](crate::Sessions::erase) has deleted all records of a user.
    #[non_exhaustive]
    Erased {
        /// The user.
        user: &'a str,
        /// The number of records that were deleted.
        count: u64,
        /// Client of the request.
        requester: Option<&'a Client>,
    },
    /// An operation of the registry has failed. If the session could not be loaded, the request
    /// continues as an anonymous one.
    #[non_exhaustive]
    RegistryFailed {
        /// The error, which names the operation and has a source.
        error: &'a RegistryError,
    },
    /// The policy of a layer, a login or a user does not meet a declared
    /// [standard](crate::compliance).
    ///
    /// It is emitted:
    ///
    /// - each time that a login or [`refresh_policy`](crate::SessionHandle::refresh_policy) fails
    ///   because of the breach
    /// - once per application if mounting fails because of the breach
    /// - otherwise once per breach and layer, for at most 20 values of a key; the stricter limit
    ///   applies
    #[non_exhaustive]
    PolicyBreach {
        /// The breach.
        breach: &'a Breach,
        /// The patch of the layer, as JSON; `None` for the policy of a login or a user.
        layer: Option<&'a str>,
    },
}

/// Receives every [`Event`], on the thread of the request.
pub(crate) type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;
