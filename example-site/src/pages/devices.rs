//! Devices page: lists and ends the sessions of a user.

use std::time::Duration;

use actix_web::{Error, HttpRequest, HttpResponse, Result, Scope, http::StatusCode, web};
use askama::Template;
use session_expire::{
    FlashMessages, Limit, PolicyPatch, PublicId, SessionHandle, SessionVars,
    registry::{Query, SessionRecord},
};

use super::{error_page, html, see_other};
use crate::{
    device::Device,
    layout::Layout,
    users::{SignedIn, User},
};

/// Number of ended sessions on the page.
const PAST_SHOWN: usize = 20;

/// Option of the page: `true` if its script updates the lists.
#[derive(Clone, Copy)]
struct IsLive(bool);

/// The handlers that end sessions require a fresh session (OWASP ASVS 5.0 7.5.2).
pub(super) fn service(fresh: Limit<Duration>, is_live: bool) -> Scope {
    let patch = || PolicyPatch::new().fresh(fresh);
    let lists = web::resource("/lists").get(lists).wrap(PolicyPatch::new().passive(true));
    web::scope("/devices")
        .app_data(web::Data::new(IsLive(is_live)))
        .service(web::resource("").get(page).head(page))
        .service(lists)
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
    is_live: bool,
}

/// Active and past sessions.
#[derive(Template)]
#[template(path = "device_lists.html")]
struct Lists {
    active: Vec<Device>,
    past: Vec<Device>,
}

impl Lists {
    async fn load(user: &User, handle: &SessionHandle) -> Result<Self> {
        let all = Query::all(user.name);
        let records = handle.sessions().list(all).await?;
        let devices = Device::list(&records, handle.now(), handle.id()).into_iter();
        let (mut active, past): (Vec<_>, Vec<_>) = devices.partition(|device| device.end.is_none());
        active.sort_by_key(|device| !device.is_current);
        Ok(Self { active, past: past.into_iter().take(PAST_SHOWN).collect() })
    }
}

async fn page(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    handle: SessionHandle,
    is_live: web::Data<IsLive>,
) -> Result<HttpResponse> {
    let lists = Lists::load(&user, &handle).await?;
    let IsLive(is_live) = **is_live;
    html(&Devices { user: Some(user), session, messages, layout, lists, is_live })
}

/// Returns only the lists, for the script that updates the page.
async fn lists(user: SignedIn, handle: SessionHandle) -> Result<HttpResponse> {
    html(&Lists::load(&user, &handle).await?)
}

/// Returns the error for an unknown session. The error is the same for a session of another user.
fn unknown_session(req: &HttpRequest) -> Error {
    error_page::error(
        StatusCode::NOT_FOUND,
        "This session does not exist",
        "Its record may have been deleted. Open your list of devices again.",
        req,
    )
}

async fn end(
    user: SignedIn,
    id: web::Path<String>,
    handle: SessionHandle,
    messages: FlashMessages,
    req: HttpRequest,
) -> Result<HttpResponse> {
    let id = PublicId::parse(&id).ok_or_else(|| unknown_session(&req))?;
    if handle.id() == Some(id) {
        handle.sign_out();
        messages.success("You have signed out.");
        return Ok(see_other("/login"));
    }
    let record = find(&user, id, &handle).await?.ok_or_else(|| unknown_session(&req))?;
    let name = Device::new(&record, handle.now(), None).name;
    match handle.sessions().end(user.name, id).await? {
        true => messages.success(format!("You ended the session on {name}.")),
        false => messages.info(format!("The session on {name} had already ended.")),
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
) -> Result<HttpResponse> {
    let Some(own) = handle.id() else { return Ok(see_other("/devices")) };
    let ended = handle.sessions().end_others(user.name, own).await;
    match ended? {
        0 => messages.info("You have no other sessions."),
        1 => messages.success("You ended one other session."),
        many => messages.success(format!("You ended {many} other sessions.")),
    }
    Ok(see_other("/devices"))
}
