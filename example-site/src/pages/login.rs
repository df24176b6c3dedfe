//! Signing in.

use std::time::Duration;

use actix_identity::Identity;
use actix_web::{
    HttpRequest, HttpResponse, Result,
    http::{StatusCode, header},
    post, routes, web,
};
use askama::Template;
use serde::Deserialize;
use session_expire::{
    FlashMessages, Limit, PolicyPatch, PublicId, SessionHandle, SessionRecord, SignInError, hours,
    local_path,
};

use super::{html, html_with, see_other};
use crate::{device::Device, same_site::SameSite, users::User, words::Limits};

/// How long somebody stays who wants to be kept signed in, however active.
pub(crate) fn kept_absolute() -> Limit<Duration> {
    Limit::At(hours(30 * 24))
}

/// "Keep me signed in": a week without a visit still ends it. Pages that are stricter than the
/// application stay as strict as they are.
fn kept() -> PolicyPatch {
    PolicyPatch::new().idle(hours(7 * 24)).absolute(kept_absolute())
}

/// Where to go on after signing in: a page of this site, and none that is about signing in or out.
fn way_on(next: &str) -> Option<&str> {
    let not_pages = ["/login", "/logout", "/session/"];
    local_path(next).filter(|path| !not_pages.iter().any(|start| path.starts_with(start)))
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    user: Option<&'static User>,
    messages: FlashMessages,
    limits: Limits,
    username: &'a str,
    next: Option<&'a str>,
    keep: bool,
    failed: bool,
    /// The sessions that hold the places, if there is none left.
    holders: Vec<Device>,
}

#[derive(Deserialize)]
struct Asking {
    next: Option<String>,
}

#[routes]
#[get("/login")]
#[head("/login")]
pub(super) async fn ask(
    asking: Option<web::Query<Asking>>,
    user: Option<Identity>,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    let next = asking.as_ref().and_then(|asking| asking.next.as_deref()).and_then(way_on);
    let user = User::of_visitor(user.as_ref());
    let (username, holders) = ("", vec![]);
    html(&Login { user, messages, limits, username, next, keep: false, failed: false, holders })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Credentials {
    username: String,
    password: String,
    next: String,
    /// Whether to be kept signed in.
    keep: Option<String>,
    /// The session to end, so that there is room.
    end: Option<String>,
}

impl Credentials {
    fn choice(&self) -> PolicyPatch {
        if self.keep.is_some() { kept() } else { PolicyPatch::new() }
    }
}

#[post("/login")]
pub(super) async fn sign_in(
    _: SameSite,
    form: web::Form<Credentials>,
    req: HttpRequest,
    user: Option<Identity>,
    handle: SessionHandle,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    let next = way_on(&form.next);
    let username = form.username.trim();
    let (status, holders) = match User::authenticate(username, &form.password) {
        None => (StatusCode::UNAUTHORIZED, vec![]),
        Some(found) => match enter(found, &form, &handle).await {
            Ok(_) => return Ok(see_other(next.unwrap_or("/dashboard"))),
            Err(SignInError::Refused(holders)) if wants_page(&req) => {
                (StatusCode::CONFLICT, in_a_list(&holders, &handle))
            }
            Err(error) => return Err(error.into()),
        },
    };
    let (user, failed) = (User::of_visitor(user.as_ref()), status == StatusCode::UNAUTHORIZED);
    let keep = form.keep.is_some();
    html_with(status, &Login { user, messages, limits, username, next, keep, failed, holders })
}

/// Ends the session that has to make room, if one was chosen, and signs in.
async fn enter(
    user: &User,
    form: &Credentials,
    handle: &SessionHandle,
) -> Result<PublicId, SignInError> {
    if let Some(id) = form.end.as_deref().and_then(PublicId::parse) {
        handle.sessions().end(user.name, id).await?;
    }
    handle.sign_in_with(user.name, form.choice()).await
}

fn in_a_list(holders: &[SessionRecord], handle: &SessionHandle) -> Vec<Device> {
    holders.iter().map(|record| Device::of(record, handle.now(), None)).collect()
}

/// Programs that ask for JSON get the library's own answer.
fn wants_page(req: &HttpRequest) -> bool {
    let accept = req.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_none_or(|accept| accept.contains("text/html") || !accept.contains("json"))
}
