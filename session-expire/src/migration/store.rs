//! Session stores of actix-session behind one object-safe trait.

use std::{error::Error, future::Future, pin::Pin};

use actix_session::storage::{LoadError, SessionKey, SessionStore};
use actix_web::rt::time::timeout;

use super::state::SessionState;
use crate::{error::RegistryError, time::seconds};

/// How long an adoption waits for the store. `RedisSessionStore` has no timeout of its own: once it
/// has lost its server, it waits without end.
const TIMEOUT: std::time::Duration = seconds(5);

const LOAD: &str = "load from the former session store";

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
        Box::pin(async move {
            match timeout(TIMEOUT, SessionStore::load(self, key)).await {
                Ok(loaded) => readable(loaded),
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
        Err(error @ LoadError::Other(_)) => Err(RegistryError::new(LOAD, error)),
    }
}
