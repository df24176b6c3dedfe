//! Commits and cancels logins.

use actix_web::HttpResponse;

use super::{Effects, activity::record_activity, end::end, registry_failed, with_session_cookie};
use crate::{
    context::{RequestContext, changes::UserChange, facts::RequestFacts, pending_login::Guard},
    event::Event,
    response::problem::{configuration_error, too_many_sessions, unavailable},
    session::{
        key::RecordKey,
        login::{LoginOutcome, NewLogin, ReserveOutcome},
        record::SessionRecord,
    },
};

/// The user of a login that did not happen is removed: an outer middleware must not take the user
/// for signed in. The request counts as activity of the session that it came with.
pub(super) async fn cancel(context: &RequestContext, facts: &RequestFacts) -> Effects {
    context.session.remove_user();
    if context.access().is_active() {
        return record_activity(context, facts, false, false).await;
    }
    Effects::default()
}

pub(super) async fn commit_login(
    user: UserChange,
    context: &RequestContext,
    facts: &RequestFacts,
) -> Effects {
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
    if let Err(response) = end_other_user(context, &login, &guard).await {
        guard.cancel().await;
        return Err(response);
    }
    match context.config().registry.commit(login).await {
        Ok(LoginOutcome::Committed { record, ended }) => {
            guard.disarm();
            context.config().emit_ended(&ended);
            context.config().emit(&Event::LoggedIn { user: &record.user, id: record.id });
            Ok((key, record))
        }
        Ok(LoginOutcome::Refused { active }) => {
            guard.disarm();
            Err(refused(context, &active))
        }
        Ok(LoginOutcome::AdoptionClosed) => Err(unavailable()),
        Err(error) => {
            guard.cancel().await;
            Err(registry_failed(context, &error))
        }
    }
}

/// The session limit is reached.
fn refused(context: &RequestContext, active: &[SessionRecord]) -> HttpResponse {
    let user = active.first().map_or("", |record| &record.user);
    context.config().emit(&Event::LoginRefused { user });
    too_many_sessions(active)
}

/// Ends the session that this browser had of another user, before the login evicts any: a login that
/// fails ends no session of its own user.
async fn end_other_user(
    context: &RequestContext,
    login: &NewLogin,
    guard: &Guard,
) -> Result<(), HttpResponse> {
    let other = context.record().filter(|loaded| loaded.record.user != login.user);
    let Some(loaded) = other.filter(|loaded| loaded.record.ended.is_none()) else { return Ok(()) };
    if !guard.is_reserved() {
        match context.reserve(login).await {
            Ok(ReserveOutcome::Reserved) => {}
            Ok(ReserveOutcome::Refused { active }) => return Err(refused(context, &active)),
            Err(error) => return Err(registry_failed(context, &error)),
        }
    }
    let ended = end(context, loaded, context.end_reason(), false).await;
    ended.map(drop).map_err(|error| registry_failed(context, &error))
}
