//! Devices page: sessions of the user, and forms that end them.

use actix_identity::Identity;
use actix_web::{Error, HttpRequest, HttpResponse, Result, Scope, http::StatusCode, web};
use askama::Template;
use session_expire::{FlashMessages, PublicId, Query, SessionHandle, SessionVars};

use super::{error_page, html, see_other};
use crate::{device::Device, format::Limits, users::User};

/// Ended sessions on the page.
const PAST_SHOWN: usize = 20;

pub(super) fn service() -> Scope {
    web::scope("/devices")
        .service(web::resource("").get(list).head(list))
        .service(web::resource("/end-others").post(end_others))
        .service(web::resource("/{id}/end").post(end))
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
    let records = handle.sessions().find(all).await?;
    let devices = records.iter().map(|record| Device::new(record, handle.now(), handle.id()));
    let (mut live, past): (Vec<_>, Vec<_>) = devices.partition(|device| device.end.is_none());
    live.sort_by_key(|device| !device.is_current);
    let past = past.into_iter().take(PAST_SHOWN).collect();
    html(&Devices { user: Some(user), session, messages, limits, live, past })
}

/// Returns the same error for a session that does not exist and for one of another user.
fn unknown(req: &HttpRequest) -> Error {
    error_page::error(
        StatusCode::NOT_FOUND,
        "There is no such session",
        "Its record may have been deleted. Open the list of your devices again.",
        req,
    )
}

async fn end(
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
    let records = sessions.find(all).await?;
    let record = records.iter().find(|record| record.id == id).ok_or_else(|| unknown(&req))?;
    let name = Device::new(record, handle.now(), None).name;
    match sessions.end(user.name, id).await? {
        true => messages.success(format!("Signed out on {name}.")),
        false => messages.info(format!("The session on {name} had ended already.")),
    }
    Ok(see_other("/devices"))
}

async fn end_others(
    user: Identity,
    handle: SessionHandle,
    messages: FlashMessages,
) -> Result<HttpResponse> {
    let user = User::of(&user)?;
    let Some(own) = handle.id() else { return Ok(see_other("/devices")) };
    let ended = handle.sessions().end_others(user.name, own).await;
    match ended? {
        0 => messages.info("You are not signed in on any other device."),
        1 => messages.success("Signed out on one other device."),
        many => messages.success(format!("Signed out on {many} other devices.")),
    }
    Ok(see_other("/devices"))
}
