//! Carries out a decision: operations of the registry, cookies and events.

use std::rc::Rc;

use actix_web::{HttpResponse, cookie::Cookie};

use super::decision::{Action, Decision};
use crate::{
    context::{
        RequestContext, access::AccessState, changes::UserChange, facts::RequestFacts,
        load::LoadedRecord, pending_login::Guard,
    },
    cookies::AnonymousTooLarge,
    error::RegistryError,
    event::Event,
    facts::Reason,
    limit::Limit,
    registry::{
        end::{EndSessions, EndTarget},
        key::RecordKey,
        login::{LoginOutcome, NewLogin},
        record::{Ended, SessionRecord, SessionUpdate, UpdateOutcome},
        rotation::{KeyRotation, RotationOutcome},
    },
    response::problem::{configuration_error, too_many_sessions, unavailable},
};

/// What a response gets from a decision.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) cookies: Vec<Cookie<'static>>,
    /// In the place of the handler's response.
    pub(crate) response: Option<HttpResponse>,
}

impl Effects {
    fn response(response: HttpResponse) -> Self {
        Self { cookies: vec![], response: Some(response) }
    }
}

/// Does what was decided. Every path that commits no login cancels one that was reserved.
pub(crate) async fn carry_out(
    decision: &Decision,
    user: UserChange,
    context: &Rc<RequestContext>,
    facts: &RequestFacts,
) -> Effects {
    if decision.action != Action::CommitLogin {
        context.cancel_login().await;
    }
    emit_refused(context);
    match decision.action {
        Action::WriteNothing => Effects::default(),
        Action::WriteAnonymous | Action::Restore => write_anonymous(decision, context).await,
        Action::RecordActivity { stores_data, enforces_limit } => {
            record_activity(context, facts, stores_data, enforces_limit).await
        }
        Action::RotateKey => rotate_key(context, facts).await,
        Action::CommitLogin => commit_login(user, context, facts).await,
        Action::CancelLogin => cancel(context, facts).await,
        Action::End => sign_out(context).await,
        Action::EndWithoutCookie => end_expired(context).await,
    }
}

/// The key of an ended session was used again.
fn emit_refused(context: &RequestContext) {
    if let AccessState::Expired(reason) = *context.access()
        && is_dead(context)
    {
        context.config().emit(&Event::Refused { reason });
    }
}

/// Returns `true` if the key of the request can never be used again.
fn is_dead(context: &RequestContext) -> bool {
    context.record().is_none_or(|loaded| loaded.record.ended.is_some())
}

async fn write_anonymous(decision: &Decision, context: &RequestContext) -> Effects {
    if decision.action == Action::Restore {
        store_writes_before_suspension(context).await;
        if context.intent().queries_status {
            return Effects::default();
        }
    }
    let is_dead = is_dead(context);
    match anonymous_cookie(context, is_dead) {
        Ok(cookie) => Effects { cookies: cookie.into_iter().collect(), response: None },
        Err(error) => {
            tracing::error!(event = "sys_anonymous_too_large", %error, "anonymous session not stored");
            Effects::response(configuration_error())
        }
    }
}

/// What a middleware wrote to the record before a stricter layer suspended the session is stored:
/// the session goes on elsewhere.
async fn store_writes_before_suspension(context: &RequestContext) {
    let data = context.record_changes();
    let Some(loaded) = context.record().filter(|_| !data.is_empty()) else { return };
    let update = SessionUpdate { data, ..SessionUpdate::new(context.config().now()) };
    let updated = context.config().registry.update(loaded.record.session_ref(), update).await;
    if let Err(error) = updated {
        context.config().emit_failure(&error);
    }
}

/// Returns the anonymous cookie if it changes. A cookie whose content is gone is removed.
fn anonymous_cookie(
    context: &RequestContext,
    is_dead: bool,
) -> Result<Option<Cookie<'static>>, AnonymousTooLarge> {
    if !context.may_change_anonymous() {
        return Ok(None);
    }
    let (before, state) = (&context.cookies.anonymous, context.anonymous_state(is_dead));
    let cookies = &context.config().cookies;
    if before.has_same_content(&state) {
        return Ok(None);
    }
    if state.is_empty() {
        let has_cookie = context.cookies.has_anonymous_cookie;
        return Ok(has_cookie.then(|| cookies.removed_anonymous_cookie()));
    }
    if !state.data.is_empty() {
        context.config().diagnostics.count_session_without_user();
    }
    cookies.anonymous_cookie(state, context.now).map(Some)
}

