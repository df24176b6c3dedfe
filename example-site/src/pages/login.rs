//! Login page.

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, Result,
    http::{StatusCode, header},
    post, routes, web,
};
use askama::Template;
use serde::Deserialize;
use session_expire::{
    FlashMessages, PublicId, SessionHandle, SignInError, days,
    page::{FlashLevel, FlashMessage},
    registry::SessionRecord,
    request::device_name,
    sign_in::{SignInOptions, TakeoverTicket},
};

use super::{html, html_with, safe_next, see_other};
use crate::{
    compliance::Declared, device::Device, format::Limits, passwords::Passwords, users::SignedIn,
};

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    user: Option<SignedIn>,
    messages: FlashMessages,
    limits: Limits,
    username: &'a str,
    next: Option<&'a str>,
    /// Whether "Keep me signed in" is checked; `None` if it is not offered.
    keep: Option<bool>,
    failure: Option<Failure>,
}

/// Why the form is shown again.
enum Failure {
    WrongPassword,
    /// The session limit rejects the login. One of the active sessions can be ended with the ticket.
    TooManySessions(Vec<Device>, Option<TakeoverTicket>),
    /// The ticket is spent, or 5 minutes old, or from another browser.
    TicketInvalid,
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::WrongPassword => StatusCode::UNAUTHORIZED,
            Self::TooManySessions(..) | Self::TicketInvalid => StatusCode::CONFLICT,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Params {
    next: String,
}

/// Returns the page to open after the login. In place of the confirmation page it is the page that
/// asked for a password, because the user has just entered one.
fn after_login(next: &str) -> Option<String> {
    let query = next.strip_prefix("/confirm?").unwrap_or_default();
    let behind = web::Query::<Params>::from_query(query).unwrap_or(web::Query(Params::default()));
    let page = if behind.next.is_empty() { next } else { &behind.next };
    safe_next(page).map(str::to_owned)
}

#[routes]
#[get("/login")]
#[head("/login")]
pub(super) async fn login_form(
    params: Option<web::Query<Params>>,
    user: Option<SignedIn>,
    messages: FlashMessages,
    limits: Limits,
    declared: web::Data<Declared>,
) -> Result<HttpResponse> {
    let keep = declared.offers_long_sessions().then_some(false);
    let next = params.and_then(|params| after_login(&params.next));
    let next = next.as_deref();
    html(&Login { user, messages, limits, username: "", next, keep, failure: None })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Credentials {
    username: String,
    password: String,
    next: String,
    /// Present if the user wants to stay signed in.
    keep: Option<String>,
    /// Ticket of a login that the session limit has rejected; replaces name and password.
    ticket: String,
    /// Session to end with the ticket.
    end: String,
}

impl Credentials {
    /// Returns the options of the login. Stricter pages keep their limits even if the user wants to
    /// stay signed in.
    fn options(&self, stamp: &str) -> SignInOptions {
        let options = SignInOptions::new().stamp(stamp);
        match self.keep {
            Some(_) => options.persistent(days(30)),
            None => options,
        }
    }
}

#[post("/login")]
pub(super) async fn sign_in(
    form: web::Form<Credentials>,
    passwords: web::Data<Passwords>,
    req: HttpRequest,
    handle: SessionHandle,
    messages: FlashMessages,
    limits: Limits,
    declared: web::Data<Declared>,
) -> Result<HttpResponse> {
    let mut form = form.into_inner();
    form.keep = form.keep.filter(|_| declared.offers_long_sessions());
    let next = after_login(&form.next);
    let next = next.as_deref();
    let outcome = match form.ticket.is_empty() {
        true => sign_in_with_password(&form, &passwords, &handle, &req).await?,
        false => sign_in_with_ticket(&form, &handle, &req).await?,
    };
    let Some(failure) = outcome else { return Ok(see_other(next.unwrap_or("/dashboard"))) };
    let user = SignedIn::extract(&req).await.ok();
    let keep = declared.offers_long_sessions().then_some(form.keep.is_some());
    let (username, status, failure) = (form.username.trim(), failure.status(), Some(failure));
    html_with(status, &Login { user, messages, limits, username, next, keep, failure })
}

async fn sign_in_with_password(
    form: &Credentials,
    passwords: &Passwords,
    handle: &SessionHandle,
    req: &HttpRequest,
) -> Result<Option<Failure>> {
    let Some(account) = passwords.authenticate(form.username.trim(), &form.password) else {
        return Ok(Some(Failure::WrongPassword));
    };
    let (name, options) = (account.user.name, form.options(&account.stamp));
    match handle.sign_in_with(name, options.clone()).await {
        Ok(id) => tell_others(name, id, handle, req).await,
        Err(SignInError::Refused { active, .. }) if accepts_html(req) => {
            let ticket = match active.is_empty() {
                true => None,
                false => Some(handle.takeover_ticket(name, options).await?),
            };
            return Ok(Some(Failure::TooManySessions(devices(&active, handle), ticket)));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(None)
}

/// Ends the session that the user has chosen, and signs in.
async fn sign_in_with_ticket(
    form: &Credentials,
    handle: &SessionHandle,
    req: &HttpRequest,
) -> Result<Option<Failure>> {
    let Some(end) = PublicId::parse(&form.end) else { return Ok(Some(Failure::TicketInvalid)) };
    match handle.sign_in_taking_over(&form.ticket, end).await {
        Ok(id) => tell_others(SignedIn::extract(req).await?.name, id, handle, req).await,
        Err(SignInError::TicketInvalid) if accepts_html(req) => {
            return Ok(Some(Failure::TicketInvalid));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(None)
}

/// Shows a message about the new session `id` in the other sessions of `user`. The login does not
/// fail without it; the library logs the error.
async fn tell_others(user: &str, id: PublicId, handle: &SessionHandle, req: &HttpRequest) {
    let agent = req.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let device = device_name(agent.unwrap_or_default());
    let device = if device.is_empty() { "an unknown device" } else { &device };
    let text = format!("New sign-in from {device}. If this was not you, change your password.");
    let message = FlashMessage::new(FlashLevel::Info, text);
    let _ = handle.sessions().notify_others(user, id, message).await;
}

fn devices(records: &[SessionRecord], handle: &SessionHandle) -> Vec<Device> {
    records.iter().map(|record| Device::new(record, handle.now(), None)).collect()
}

/// Returns `false` for API clients, which get the problem response of session-expire.
fn accepts_html(req: &HttpRequest) -> bool {
    let accept = req.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_none_or(|accept| accept.contains("text/html") || !accept.contains("json"))
}
