//! Devices page: lists and ends the sessions of a user.

mod lists;
mod open;
mod position;

use std::time::Duration;

use actix_web::{Error, HttpRequest, HttpResponse, Result, Scope, http::StatusCode, web};
use askama::Template;
use session_expire::{
    FlashMessages, Limit, PolicyPatch, PublicId, SessionHandle, SessionVars,
    registry::{Query, SessionRecord},
};

use self::{
    lists::{Lists, Others},
    position::{Params, Position},
};
use super::{error_page, html, see_other};
use crate::{
    device::device_name,
    language::Language,
    layout::{Appearance, Layout},
    users::{SignedIn, User},
};

/// Option of the page: `true` if its script updates the lists.
#[derive(Clone, Copy)]
struct IsLive(bool);

/// The handlers that end sessions require a fresh session (OWASP ASVS 5.0 7.5.2). The page that
/// asks before all other sessions end requires one, too.
pub(super) fn service(fresh: Limit<Duration>, is_live: bool) -> Scope {
    let patch = || PolicyPatch::new().fresh(fresh);
    let lists =
        web::resource("/lists").get(lists).head(lists).wrap(PolicyPatch::new().passive(true));
    web::scope("/devices")
        .app_data(web::Data::new(IsLive(is_live)))
        .service(web::resource("").get(page).head(page))
        .service(lists)
        .service(web::resource("/others").get(ask).head(ask).wrap(patch()))
        .service(web::resource("/end-others").post(end_others).wrap(patch()))
        .service(web::resource("/{id}/end").post(end).wrap(patch()))
}

#[derive(Template)]
#[template(path = "devices.html")]
struct Devices {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    lists: Lists,
    position: Position,
    is_live: bool,
}

async fn page(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    handle: SessionHandle,
    params: Option<web::Query<Params>>,
    is_live: web::Data<IsLive>,
) -> Result<HttpResponse> {
    let position = params.map(|params| Position::new(&params)).unwrap_or_default();
    let lists = Lists::load(&user, &handle, &position, *layout).await?;
    let IsLive(is_live) = **is_live;
    html(&Devices { user: Some(user), session, messages, layout, lists, position, is_live })
}

/// Returns only the lists, for the script that updates the page.
async fn lists(
    user: SignedIn,
    handle: SessionHandle,
    params: Option<web::Query<Params>>,
    req: HttpRequest,
) -> Result<HttpResponse> {
    let position = params.map(|params| Position::new(&params)).unwrap_or_default();
    html(&Lists::load(&user, &handle, &position, Appearance::new(&req)).await?)
}

#[derive(Template)]
#[template(path = "end_others.html")]
struct EndOthers {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    others: Others,
}

/// Asks before all other sessions end. With JavaScript, a dialog of the devices page asks instead.
async fn ask(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    handle: SessionHandle,
) -> Result<HttpResponse> {
    let others = Others::load(&user, &handle).await?;
    html(&EndOthers { user: Some(user), session, messages, layout, others })
}

/// Returns the error for an unknown session. The error is the same for a session of another user.
fn unknown_session(req: &HttpRequest) -> Error {
    let language = Language::new(req);
    error_page::error(
        StatusCode::NOT_FOUND,
        language.t("This session does not exist"),
        language.t("Its record may have been deleted. Open your list of devices again."),
        req,
    )
}

async fn end(
    user: SignedIn,
    id: web::Path<String>,
    handle: SessionHandle,
    messages: FlashMessages,
    language: Language,
    req: HttpRequest,
) -> Result<HttpResponse> {
    let id = PublicId::parse(&id).ok_or_else(|| unknown_session(&req))?;
    if handle.id() == Some(id) {
        handle.sign_out();
        messages.success(language.t("You have signed out."));
        return Ok(see_other("/login"));
    }
    let record = find(&user, id, &handle).await?.ok_or_else(|| unknown_session(&req))?;
    let device = device_name(&record.client, language);
    let text = |text| language.fill(text, [("device", &device)]);
    match handle.sessions().end(user.name, id).await? {
        true => messages.success(text("You ended the session on {device}.")),
        false => messages.info(text("The session on {device} had already ended.")),
    }
    Ok(see_other("/devices"))
}

/// Returns a session of `user`, open or ended.
async fn find(user: &User, id: PublicId, handle: &SessionHandle) -> Result<Option<SessionRecord>> {
    let all = Query::all(user.name);
    let records = handle.sessions().list(all).await?;
    Ok(records.into_iter().find(|record| record.id == id))
}

async fn end_others(
    user: SignedIn,
    handle: SessionHandle,
    messages: FlashMessages,
    language: Language,
) -> Result<HttpResponse> {
    let Some(own) = handle.id() else { return Ok(see_other("/devices")) };
    let ended = handle.sessions().end_others(user.name, own).await;
    match ended? {
        0 => messages.info(language.t("You have no other sessions.")),
        n => messages.success(language.plural(
            n as u64,
            "You ended one other session.",
            "You ended {n} other sessions.",
        )),
    }
    Ok(see_other("/devices"))
}