async fn record_activity(
    context: &RequestContext,
    facts: &RequestFacts,
    stores_data: bool,
    enforces_limit: bool,
) -> Effects {
    let Some(loaded) = context.record() else { return Effects::default() };
    context.config().diagnostics.saw_user();
    let update = update(context, loaded, facts, stores_data);
    let has_data = !update.data.is_empty();
    if !update.is_empty() {
        let updated = context.config().registry.update(loaded.record.session_ref(), update).await;
        if let Some(response) = failed_update(context, updated, has_data) {
            return Effects::response(response);
        }
    }
    if enforces_limit {
        enforce(context, loaded).await;
    }
    Effects::default()
}

/// Returns the update of this request: its activity, if that is due, and what it has changed.
fn update(
    context: &RequestContext,
    loaded: &LoadedRecord,
    facts: &RequestFacts,
    stores_data: bool,
) -> SessionUpdate {
    // Now, not when the request came in: what others have done meanwhile is not the future.
    let mut update = SessionUpdate::new(context.config().now());
    if let Some(active_at) = context.due_activity(&loaded.record, || facts.is_passive) {
        update = update.active(active_at);
        update.client = Some(facts.client.clone());
    }
    if stores_data && (context.has_messages() || !context.is_session_unchanged()) {
        update.data = context.record_changes();
    }
    update
}

/// Data that could not be stored is an error; activity that could not is only logged. A session that
/// has ended meanwhile stores nothing.
fn failed_update(
    context: &RequestContext,
    updated: Result<UpdateOutcome, RegistryError>,
    has_data: bool,
) -> Option<HttpResponse> {
    match updated {
        Ok(UpdateOutcome::Updated | UpdateOutcome::Ended) => None,
        Ok(UpdateOutcome::TooLarge) => {
            tracing::error!(event = "sys_session_too_large", "session data not stored");
            Some(configuration_error())
        }
        Err(error) => {
            context.config().emit_failure(&error);
            has_data.then(unavailable)
        }
    }
}

async fn enforce(context: &RequestContext, loaded: &LoadedRecord) {
    let Some(limit) = context.exceeded_limit() else { return };
    // Without a device: no login has taken the place.
    let ended = Ended::new(Reason::Evicted, context.config().now());
    let session = loaded.record.session_ref();
    match context.config().registry.enforce_limit(session, limit, ended).await {
        Ok(ended) => context.config().emit_ended(&ended),
        Err(error) => context.config().emit_failure(&error),
    }
}

async fn rotate_key(context: &RequestContext, facts: &RequestFacts) -> Effects {
    let Some(loaded) = context.record() else { return Effects::default() };
    warn_if_near_end(context);
    let update = update(context, loaded, facts, true);
    let rotation = KeyRotation::new(loaded.record.session_ref(), loaded.key, update);
    let to = rotation.to;
    match context.config().registry.rotate(rotation).await {
        Ok(RotationOutcome::Rotated) => with_session_cookie(context, &to, &loaded.record),
        Ok(RotationOutcome::Lost | RotationOutcome::Ended) => Effects::default(),
        Ok(RotationOutcome::TooLarge) => {
            tracing::error!(event = "sys_session_too_large", "session data not stored");
            Effects::response(configuration_error())
        }
        Err(error) => {
            context.config().emit_failure(&error);
            Effects::response(unavailable())
        }
    }
}

/// `Identity::login` of the same user renews the key only, which surprises a login form.
fn warn_if_near_end(context: &RequestContext) {
    if let AccessState::Active(deadlines) = *context.access()
        && let (Limit::At(left), Some(warning)) = (deadlines.nearest(), context.policy().warning())
        && left <= warning
    {
        context.config().diagnostics.warn_same_user_login();
    }
}

/// The user of a login that did not happen is removed: an outer middleware must not take the user
/// for signed in. The request counts as activity of the session that it came with.
async fn cancel(context: &RequestContext, facts: &RequestFacts) -> Effects {
    context.session.remove_user();
    if context.access().is_active() {
        return record_activity(context, facts, false, false).await;
    }
    Effects::default()
}

async fn commit_login(user: UserChange, context: &RequestContext, facts: &RequestFacts) -> Effects {
    let UserChange::SignedIn(user) = user else { return Effects::default() };
    let committed = match context.login_to_commit(user, &facts.client).await {
        Ok((login, guard)) => commit(context, login, guard).await,
        Err(error) => Err(registry_failed(context, &error)),
    };
    match committed {
        Ok((key, record)) => {
            context.config().diagnostics.saw_user();
            with_session_cookie(context, &key, &record)
        }
        Err(response) => {
            cancel(context, facts).await;
            Effects::response(response)
        }
    }
}

