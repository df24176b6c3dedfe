//! What happened to a session, for the log and for the application.

use std::sync::Arc;

use crate::{error::RegistryError, facts::Reason, registry::key::PublicId};

/// Something that happened to a session. Every event is also a `tracing` event.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Somebody signed in.
    LoggedIn {
        /// The user.
        owner: &'a str,
        /// The public id of the login.
        id: PublicId,
    },
    /// A session ended; told once per login.
    Ended {
        /// The user.
        owner: &'a str,
        /// The public id of the login.
        id: PublicId,
        /// Why.
        reason: Reason,
    },
    /// A session that is over, or that nobody knows, was presented.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// A login was refused, because all places are taken.
    LoginRefused {
        /// The user.
        owner: &'a str,
    },
    /// The registry could not be asked; the request went on as an anonymous visitor's.
    RegistryFailed {
        /// What was tried, and its cause.
        error: &'a RegistryError,
    },
}

/// Receives every [`Event`], on the thread of the request.
pub(crate) type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

impl Event<'_> {
    /// Writes the event to the log. User names are quoted, so that no name can forge a line.
    pub(crate) fn trace(&self) {
        match self {
            Self::LoggedIn { owner, id } => {
                tracing::info!(user = ?owner, session = %id, "signed in");
            }
            Self::Ended { owner, id, reason } => {
                tracing::info!(user = ?owner, session = %id, %reason, "session ended");
            }
            Self::LoginRefused { owner } => {
                tracing::info!(user = ?owner, "login refused: too many sessions");
            }
            Self::Refused { reason } => tracing::info!(%reason, "session refused"),
            Self::RegistryFailed { error } => {
                let error: &(dyn std::error::Error + 'static) = *error;
                tracing::error!(
                    error,
                    "the session registry failed; visitors are anonymous until it answers"
                );
            }
        }
    }
}
