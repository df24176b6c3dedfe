//! Object-safe access to session stores of actix-session.
//!
//! Every load has a timeout.

use std::{error::Error, future::Future, pin::Pin};

use actix_session::storage::{LoadError, SessionKey, SessionStore};
use actix_web::rt::time::timeout;

use super::state::SessionState;
use crate::{error::RegistryError, time::seconds};

/// Timeout of the store. `RedisSessionStore` has none of its own, and waits forever if it loses its
/// server.
const TIMEOUT: std::time::Duration = seconds(5);

const LOAD: &str = "load from the former session store";

/// Future of a [`SessionStore`], which need not be `Send`.
type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Operations of a [`SessionStore`] that an adoption needs.
pub(super) trait OldStore: Send + Sync {
    /// Loads a state. Returns `None` if it is unknown or invalid.
    fn load<'a>(
        &'a self,
        key: &'a SessionKey,
    ) -> LocalFuture<'a, Result<Option<SessionState>, RegistryError>>;

    /// Deletes a state.
    fn delete<'a>(
        &'a self,
        key: &'a SessionKey,
    ) -> LocalFuture<'a, Result<(), Box<dyn Error + Send + Sync>>>;
}

impl<S: SessionStore + Send + Sync> OldStore for S {
    fn load<'a>(
        &'a self,
        key: &'a SessionKey,
    ) -> LocalFuture<'a, Result<Option<SessionState>, RegistryError>> {
        Box::pin(async move {
            match timeout(TIMEOUT, SessionStore::load(self, key)).await {
                Ok(loaded) => ignore_invalid_state(loaded),
                Err(elapsed) => Err(RegistryError::new(LOAD, elapsed)),
            }
        })
    }

    fn delete<'a>(
        &'a self,
        key: &'a SessionKey,
    ) -> LocalFuture<'a, Result<(), Box<dyn Error + Send + Sync>>> {
        Box::pin(async move { SessionStore::delete(self, key).await.map_err(Into::into) })
    }
}

/// Converts an invalid state to `None`, as actix-session does. The error is not logged, because
/// with `CookieSessionStore` it may contain session data.
fn ignore_invalid_state(
    loaded: Result<Option<SessionState>, LoadError>,
) -> Result<Option<SessionState>, RegistryError> {
    match loaded {
        Ok(state) => Ok(state),
        Err(LoadError::Deserialization(_)) => {
            tracing::warn!(
                event = "sys_migration_invalid_state",
                "session not adopted: invalid state"
            );
            Ok(None)
        }
        Err(error @ LoadError::Other(_)) => Err(RegistryError::new(LOAD, error)),
    }
}
