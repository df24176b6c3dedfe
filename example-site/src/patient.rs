//! A session store that is not waited for without end.

use std::{collections::HashMap, future::Future};

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::{cookie::time::Duration, rt::time::timeout};
use anyhow::{Context, Error};

/// Longer than a server in the same house needs, and shorter than a person waits.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// Another store with a limit of time. actix-session's own for Redis tries to reconnect for minutes, and
/// every visitor with a cookie waits as long, at public pages as well.
#[derive(Clone)]
pub(crate) struct Patient<S>(pub(crate) S);

/// The answer of `work`, or that it took too long.
pub(crate) async fn within<T>(
    limit: std::time::Duration,
    work: impl Future<Output = T>,
) -> Result<T, Error> {
    timeout(limit, work).await.with_context(|| format!("no answer within {limit:?}"))
}

impl<S: SessionStore> SessionStore for Patient<S> {
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        within(PATIENCE, self.0.load(key)).await.map_err(LoadError::Other)?
    }

    async fn save(
        &self,
        state: HashMap<String, String>,
        ttl: &Duration,
    ) -> Result<SessionKey, SaveError> {
        within(PATIENCE, self.0.save(state, ttl)).await.map_err(SaveError::Other)?
    }

    async fn update(
        &self,
        key: SessionKey,
        state: HashMap<String, String>,
        ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        within(PATIENCE, self.0.update(key, state, ttl)).await.map_err(UpdateError::Other)?
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), Error> {
        within(PATIENCE, self.0.update_ttl(key, ttl)).await?
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        within(PATIENCE, self.0.delete(key)).await?
    }
}
