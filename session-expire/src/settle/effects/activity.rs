//! Updates of records: activity, changed data, key rotation and the session limit.
//!
//! A failed update that contains only activity is logged. Any other failure is an error response.

use actix_web::HttpResponse;

use super::{Effects, end::challenge_ended, registry_failed, with_session_cookie};
use crate::{
    context::{
        RequestContext,
        access::AccessState,
        facts::RequestFacts,
        load::{LoadedRecord, current_record, update_rotated},
        span::record_session_id,
    },
    error::RegistryError,
    event::Event,
    policy::limit::Limit,
    registry::rotation::{KeyRotation, RotationOutcome},
    response::problem::{configuration_error, unavailable},
    session::{
        ended::Ended,
        key::{PublicId, RecordKey},
        reason::Reason,
        record::SessionRecord,
        update::{SessionUpdate, UpdateOutcome},
    },
};

pub(super) async fn record_activity(
    context: &RequestContext,
    facts: &RequestFacts,
    stores_data: bool,
    enforces_limit: bool,
) -> Effects {
    let Some(loaded) = context.record() else { return Effects::default() };
    let registry = &context.config().registry;
    let update = session_update(context, loaded, facts, stores_data);
    let has_data = !update.data.is_empty();
    if !update.is_empty() {
        let mut updated = registry.update(loaded.record.session_ref(), update).await;
        if has_data && matches!(updated, Ok(UpdateOutcome::Ended)) {
            let update = session_update(context, loaded, facts, stores_data);
            // Boxed to limit the size of the future for all other requests.
            updated = Box::pin(update_rotated(context.config(), loaded, update)).await;
        }
        if let Some(response) = failed_update(context, updated, has_data) {
            return Effects::response(response);
        }
    }
    if enforces_limit {
        enforce_limit(context, loaded, facts).await;
    }
    Effects::default()
}

/// Returns the update of this request: activity that is due, and changes.
fn session_update(
    context: &RequestContext,
    loaded: &LoadedRecord,
    facts: &RequestFacts,
    stores_data: bool,
) -> SessionUpdate {
    // The time of the request would be too early: parallel requests may have stored later times.
    let mut update = SessionUpdate::new(context.config().now());
    if let Some(active_at) = context.due_activity(&loaded.record, || facts.is_passive) {
        update = update.active(active_at);
        update.longest = context.config().longer_timeouts(&loaded.record);
        update.client = Some(facts.client.clone());
        update.remembered = context.is_remembered(&loaded.record);
    }
    if stores_data && (context.has_messages() || !context.is_session_unchanged()) {
        update.data = context.record_changes();
    }
    update
}

/// Returns the error response of a failed update. It is `None` if only activity was lost, which is
/// logged, or if the session has ended in the meantime.
pub(super) fn failed_update(
    context: &RequestContext,
    updated: Result<UpdateOutcome, RegistryError>,
    has_data: bool,
) -> Option<HttpResponse> {
    match updated {
        Ok(UpdateOutcome::Updated | UpdateOutcome::Ended) => None,
        Ok(UpdateOutcome::TooLarge) => {
            tracing::error!(event = "sys_session_too_large", "session data over the size limit");
            Some(configuration_error())
        }
        Err(error) => {
            context.config().emit_failure(&error);
            has_data.then(unavailable)
        }
    }
}

async fn enforce_limit(context: &RequestContext, loaded: &LoadedRecord, facts: &RequestFacts) {
    let Some(limit) = context.exceeded_limit() else { return };
    // No login has evicted these sessions, so `ended` names no device.
    let ended = Ended::new(Reason::Evicted, context.config().now());
    let session = loaded.record.session_ref();
    match context.config().registry.enforce_limit(session, limit, ended).await {
        Ok(ended) => context.config().emit_ended(&ended, Some(&facts.client)),
        Err(error) => context.config().emit_failure(&error),
    }
}

pub(super) async fn rotate_key(context: &RequestContext, facts: &RequestFacts) -> Effects {
    let Some(loaded) = context.record() else { return Effects::default() };
    warn_if_near_end(context);
    match rotate(context, loaded, facts, None).await {
        Ok(Some(key)) => with_session_cookie(context, &key, &loaded.record),
        Ok(None) => Effects::default(),
        Err(response) => Effects::response(response),
    }
}

/// Gives the session a new key and a new public id, and restarts its timeouts. If a parallel
/// request has rotated the key, sets no cookie and leaves the timeouts unchanged.
pub(super) async fn reauthenticate(context: &RequestContext, facts: &RequestFacts) -> Effects {
    let Some(loaded) = context.record() else { return Effects::default() };
    let mut record = SessionRecord::clone(&loaded.record);
    record.reauthenticate(PublicId::random(), context.config().now());
    match rotate(context, loaded, facts, Some(record.id)).await {
        Ok(Some(key)) => {
            let event = Event::reauthenticated((&record).into());
            context.config().emit(&event.with_requester(&facts.client));
            record_session_id(record.id);
            with_session_cookie(context, &key, &record)
        }
        Ok(None) => unconfirmed(context, loaded, facts).await,
        Err(response) => Effects::response(response),
    }
}

/// Returns the effects of a confirmation that has not rotated the key. If a parallel request has
/// rotated it, nothing changes.
///
/// If the session has ended, the response is the same as for a wrong password. The response of the
/// handler would reveal that the password was right.
async fn unconfirmed(
    context: &RequestContext,
    loaded: &LoadedRecord,
    facts: &RequestFacts,
) -> Effects {
    match current_record(context.config(), loaded).await {
        Ok(Ok(_)) => Effects::default(),
        Ok(Err(ended)) => challenge_ended(context, ended, facts),
        Err(error) => Effects::response(registry_failed(context, &error)),
    }
}

/// Rotates the session key, and stores the changes of this request. Returns the new key, or `None`
/// if a parallel request has already rotated it or the session has ended.
async fn rotate(
    context: &RequestContext,
    loaded: &LoadedRecord,
    facts: &RequestFacts,
    reauthenticated_as: Option<PublicId>,
) -> Result<Option<RecordKey>, HttpResponse> {
    let update = session_update(context, loaded, facts, true);
    let has_data = !update.data.is_empty();
    let mut rotation = KeyRotation::new(loaded.record.session_ref(), loaded.key, update);
    rotation.reauthenticated_as = reauthenticated_as;
    let to = rotation.to;
    if let Some(data_key) = loaded.data_key() {
        data_key.rewrap(&mut rotation.update.data, &loaded.key, &to);
    }
    match context.config().registry.rotate(rotation).await {
        Ok(RotationOutcome::Rotated) => Ok(Some(to)),
        Ok(RotationOutcome::Lost) => Ok(None),
        Ok(RotationOutcome::Ended) => {
            let update = session_update(context, loaded, facts, true);
            let updated = update_rotated(context.config(), loaded, update).await;
            failed_update(context, updated, has_data).map_or(Ok(None), Err)
        }
        Ok(RotationOutcome::TooLarge) => {
            tracing::error!(event = "sys_session_too_large", "session data over the size limit");
            Err(configuration_error())
        }
        Err(error) => {
            context.config().emit_failure(&error);
            Err(unavailable())
        }
    }
}

/// Warns if the key is renewed shortly before the session ends. `Identity::login` for the same user
/// only renews the key; a login form usually needs new timeouts, too.
fn warn_if_near_end(context: &RequestContext) {
    if let AccessState::Active(deadlines) = *context.access()
        && let (Limit::At(left), Some(warning)) = (deadlines.nearest(), context.policy().warning())
        && left <= warning
    {
        context.config().diagnostics.warn_same_user_login();
    }
}
