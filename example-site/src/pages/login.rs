//! Login page.

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, Result,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
    post, routes, web,
};
use askama::Template;
use serde::Deserialize;
use session_expire::{
    FlashMessages, PublicId, SessionHandle, Sessions, SignInError, days,
    page::FlashMessage,
    registry::SessionRecord,
    sign_in::{SignInOptions, TakeoverTicket},
};

use super::{html, html_with, safe_next, see_other, with_next};
use crate::{
    compliance::Declared, device::Device, language::Language, layout::Layout, passwords::Passwords,
    sign_in_notice, users::SignedIn,
};

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    user: Option<SignedIn>,
    messages: FlashMessages,
    layout: Layout,
    username: &'a str,
    next: Option<&'a str>,
    /// Whether "Keep me signed in" is checked; `None` if it is not offered.
    keep: Option<bool>,
    failure: Option<Failure>,
}

impl Login<'_> {
    /// Returns the URL to which the form is sent. It contains `next`, because the browser then
    /// shows this URL, and the language switch returns to it. Only the field `next` is read.
    fn action(&self) -> String {
        self.next.map_or_else(|| "/login".to_owned(), |next| with_next("/login", next))
    }
}

/// Why the form is shown again.
enum Failure {
    WrongPassword,
    /// The session limit refuses the login. With the ticket, the user can end an active session.
    TooManySessions(Vec<Device>, Option<TakeoverTicket>),
    /// The ticket was already used, is older than 5 minutes, or belongs to another browser.
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

/// Returns the page to open after the login. If it is the confirmation page, returns the page
/// behind it, because the user has just entered the password.
pub(super) fn after_login(next: &str) -> Option<String> {
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
    layout: Layout,
    declared: web::Data<Declared>,
) -> Result<HttpResponse> {
    let keep = declared.offers_long_sessions().then_some(false);
    let next = params.and_then(|params| after_login(&params.next));
    let next = next.as_deref();
    html(&Login { user, messages, layout, username: "", next, keep, failure: None })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Credentials {
    username: String,
    password: String,
    next: String,
    /// Present if the user wants to stay signed in.
    keep: Option<String>,
    /// Ticket of a login that the session limit has refused; replaces name and password.
    ticket: String,
    /// Session to end with the ticket.
    end: String,
}

impl Credentials {
    /// Returns the options of the login. Stricter pages keep their limits even for "Keep me signed
    /// in".
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
    layout: Layout,
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
    html_with(status, &Login { user, messages, layout, username, next, keep, failure })
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
        Ok(id) => announce(name, id, handle, req),
        Err(SignInError::Refused { active, .. }) if accepts_html(req) => {
            let ticket = match active.is_empty() {
                true => None,
                false => issue_ticket(name, options, handle).await?,
            };
            let devices = devices(&active, handle, Language::new(req));
            return Ok(Some(Failure::TooManySessions(devices, ticket)));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(None)
}

/// Issues a ticket. Returns `None` if the browser cannot store the offer. The page then has no
/// form.
async fn issue_ticket(
    name: &str,
    options: SignInOptions,
    handle: &SessionHandle,
) -> Result<Option<TakeoverTicket>> {
    match handle.takeover_ticket(name, options).await {
        Ok(ticket) => Ok(Some(ticket)),
        Err(SignInError::OfferTooLarge) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Ends the session that the user has chosen, and signs in.
async fn sign_in_with_ticket(
    form: &Credentials,
    handle: &SessionHandle,
    req: &HttpRequest,
) -> Result<Option<Failure>> {
    let Some(end) = PublicId::parse(&form.end) else { return Ok(Some(Failure::TicketInvalid)) };
    match handle.sign_in_taking_over(&form.ticket, end).await {
        Ok(id) => announce(SignedIn::extract(req).await?.name, id, handle, req),
        Err(SignInError::TicketInvalid) if accepts_html(req) => {
            return Ok(Some(Failure::TicketInvalid));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(None)
}

/// Login of a request, for [`notify_others`].
struct Announcement {
    sessions: Sessions,
    user: &'static str,
    session: PublicId,
    message: FlashMessage,
}

/// Prepares a message about the new session `id` for the other sessions of `user`.
fn announce(user: &'static str, id: PublicId, handle: &SessionHandle, req: &HttpRequest) {
    let agent = req.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    req.extensions_mut().insert(Announcement {
        sessions: handle.sessions(),
        user,
        session: id,
        message: sign_in_notice::message(agent.unwrap_or_default()),
    });
}

/// Middleware around `SessionExpire` that adds the message of a login to the other sessions of the
/// user before the response is sent. The login is committed by then, or its response is an error.
/// If the message cannot be added, the login continues, and the library logs the error.
pub(crate) async fn notify_others<B: MessageBody>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let res = next.call(req).await?;
    let announcement = res.request().extensions_mut().remove::<Announcement>();
    let is_signed_in = !res.status().is_client_error() && !res.status().is_server_error();
    if let Some(login) = announcement.filter(|_| is_signed_in) {
        let _ = login.sessions.notify_others(login.user, login.session, login.message).await;
    }
    Ok(res)
}

fn devices(records: &[SessionRecord], handle: &SessionHandle, language: Language) -> Vec<Device> {
    records.iter().map(|record| Device::new(record, handle.now(), None, language)).collect()
}

/// Returns `false` for API clients, which get the problem response of session-expire.
fn accepts_html(req: &HttpRequest) -> bool {
    let accept = req.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_none_or(|accept| accept.contains("text/html") || !accept.contains("json"))
}
