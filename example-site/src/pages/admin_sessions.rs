//! Paginated list of the sessions of all users.

use actix_identity::Identity;
use actix_web::{HttpResponse, Resource, Result, web};
use askama::Template;
use serde::Deserialize;
use session_expire::{
    FlashMessages, PublicId, SessionHandle, SessionVars,
    clock::Timestamp,
    registry::{Query, SessionRecord},
};

use super::{html, see_other};
use crate::{device::Device, format::Limits, users::User};

/// Number of sessions on a page.
const PAGE_LENGTH: usize = 20;

pub(super) fn list() -> Resource {
    web::resource("/sessions").get(list_sessions).head(list_sessions)
}

pub(super) fn end() -> Resource {
    web::resource("/sessions/end").post(end_session)
}

/// Position after the last session of the previous page.
#[derive(Deserialize)]
struct Cursor {
    at: Option<i64>,
    id: Option<String>,
}

impl Cursor {
    fn parse(&self) -> Option<(Timestamp, PublicId)> {
        Some((Timestamp::from_millis(self.at?), PublicId::parse(self.id.as_deref()?)?))
    }
}

#[derive(Template)]
#[template(path = "admin/sessions.html")]
struct Sessions {
    user: Option<&'static User>,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
    devices: Vec<Device>,
    /// Cursor of the next page, if there is one.
    next: Option<(i64, PublicId)>,
    is_first: bool,
}

async fn list_sessions(
    user: Identity,
    cursor: Option<web::Query<Cursor>>,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
    handle: SessionHandle,
) -> Result<HttpResponse> {
    let user = Some(User::from_identity(&user)?);
    let after = cursor.and_then(|cursor| cursor.parse());
    // One extra record shows whether there is a next page.
    let query = Query::new().after(after).limit(PAGE_LENGTH + 1);
    let mut records = handle.sessions().list(query).await?;
    let next = (records.len() > PAGE_LENGTH).then(|| last_on_page(&mut records)).flatten();
    let devices = records.iter().map(|record| Device::new(record, handle.now(), handle.id()));
    let (devices, is_first) = (devices.collect(), after.is_none());
    html(&Sessions { user, session, messages, limits, devices, next, is_first })
}

fn last_on_page(records: &mut Vec<SessionRecord>) -> Option<(i64, PublicId)> {
    records.truncate(PAGE_LENGTH);
    let (at, id) = Query::cursor(records.last()?);
    Some((at.as_millis(), id))
}

/// Session to end.
#[derive(Deserialize)]
struct EndForm {
    user: String,
    id: String,
}

async fn end_session(
    form: web::Form<EndForm>,
    handle: SessionHandle,
    messages: FlashMessages,
) -> Result<HttpResponse> {
    let ended = match PublicId::parse(&form.id) {
        Some(id) => handle.sessions().end(&form.user, id).await,
        None => Ok(false),
    };
    match ended? {
        true => messages.success(format!("You ended a session of {}.", form.user)),
        false => messages.info("That session had already ended."),
    }
    Ok(see_other("/admin/sessions"))
}
