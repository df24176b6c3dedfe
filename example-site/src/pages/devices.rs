//! Where somebody is signed in, and a way to end it there.

use actix_identity::Identity;
use actix_web::{
    Error, HttpRequest, HttpResponse, Result, Scope, error::ErrorServiceUnavailable,
    http::StatusCode, web,
};
use askama::Template;
use session_expire::{FlashMessages, PublicId, Query, SessionHandle, SessionVars};

use super::{html, refusal, see_other};
use crate::{device::Device, same_site::SameSite, users::User, words::Limits};

/// So many past sessions are shown.
const PAST: usize = 20;

pub(super) fn service() -> Scope {
    web::scope("/devices")
        .service(web::resource("").route(web::get().to(list)))
        .service(web::resource("/end-others").route(web::post().to(end_others)))
        .service(web::resource("/{id}/end").route(web::post().to(end)))
}

#[derive(Template)]
#[template(path = "devices.html")]
struct Devices {
    user: Option<&'static User>,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
    live: Vec<Device>,
    past: Vec<Device>,
}

async fn list(
    user: Identity,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
    handle: SessionHandle,
) -> Result<HttpResponse> {
    let user = User::of(&user)?;
    let all = Query { user: Some(user.name.into()), ..Query::default() };
    let records = handle.sessions().find(all).await.map_err(ErrorServiceUnavailable)?;
    let devices = records.iter().map(|record| Device::of(record, handle.now(), handle.id()));
    let (mut live, past): (Vec<_>, Vec<_>) = devices.partition(|device| device.end.is_none());
    live.sort_by_key(|device| !device.is_current);
    let past = past.into_iter().take(PAST).collect();
    html(&Devices { user: Some(user), session, messages, limits, live, past })
}

/// The page for a session that is nobody's, or somebody else's: which of the two is not said.
fn unknown(req: &HttpRequest) -> Error {
    refusal::error(
        StatusCode::NOT_FOUND,
        "There is no such session",
        "It may have been forgotten. Open the list of your devices again.",
        req,
    )
}

async fn end(
    _: SameSite,
    user: Identity,
    id: web::Path<String>,
    handle: SessionHandle,
    messages: FlashMessages,
    req: HttpRequest,
) -> Result<HttpResponse> {
    let (user, sessions) = (User::of(&user)?, handle.sessions());
    let id = PublicId::parse(&id).ok_or_else(|| unknown(&req))?;
    if handle.id() == Some(id) {
        handle.sign_out();
        messages.success("You have signed out.");
        return Ok(see_other("/login"));
    }
    let all = Query { user: Some(user.name.into()), ..Query::default() };
    let records = sessions.find(all).await.map_err(ErrorServiceUnavailable)?;
    let record = records.iter().find(|record| record.id == id).ok_or_else(|| unknown(&req))?;
    let name = Device::of(record, handle.now(), None).name;
    match sessions.end(user.name, id).await.map_err(ErrorServiceUnavailable)? {
        true => messages.success(format!("Signed out on {name}.")),
        false => messages.info(format!("The session on {name} was over already.")),
    }
    Ok(see_other("/devices"))
}

async fn end_others(
    _: SameSite,
    user: Identity,
    handle: SessionHandle,
    messages: FlashMessages,
) -> Result<HttpResponse> {
    let user = User::of(&user)?;
    let Some(own) = handle.id() else { return Ok(see_other("/devices")) };
    let ended = handle.sessions().end_others(user.name, own).await;
    match ended.map_err(ErrorServiceUnavailable)? {
        0 => messages.info("You are signed in nowhere else."),
        1 => messages.success("Signed out on one other device."),
        many => messages.success(format!("Signed out on {many} other devices.")),
    }
    Ok(see_other("/devices"))
}
