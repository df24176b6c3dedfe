//! Adoption of sessions of actix-session.
//!
//! The key of the new record is derived from the old cookie. Requests of several tabs therefore
//! create one session.

use std::sync::Arc;

use actix_web::HttpRequest;

use super::super::load::{LoadedRecord, LoadedSession};
use crate::{
    config::Config,
    error::RegistryError,
    event::Event,
    migration::{Migration, OldSession},
    policy::limit::Limit,
    registry::StoredSession,
    session::{
        login::options::SignInOptions,
        login::{LoginOutcome, NewLogin},
    },
};

/// Returns `true` if the request carries an old cookie and adoption is still open.
pub(crate) fn may_adopt(config: &Config, req: &HttpRequest) -> bool {
    config
        .migration
        .as_ref()
        .is_some_and(|migration| config.now() < migration.until() && migration.has_cookie(req))
}

/// Adopts the old session of a request. Returns [`LoadedSession::Anonymous`] if it has none that
/// may be adopted.
pub(crate) async fn adopt(config: &Config, req: &HttpRequest) -> LoadedSession {
    let Some(migration) = &config.migration else { return LoadedSession::Anonymous };
    match try_adopt(config, migration, req).await {
        Ok(loaded) => loaded,
        Err(error) => {
            config.emit_failure(&error);
            LoadedSession::Unavailable
        }
    }
}

async fn try_adopt(
    config: &Config,
    migration: &Migration,
    req: &HttpRequest,
) -> Result<LoadedSession, RegistryError> {
    let Some(old) = migration.read(req, config.identity_key).await? else {
        return Ok(LoadedSession::Anonymous);
    };
    let key = old.key;
    // Another request has already adopted the session. It may have ended since.
    if let Some(stored) = config.registry.load(key, false).await? {
        return Ok(LoadedSession::Record(LoadedRecord::new(key, stored)));
    }
    let login = new_login(config, migration, &old, req).await?;
    let (id, data) = (login.id, Arc::new(login.data.clone()));
    let earlier = config.earlier_logins(&login.user).await;
    match config.registry.commit(login).await? {
        LoginOutcome::Committed { record, ended } => {
            config.emit_ended(&ended, Some(&record.client));
            // The id differs if a parallel request has committed the record first.
            if record.id == id {
                config.emit(&Event::from_login(&record, earlier.as_deref()));
            }
            if record.ended.is_some() {
                migration.delete(&old).await;
            }
            let stored = StoredSession::new(Arc::new(record), data, None);
            Ok(LoadedSession::Record(LoadedRecord::new(key, stored)))
        }
        LoginOutcome::Refused { .. }
        | LoginOutcome::AdoptionClosed
        | LoginOutcome::Voided
        | LoginOutcome::TicketInvalid => Ok(LoadedSession::Anonymous),
    }
}

async fn new_login(
    config: &Config,
    migration: &Migration,
    old: &OldSession,
    req: &HttpRequest,
) -> Result<NewLogin, RegistryError> {
    let user = old.user.clone();
    let mut login = config.new_login(user, &SignInOptions::new(), &config.policy).await?;
    login.key = old.key;
    login.logged_in_at = old.logged_in_at;
    // The time of the authentication is unknown, so the session is not fresh.
    login.remembered = old.logged_in_at.is_none();
    login.client = config.client(req);
    login.adopted_until = Some(migration.until());
    if !login.limit.may_refuse() {
        // A request for an image may adopt the session but must not evict others. The first active
        // request enforces the limit.
        login.limit.max_sessions = Limit::Off;
    }
    // Data is not lost because it is too large when it is encrypted.
    login.data = config.stored_data(old.data.clone(), &login.key).unwrap_or_else(|error| {
        let event = "sys_session_too_large";
        tracing::warn!(event, %error, "data of an adopted session not encrypted");
        old.data.clone()
    });
    Ok(login)
}
