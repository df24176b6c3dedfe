//! Paginated list of the sessions of all users, with filters.

use std::future::{Ready, ready};

use actix_web::{
    Error, FromRequest, HttpRequest, HttpResponse, Resource, Result, dev::Payload,
    http::StatusCode, web,
};
use askama::Template;
use serde::Deserialize;
use session_expire::{
    FlashMessages, PublicId, SessionHandle, SessionVars,
    clock::Timestamp,
    error::RegistryError,
    registry::{Query, SessionRecord},
};

use super::filters::{Filters, REASONS, State};
use crate::{
    device::{ADMINISTRATOR, Device, LOST_DEVICE},
    language::Language,
    layout::Layout,
    pages::{error_page, html, see_other},
    users::SignedIn,
};

/// Number of sessions on a page.
const PAGE_LENGTH: usize = 20;
/// Number of records to read at a time if some of them may be left out.
const BATCH_LENGTH: usize = 200;

pub(super) fn list() -> Resource {
    web::resource("/sessions").get(list_sessions).head(list_sessions)
}

pub(super) fn end() -> Resource {
    web::resource("/sessions/end").post(end_session)
}

/// Requested page of the list.
struct Page {
    filters: Filters,
    query: Query,
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

impl FromRequest for Page {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    /// Responds with 400 if a field cannot be read.
    fn from_request(req: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let title = "This filter could not be read";
        let page = Self::parse(req.query_string());
        ready(page.map_err(|detail| error_page::error(StatusCode::BAD_REQUEST, title, detail, req)))
    }
}

impl Page {
    fn parse(query_string: &str) -> Result<Self, &'static str> {
        let filters = Filters::parse(query_string)?;
        let cursor = web::Query::<Cursor>::from_query(query_string).ok();
        let query = filters.query()?.after(cursor.and_then(|cursor| cursor.parse()));
        Ok(Self { filters, query })
    }

    /// Returns the records of this page, and one more if there is a next page.
    async fn load(&self, handle: &SessionHandle) -> Result<Vec<SessionRecord>, RegistryError> {
        let state = self.filters.state();
        let length = if state == State::Any { PAGE_LENGTH + 1 } else { BATCH_LENGTH };
        let (mut query, mut found) = (self.query.clone().limit(length), vec![]);
        while found.len() <= PAGE_LENGTH && state != State::Unmatched {
            let records = handle.sessions().list(query.clone()).await?;
            let is_last = records.len() < length;
            query = query.after(records.last().map(Query::cursor));
            found.extend(records.into_iter().filter(|record| state.contains(record, handle.now())));
            if is_last {
                break;
            }
        }
        Ok(found)
    }
}

#[derive(Template)]
#[template(path = "admin/sessions.html")]
struct Sessions {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    filters: Filters,
    devices: Vec<Device>,
    /// Cursor of the next page, if there is one.
    next: Option<(i64, PublicId)>,
    is_first: bool,
}

async fn list_sessions(
    user: SignedIn,
    page: Page,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    handle: SessionHandle,
) -> Result<HttpResponse> {
    let mut records = page.load(&handle).await?;
    let next = (records.len() > PAGE_LENGTH).then(|| last_on_page(&mut records)).flatten();
    let device = |record| Device::new(record, handle.now(), handle.id(), Language::English);
    let (devices, is_first) = (records.iter().map(device).collect(), page.query.after.is_none());
    let filters = page.filters;
    html(&Sessions {
        user: Some(user),
        session,
        messages,
        layout,
        filters,
        devices,
        next,
        is_first,
    })
}

fn last_on_page(records: &mut Vec<SessionRecord>) -> Option<(i64, PublicId)> {
    records.truncate(PAGE_LENGTH);
    let (at, id) = Query::cursor(records.last()?);
    Some((at.as_millis(), id))
}

/// Cause for which an administrator ends a session.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cause {
    #[default]
    Administrator,
    LostDevice,
}

impl Cause {
    fn word(self) -> &'static str {
        match self {
            Self::Administrator => ADMINISTRATOR,
            Self::LostDevice => LOST_DEVICE,
        }
    }
}

/// Session to end.
#[derive(Deserialize)]
struct EndForm {
    user: String,
    id: String,
    #[serde(default)]
    cause: Cause,
    /// Query string of the list with the session.
    #[serde(default)]
    filters: String,
}

async fn end_session(
    form: web::Form<EndForm>,
    handle: SessionHandle,
    messages: FlashMessages,
) -> Result<HttpResponse> {
    let sessions = handle.sessions().with_cause(form.cause.word());
    let ended = match PublicId::parse(&form.id) {
        Some(id) => sessions.end(&form.user, id).await,
        None => Ok(false),
    };
    match ended? {
        true => messages.success(format!("You ended a session of {}.", form.user)),
        false => messages.info("That session had already ended."),
    }
    Ok(see_other(&Filters::parse(&form.filters).unwrap_or_default().path()))
}
