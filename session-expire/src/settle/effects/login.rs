//! Commit and cancellation of logins.
//!
//! A login that fails ends no session of its user and is cancelled.

use actix_web::HttpResponse;

use super::{Effects, activity::record_activity, end::end, registry_failed, with_session_cookie};
use crate::{
    context::{
        RequestContext, changes::UserChange, facts::RequestFacts, pending_login::LoginGuard,
    },
    event::Event,
    response::problem::{configuration_error, too_many_sessions, unavailable},
    session::{
        key::RecordKey,
        login::{LoginOutcome, NewLogin, ReserveOutcome},
        record::SessionRecord,
    },
};

/// Removes the user of a failed login from the session, because an outer middleware may read it.
/// The request counts as activity of its previous session.
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
            context.config().diagnostics.record_user();
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
    mut guard: LoginGuard,
) -> Result<(RecordKey, SessionRecord), HttpResponse> {
    let key = login.key;
    let data = context.login_data(&login.user);
    match data.and_then(|data| context.config().stored_data(data, &key)) {
        Ok(data) => login.data = data,
        Err(error) => {
            guard.cancel().await;
            tracing::error!(
                event = "sys_session_too_large",
                %error,
                "session data over the size limit"
            );
            return Err(configuration_error());
        }
    }
    if let Err(response) = end_other_user(context, &mut login, &guard).await {
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
            Err(refuse_login(context, &active))
        }
        Ok(LoginOutcome::AdoptionClosed | LoginOutcome::Voided) => Err(unavailable()),
        Err(error) => {
            guard.cancel().await;
            Err(registry_failed(context, &error))
        }
    }
}

/// Emits the refusal, and returns the response that lists the active sessions.
fn refuse_login(context: &RequestContext, active: &[SessionRecord]) -> HttpResponse {
    let user = active.first().map_or("", |record| &record.user);
    context.config().emit(&Event::LoginRefused { user });
    too_many_sessions(active)
}

/// Ends this browser's session of another user.
///
/// It runs before the commit, which evicts sessions of `login.user`. If it fails, none of them
/// ends.
async fn end_other_user(
    context: &RequestContext,
    login: &mut NewLogin,
    guard: &LoginGuard,
) -> Result<(), HttpResponse> {
    let other = context.record().filter(|loaded| loaded.record.user != login.user);
    let Some(loaded) = other.filter(|loaded| loaded.record.ended.is_none()) else { return Ok(()) };
    if !guard.is_reserved() {
        match context.reserve(login).await {
            Ok(ReserveOutcome::Reserved { generation }) => login.reserved_in = Some(generation),
            Ok(ReserveOutcome::Refused { active }) => return Err(refuse_login(context, &active)),
            Err(error) => return Err(registry_failed(context, &error)),
        }
    }
    let ended = end(context, loaded, context.end_reason(), false).await;
    ended.map(drop).map_err(|error| registry_failed(context, &error))
}
