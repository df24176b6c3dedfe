//! Comparison of a session's security stamp with the user's current credential.
//!
//! A session without a stamp fails the check. If the builder has a callback, the service checks
//! each open session. A handler can check the session of its request.

use actix_web::HttpRequest;

use super::super::{
    RequestContext,
    load::{LoadedRecord, LoadedSession},
};
use crate::{
    config::Config,
    error::RegistryError,
    registry::end::{EndSessions, EndTarget},
    session::{ended::Ended, login::stamp::Stamp, reason::Reason, record::SessionRecord},
};

/// Returns the session after the check: open, ended, or unavailable if the credential could not be
/// read.
pub(crate) async fn check_stamp(
    config: &Config,
    loaded: LoadedSession,
    req: &HttpRequest,
) -> LoadedSession {
    let LoadedSession::Record(record) = loaded else { return loaded };
    let key = record.key;
    match try_check(config, record, req).await {
        Ok(record) => record.map_or(LoadedSession::Unknown(key), LoadedSession::Record),
        Err(error) => {
            config.emit_failure(&error);
            LoadedSession::Unavailable
        }
    }
}

async fn try_check(
    config: &Config,
    loaded: LoadedRecord,
    req: &HttpRequest,
) -> Result<Option<LoadedRecord>, RegistryError> {
    if loaded.record.ended.is_some() || !config.checks_stamps() {
        return Ok(Some(loaded));
    }
    let current = config.current_stamp(&loaded.record.user).await?;
    match has_stamp(&loaded.record, current) {
        true => Ok(Some(loaded)),
        false => end_outdated(config, &loaded, current, req).await,
    }
}

/// Returns `true` if the stamp of the session is `current`. A session or a user without a stamp
/// fails the check.
fn has_stamp(record: &SessionRecord, current: Option<Stamp>) -> bool {
    current.is_some() && record.stamp == current
}

/// Ends a session whose loaded record does not have the stamp `current`, and returns the resulting
/// record; `None` if it was deleted.
///
/// The record is loaded again first: another request of the same session may have changed the
/// credential and stored the new stamp in the meantime.
async fn end_outdated(
    config: &Config,
    loaded: &LoadedRecord,
    current: Option<Stamp>,
    req: &HttpRequest,
) -> Result<Option<LoadedRecord>, RegistryError> {
    let load = async || {
        let stored = config.registry.load(loaded.key, loaded.open.is_some()).await?;
        Ok(stored.map(|stored| LoadedRecord::new(loaded.key, stored)))
    };
    let Some(reloaded) = load().await? else { return Ok(None) };
    if reloaded.record.ended.is_some() || has_stamp(&reloaded.record, current) {
        return Ok(Some(reloaded));
    }
    let ended = Ended::new(Reason::Revoked, config.now()).with_cause(Ended::CREDENTIAL_CHANGED);
    let target = EndTarget::Session(reloaded.record.session_ref());
    let mut request = EndSessions::new(target, ended);
    request.close_adoption_until = config.close_adoption_until();
    let ended = config.registry.end(request).await?;
    config.emit_ended(&ended, Some(&config.client(req)));
    load().await
}

impl RequestContext {
    /// Returns `true` if the session of this request has the stamp `current`. Otherwise the session
    /// ends, and the request continues with an ended session.
    pub(crate) async fn require_stamp(
        &self,
        current: Stamp,
        req: &HttpRequest,
    ) -> Result<bool, RegistryError> {
        let Some(loaded) = self.record() else { return Ok(false) };
        if self.new_stamp.get().or(loaded.record.stamp) == Some(current) {
            return Ok(true);
        }
        let now = self.config().now();
        match end_outdated(self.config(), loaded, Some(current), req).await? {
            None => self.end_during_request(Ended::new(Reason::Unknown, now)),
            Some(LoadedRecord { record, .. }) => match &record.ended {
                None => return Ok(true),
                Some(ended) => self.end_during_request(ended.clone()),
            },
        }
        Ok(false)
    }

    /// Records the stamp that this request has stored.
    pub(crate) fn set_new_stamp(&self, stamp: Stamp) {
        self.new_stamp.set(Some(stamp));
    }
}
