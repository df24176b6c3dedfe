//! Commit and cancellation of logins.
//!
//! A login that fails ends no session of its user and is cancelled.

use std::sync::Arc;

use actix_web::HttpResponse;

use super::{Effects, activity::record_activity, end::end, registry_failed, with_session_cookie};
use crate::{
    context::{
        RequestContext, changes::UserChange, facts::RequestFacts, load::LoadedRecord,
        login::pending::LoginGuard, span::record_session_id,
    },
    event::Event,
    response::{
        problem::{configuration_error, sign_in_expired, unavailable},
        refused_login::refused_login,
    },
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
        Ok((login, guard)) => commit(context, login, guard, facts).await,
        Err(error) => Err(registry_failed(context, &error)),
    };
    match committed {
        Ok((key, record)) => {
            context.config().diagnostics.record_user();
            record_session_id(record.id);
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
    facts: &RequestFacts,
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
    // A takeover reserves no slot and may fail. The session of another user then continues.
    let takes_over = login.takeover.is_some();
    if !takes_over && let Err(response) = end_other_user(context, &mut login, &guard, facts).await {
        guard.cancel().await;
        return Err(response);
    }
    let earlier = context.config().earlier_logins(&login.user).await;
    let (user, actor) = (Arc::clone(&login.user), login.actor.clone());
    let replaces = login.replaces.map(|(id, _)| id);
    match context.config().registry.commit(login).await {
        Ok(LoginOutcome::Committed { record, ended }) => {
            guard.disarm();
            context.config().emit_ended(&ended, Some(&facts.client));
            let is_previous_open = match replaces {
                Some(id) => !ended.iter().any(|ended| ended.id == id),
                None => takes_over,
            };
            if is_previous_open {
                end_previous(context, &record, facts).await;
            }
            context.config().emit(&Event::from_login(&record, earlier.as_deref()));
            Ok((key, record))
        }
        Ok(LoginOutcome::Refused { active }) => {
            guard.disarm();
            Err(refuse_login(context, (&user, actor.as_deref()), &active, facts))
        }
        Ok(LoginOutcome::TicketInvalid) => {
            guard.disarm();
            let event = Event::ticket_refused(&*user).with_requester(&facts.client);
            context.config().emit(&event);
            Err(sign_in_expired())
        }
        Ok(LoginOutcome::AdoptionClosed | LoginOutcome::Voided) => Err(unavailable()),
        Err(error) => {
            guard.cancel().await;
            Err(registry_failed(context, &error))
        }
    }
}

/// Emits the refusal, and returns the response that lists the active sessions.
fn refuse_login(
    context: &RequestContext,
    (user, actor): (&str, Option<&str>),
    active: &[SessionRecord],
    facts: &RequestFacts,
) -> HttpResponse {
    let requester = Some(&facts.client);
    context.config().emit(&Event::LoginRefused { user, actor, requester });
    let (config, policy) = (context.config(), context.policy());
    let refused_url = config.login_pages.refused.as_deref();
    refused_login(&facts.info, refused_url, &policy.login_url, active)
}

/// Ends this browser's session of another user.
///
/// It runs before the commit, which evicts sessions of `login.user`. If it fails, none of them
/// ends.
async fn end_other_user(
    context: &RequestContext,
    login: &mut NewLogin,
    guard: &LoginGuard,
    facts: &RequestFacts,
) -> Result<(), HttpResponse> {
    if other_session(context, &login.user).is_none() {
        return Ok(());
    }
    if !guard.is_reserved() {
        match context.reserve(login).await {
            Ok(ReserveOutcome::Reserved { generation }) => login.reserved_in = Some(generation),
            Ok(ReserveOutcome::Refused { active }) => {
                let who = (&*login.user, login.actor.as_deref());
                return Err(refuse_login(context, who, &active, facts));
            }
            Err(error) => return Err(registry_failed(context, &error)),
        }
    }
    end_session_of_other(context, &login.user, facts).await
}

/// Ends this browser's previous session if the commit of the login `record` has not ended it. This
/// is the session of another user before a takeover, or a session that a parallel request has
/// re-authenticated.
///
/// If it fails, the login continues: the browser no longer has the previous key.
async fn end_previous(context: &RequestContext, record: &SessionRecord, facts: &RequestFacts) {
    let previous = context.record().filter(|loaded| loaded.record.ended.is_none());
    if let Some(loaded) = previous.filter(|loaded| loaded.record.id != record.id)
        && let Err(error) = end(context, loaded, facts, context.end_reason(), false).await
    {
        context.config().emit_failure(&error);
    }
}

async fn end_session_of_other(
    context: &RequestContext,
    user: &str,
    facts: &RequestFacts,
) -> Result<(), HttpResponse> {
    let Some(loaded) = other_session(context, user) else { return Ok(()) };
    let ended = end(context, loaded, facts, context.end_reason(), false).await;
    ended.map(drop).map_err(|error| registry_failed(context, &error))
}

/// Returns this browser's open session if it is that of another user than `user`.
fn other_session<'a>(context: &'a RequestContext, user: &str) -> Option<&'a LoadedRecord> {
    let is_other = |record: &SessionRecord| *record.user != *user && record.ended.is_none();
    context.record().filter(|loaded| is_other(&loaded.record))
}
