//! Audit log: the last events of all sessions.

use actix_web::{HttpResponse, Resource, Result, web};
use askama::Template;
use session_expire::{
    FlashMessages, PublicId, SessionExpire, SessionVars,
    event::{EventKind, OwnedEvent},
    registry::Client,
    seconds,
};

use crate::{
    audit::AuditLog,
    device::{Moment, device_name},
    format::as_time,
    language::Language,
    layout::Layout,
    pages::html,
    users::SignedIn,
};

pub(super) fn page() -> Resource {
    web::resource("/audit").get(show).head(show)
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct Audit {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    entries: Vec<Entry>,
    /// Number of events that were dropped before the log received them.
    dropped: u64,
}

/// Event in the table.
struct Entry {
    at: Moment,
    /// Date and time, such as `21 Nov 2026, 03:12:45 UTC`.
    time: String,
    word: &'static str,
    user: Option<String>,
    /// Superuser who impersonates the user, if any.
    actor: Option<String>,
    /// Device and address of the client that caused the event.
    requester: Option<String>,
    session: Option<PublicId>,
    details: Vec<String>,
}

impl From<&OwnedEvent> for Entry {
    fn from(event: &OwnedEvent) -> Self {
        Self {
            at: Moment::new(event.at, Language::English),
            time: as_time(event.at),
            word: event.kind.word(),
            user: event.user.as_deref().map(str::to_owned),
            actor: event.actor.as_deref().map(str::to_owned),
            requester: event.requester.as_ref().map(describe),
            session: event.session,
            details: details(event),
        }
    }
}

/// Returns the device, and the address if it is known.
fn describe(client: &Client) -> String {
    let device = device_name(client, Language::English);
    match client.ip {
        Some(ip) => format!("{device}, {ip}"),
        None => device,
    }
}

fn details(event: &OwnedEvent) -> Vec<String> {
    let reason = event.reason.map(|reason| format!("Reason: {reason}"));
    let cause = event.cause.as_ref().map(|cause| format!("Cause: {cause}"));
    let attempts = event.attempts_left.map(|left| format!("Attempts left: {left}"));
    let count = event.count.map(|count| format!("Count: {count}"));
    let [device, login] = login_details(event);
    let error = event.error.clone();
    [reason, cause, device, login, attempts, count, error].into_iter().flatten().collect()
}

/// Returns texts about a login: whether the device is new, and the time of the previous login.
fn login_details(event: &OwnedEvent) -> [Option<String>; 2] {
    if event.kind != EventKind::LoggedIn {
        return [None, None];
    }
    let is_new = event.seen_before == Some(false);
    let previous = match event.previous_login {
        Some(at) => format!("Previous sign-in: {}", as_time(at)),
        None => "No earlier sign-in is known".to_owned(),
    };
    [is_new.then(|| "New device".to_owned()), Some(previous)]
}

async fn show(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    log: web::Data<AuditLog>,
    expire: web::Data<SessionExpire>,
) -> Result<HttpResponse> {
    // Events of earlier requests may still be in the queue.
    expire.flush_events(seconds(1)).await;
    let entries = log.events().iter().map(Entry::from).collect();
    let dropped = expire.dropped_events();
    html(&Audit { user: Some(user), session, messages, layout, entries, dropped })
}
