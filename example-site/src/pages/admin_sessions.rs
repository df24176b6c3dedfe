//! Everybody's sessions, page by page, for the superuser.

use actix_web::{HttpResponse, Resource, Result, error::ErrorServiceUnavailable, web};
use askama::Template;
use serde::Deserialize;
use session_expire::{
    FlashMessages, PublicId, Query, SessionHandle, SessionRecord, SessionVars, Timestamp,
};

use super::{html, see_other, superuser::Superuser};
use crate::{device::Device, same_site::SameSite, users::User, words::Limits};

/// So many are on a page.
const PAGE: usize = 20;

pub(super) fn list() -> Resource {
    web::resource("/sessions").route(web::get().to(show))
}

pub(super) fn end() -> Resource {
    web::resource("/sessions/end").route(web::post().to(sign_out))
}

/// Where a page begins: behind this session.
#[derive(Default, Deserialize)]
struct Place {
    at: Option<i64>,
    id: Option<String>,
}

impl Place {
    fn after(&self) -> Option<(Timestamp, PublicId)> {
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
    /// Where the next page begins, if there is one.
    next: Option<(i64, PublicId)>,
    is_first: bool,
}

async fn show(
    Superuser(user): Superuser,
    place: Option<web::Query<Place>>,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
    handle: SessionHandle,
) -> Result<HttpResponse> {
    let after = place.and_then(|place| place.after());
    // One more than fits says whether there is another page.
    let query = Query { after, limit: Some(PAGE + 1), ..Query::default() };
    let mut records = handle.sessions().find(query).await.map_err(ErrorServiceUnavailable)?;
    let next = (records.len() > PAGE).then(|| last_on_page(&mut records)).flatten();
    let devices = records.iter().map(|record| Device::of(record, handle.now(), handle.id()));
    let (devices, is_first) = (devices.collect(), after.is_none());
    html(&Sessions { user: Some(user), session, messages, limits, devices, next, is_first })
}

fn last_on_page(records: &mut Vec<SessionRecord>) -> Option<(i64, PublicId)> {
    records.truncate(PAGE);
    let (at, id) = Query::place(records.last()?);
    Some((at.as_millis(), id))
}

#[derive(Deserialize)]
struct Chosen {
    user: String,
    id: String,
}

async fn sign_out(
    _: SameSite,
    _: Superuser,
    form: web::Form<Chosen>,
    handle: SessionHandle,
    messages: FlashMessages,
) -> Result<HttpResponse> {
    let ended = match PublicId::parse(&form.id) {
        Some(id) => handle.sessions().end(&form.user, id).await,
        None => Ok(false),
    };
    match ended.map_err(ErrorServiceUnavailable)? {
        true => messages.success(format!("Signed {} out there.", form.user)),
        false => messages.info("That session was over already."),
    }
    Ok(see_other("/admin/sessions"))
}
