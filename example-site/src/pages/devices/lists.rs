//! Lists of the devices page.

use actix_web::Result;
use askama::Template;
use session_expire::{
    PublicId, SessionHandle,
    clock::Timestamp,
    registry::{Query, SessionRecord},
};

use super::{
    open::Open,
    position::{Links, Position},
};
use crate::{device::Device, layout::Appearance, users::User};

/// Number of active sessions on a page.
const ACTIVE_LENGTH: usize = 50;
/// Number of past sessions on a page: ended ones, and expired ones that no request has ended yet.
const PAST_LENGTH: usize = 20;

/// One page of the active sessions and one of the past sessions.
#[derive(Template)]
#[template(path = "device_lists.html")]
pub(super) struct Lists {
    layout: Appearance,
    active: Vec<Device>,
    active_links: Links,
    past: Vec<Device>,
    past_links: Links,
    is_first_past: bool,
    pub(super) others: Others,
}

impl Lists {
    /// Loads the pages at `position`. It reads a bounded number of records, even for a user with
    /// many sessions.
    pub(super) async fn load(
        user: &User,
        handle: &SessionHandle,
        position: &Position,
        layout: Appearance,
    ) -> Result<Self> {
        let (now, own, language) = (handle.now(), handle.id(), layout.language);
        let open = read_active(user, handle, position).await?;
        let active = load_active(user, handle, position, &open).await?;
        let past = load_past(user, handle, position, &open).await?;
        let known = match position.is_first() {
            true => [&*open.records, &*past.records].concat(),
            false => vec![],
        };
        Ok(Self {
            layout,
            active: Device::list(&active.records, &known, now, own, language),
            active_links: position.active_links(active.next),
            past: Device::list(&past.records, &[], now, own, language),
            past_links: position.past_links(past.next),
            is_first_past: position.past.is_first_page(),
            others: Others::new(&open, handle, position),
        })
    }
}

/// Page of a list.
struct Page {
    records: Vec<SessionRecord>,
    /// Cursor of the next page; `None` on the last page.
    next: Option<(Timestamp, PublicId)>,
}

impl Page {
    /// Returns the newest of `records`, as far as `open` was read.
    fn new(records: Vec<SessionRecord>, length: usize, open: &Open) -> Self {
        let end = open.last().filter(|_| !open.is_complete);
        let mut records = Query::new().limit(length + 1).paginate(records);
        records.retain(|record| end.is_none_or(|end| Query::cursor(record) >= end));
        let has_next = records.len() > length;
        records.truncate(length);
        let last = records.last().map(Query::cursor);
        Self { records, next: if has_next { last } else { end } }
    }
}

/// Reads the open records of a page of active sessions.
async fn read_active(user: &User, handle: &SessionHandle, position: &Position) -> Result<Open> {
    let mut open = Open::new(user, position.active.cursor());
    // The session of the request may be one of them.
    let is_enough = |open: &Open| open.filter(false, handle.now()).count() > ACTIVE_LENGTH + 1;
    open.read(handle, is_enough).await?;
    Ok(open)
}

/// Returns a page of active sessions. The session of the request is the first one on the first
/// page, and on no other page.
async fn load_active(
    user: &User,
    handle: &SessionHandle,
    position: &Position,
    open: &Open,
) -> Result<Page> {
    let is_first = position.active.is_first_page();
    let mut newest = if is_first { open.clone() } else { Open::new(user, None) };
    if is_first || open.find(handle.id()).is_some() {
        newest.read(handle, |newest| newest.find(handle.id()).is_some()).await?;
    }
    let own = newest.find(handle.id());
    let others =
        open.filter(false, handle.now()).filter(|record| Some(record.id) != own.map(|own| own.id));
    let first = own.filter(|_| is_first);
    let length = ACTIVE_LENGTH - first.iter().count();
    let mut page = Page::new(others.cloned().collect(), length, open);
    page.records.splice(..0, first.cloned());
    Ok(page)
}

/// Returns a page of ended and expired sessions. `open` are the records of the active sessions.
async fn load_past(
    user: &User,
    handle: &SessionHandle,
    position: &Position,
    open: &Open,
) -> Result<Page> {
    let (now, after) = (handle.now(), position.past.cursor());
    let query = Query::history(user.name).after(after).limit(PAST_LENGTH + 1);
    let ended = handle.sessions().list(query).await?;
    let is_same = after == position.active.cursor();
    let mut open = if is_same { open.clone() } else { Open::new(user, after) };
    let is_read = |open: &Open| {
        let is_covered = |record: &&SessionRecord| Some(Query::cursor(record)) >= open.last();
        let ended = ended.iter().filter(is_covered).count();
        !open.records.is_empty() && ended + open.filter(true, now).count() > PAST_LENGTH
    };
    open.read(handle, is_read).await?;
    let past = ended.iter().chain(open.filter(true, now)).cloned().collect();
    Ok(Page::new(past, PAST_LENGTH, &open))
}

/// Number of active sessions other than the session of the request.
#[derive(Clone, Copy)]
pub(super) enum Others {
    Counted(usize),
    /// Not all sessions were read, or the page is not the first.
    Uncounted,
}

impl Others {
    /// Loads the number.
    pub(super) async fn load(user: &User, handle: &SessionHandle) -> Result<Self> {
        let position = Position::default();
        Ok(Self::new(&read_active(user, handle, &position).await?, handle, &position))
    }

    fn new(open: &Open, handle: &SessionHandle, position: &Position) -> Self {
        let own = handle.id();
        let active = open.filter(false, handle.now());
        match open.is_complete && position.active.is_first_page() && open.find(own).is_some() {
            true => Self::Counted(active.filter(|record| Some(record.id) != own).count()),
            false => Self::Uncounted,
        }
    }

    pub(super) fn is_none(self) -> bool {
        matches!(self, Self::Counted(0))
    }

    /// Returns the question that the page asks before it ends these sessions.
    pub(super) fn question(self, layout: &Appearance) -> String {
        let language = layout.language;
        match self {
            Self::Counted(n) => language.plural(
                n as u64,
                "Sign out one other session?",
                "Sign out {n} other sessions?",
            ),
            Self::Uncounted => language.t("Sign out all other sessions?").to_owned(),
        }
    }
}