async fn commit(
    context: &RequestContext,
    mut login: NewLogin,
    mut guard: Guard,
) -> Result<(RecordKey, SessionRecord), HttpResponse> {
    let key = login.key;
    match context.login_data(&login.user) {
        Ok(data) => login.data = data,
        Err(error) => {
            guard.cancel().await;
            tracing::error!(event = "sys_session_too_large", %error, "login refused");
            return Err(configuration_error());
        }
    }
    match context.config().registry.commit(login).await {
        Ok(LoginOutcome::Committed { record, ended }) => {
            context.config().emit_ended(&ended);
            if let Err(error) = end_other_user(context, &record).await {
                guard.cancel().await;
                return Err(registry_failed(context, &error));
            }
            guard.disarm();
            context.config().emit(&Event::LoggedIn { user: &record.user, id: record.id });
            Ok((key, record))
        }
        Ok(LoginOutcome::Refused { active }) => {
            guard.disarm();
            let user = active.first().map_or("", |record| &record.user);
            context.config().emit(&Event::LoginRefused { user });
            Err(too_many_sessions(&active))
        }
        Ok(LoginOutcome::AdoptionClosed) => Err(unavailable()),
        Err(error) => {
            guard.cancel().await;
            Err(registry_failed(context, &error))
        }
    }
}

/// Ends the session that this browser had of another user; a login takes the slot of its own user.
async fn end_other_user(
    context: &RequestContext,
    new: &SessionRecord,
) -> Result<(), RegistryError> {
    match context.record().filter(|loaded| loaded.record.user != new.user) {
        Some(loaded) if loaded.record.ended.is_none() => {
            end(context, loaded, context.end_reason()).await.map(drop)
        }
        _ => Ok(()),
    }
}

/// Ends a session. Returns `false` if it had ended meanwhile.
async fn end(
    context: &RequestContext,
    loaded: &LoadedRecord,
    reason: Reason,
) -> Result<bool, RegistryError> {
    let config = context.config();
    let ended = Ended::new(reason, config.now());
    let mut request = EndSessions::new(EndTarget::Session(loaded.record.session_ref()), ended);
    if reason == Reason::LoggedOut {
        request.close_adoption_until = config.close_adoption_until();
    }
    let ended = config.registry.end(request).await?;
    config.emit_ended(&ended);
    Ok(!ended.is_empty())
}

/// "You have signed out" must not be said while a copy of the cookie still works. The cookie of a
/// session that had ended before stays: the browser may have another one by now.
async fn sign_out(context: &RequestContext) -> Effects {
    let ended = match context.record().filter(|loaded| loaded.record.ended.is_none()) {
        None => Ok(false),
        Some(loaded) => end(context, loaded, context.end_reason()).await,
    };
    let ends_now = match ended {
        Ok(ends_now) => ends_now,
        Err(error) => return Effects::response(registry_failed(context, &error)),
    };
    let cookies = &context.config().cookies;
    let mut effects = Effects::default();
    if ends_now {
        effects.cookies.push(cookies.removed_session_cookie());
    }
    context.drop_record_messages();
    let state = context.signed_out_state(ends_now);
    if !state.is_empty() {
        effects.cookies.extend(cookies.anonymous_cookie(state, context.now).ok());
    } else if context.cookies.has_anonymous_cookie {
        effects.cookies.push(cookies.removed_anonymous_cookie());
    }
    effects
}

/// Ends an expired session. What the request wrote as an anonymous visitor's stays the visitor's.
async fn end_expired(context: &RequestContext) -> Effects {
    let mut is_dead = is_dead(context);
    if let Some(loaded) = context.record().filter(|_| !is_dead) {
        match end(context, loaded, context.end_reason()).await {
            Ok(_) => is_dead = true,
            Err(error) => context.config().emit_failure(&error),
        }
    }
    let cookie = anonymous_cookie(context, is_dead).ok().flatten();
    Effects { cookies: cookie.into_iter().collect(), response: None }
}

/// Returns the cookie of a session; the anonymous cookie is no longer needed.
fn with_session_cookie(
    context: &RequestContext,
    key: &RecordKey,
    record: &SessionRecord,
) -> Effects {
    let cookies = &context.config().cookies;
    let mut effects = Effects::default();
    effects.cookies.push(cookies.session_cookie(key, remaining_lifetime(context, record)));
    if context.cookies.has_anonymous_cookie {
        effects.cookies.push(cookies.removed_anonymous_cookie());
    }
    effects
}

/// A login with a policy of its own outlives the browser, for as long as it lasts.
fn remaining_lifetime(
    context: &RequestContext,
    record: &SessionRecord,
) -> Option<std::time::Duration> {
    let absolute = record.login_policy.as_ref()?.absolute?;
    match absolute {
        Limit::At(absolute) => Some(record.authenticated_at.plus(absolute).since(context.now)),
        Limit::Off => Some(std::time::Duration::MAX),
    }
}

fn registry_failed(context: &RequestContext, error: &RegistryError) -> HttpResponse {
    context.config().emit_failure(error);
    unavailable()
}
