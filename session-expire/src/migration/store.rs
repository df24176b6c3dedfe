//! Session stores of actix-session behind one object-safe trait.

use std::{error::Error, future::Future, pin::Pin};

use actix_session::storage::{LoadError, SessionKey, SessionStore};

use super::state::SessionState;
use crate::error::RegistryError;

/// The futures of a [`SessionStore`] need not be `Send`.
type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What an adoption needs of a [`SessionStore`].
pub(super) trait OldStore: Send + Sync {
    /// Loads a state; `None` if it is unknown or cannot be read.
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
        Box::pin(async move { readable(SessionStore::load(self, key).await) })
    }

    fn delete<'a>(
        &'a self,
        key: &'a SessionKey,
    ) -> LocalFuture<'a, Result<(), Box<dyn Error + Send + Sync>>> {
        Box::pin(async move { SessionStore::delete(self, key).await.map_err(Into::into) })
    }
}

/// A state that cannot be read is no session, as in actix-session. The error is not logged, because
/// with `CookieSessionStore` it may quote the session.
fn readable(
    loaded: Result<Option<SessionState>, LoadError>,
) -> Result<Option<SessionState>, RegistryError> {
    match loaded {
        Ok(state) => Ok(state),
        Err(LoadError::Deserialization(_)) => {
            tracing::warn!(
                event = "sys_migration_invalid_state",
                "session not adopted: its state cannot be read"
            );
            Ok(None)
        }
        Err(error @ LoadError::Other(_)) => {
            Err(RegistryError::new("load from the former session store", error))
        }
    }
}
