//! Login page.

use actix_identity::Identity;
use actix_web::{
    HttpRequest, HttpResponse, Result,
    http::{StatusCode, header},
    post, routes, web,
};
use askama::Template;
use serde::Deserialize;
use session_expire::{
    FlashMessages, PolicyPatch, PublicId, SessionHandle, SignInError, days,
    registry::SessionRecord, request::local_path,
};

use super::{html, html_with, see_other};
use crate::{device::Device, format::Limits, users::User};

/// Returns `next` if it is a path of this site that a user may return to after signing in.
fn safe_next(next: &str) -> Option<&str> {
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
    failure: Option<Failure>,
}

/// Why the form is shown again.
enum Failure {
    WrongPassword,
    /// The session limit rejects the login. These sessions are active.
    TooManySessions(Vec<Device>),
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::WrongPassword => StatusCode::UNAUTHORIZED,
            Self::TooManySessions(_) => StatusCode::CONFLICT,
        }
    }
}

#[derive(Deserialize)]
struct Params {
    next: Option<String>,
}

#[routes]
#[get("/login")]
#[head("/login")]
pub(super) async fn login_form(
    params: Option<web::Query<Params>>,
    user: Option<Identity>,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    let next = params.as_ref().and_then(|params| params.next.as_deref()).and_then(safe_next);
    let user = User::from_visitor(user.as_ref());
    html(&Login { user, messages, limits, username: "", next, keep: false, failure: None })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Credentials {
    username: String,
    password: String,
    next: String,
    /// Present if the user wants to stay signed in.
    keep: Option<String>,
    /// Session to end before the login, if the session limit is reached.
    end: Option<String>,
}

impl Credentials {
    /// Returns longer limits for "Keep me signed in". Stricter pages keep their own.
    fn login_policy(&self) -> PolicyPatch {
        match self.keep {
            Some(_) => PolicyPatch::new().idle(days(7)).absolute(days(30)),
            None => PolicyPatch::new(),
        }
    }
}

#[post("/login")]
pub(super) async fn sign_in(
    form: web::Form<Credentials>,
    req: HttpRequest,
    user: Option<Identity>,
    handle: SessionHandle,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    let next = safe_next(&form.next);
    let username = form.username.trim();
    let failure = match User::authenticate(username, &form.password) {
        None => Failure::WrongPassword,
        Some(account) => match sign_in_as(account, &form, &handle).await {
            Ok(_) => return Ok(see_other(next.unwrap_or("/dashboard"))),
            Err(SignInError::Refused { active, .. }) if accepts_html(&req) => {
                Failure::TooManySessions(devices(&active, &handle))
            }
            Err(error) => return Err(error.into()),
        },
    };
    let (user, keep) = (User::from_visitor(user.as_ref()), form.keep.is_some());
    let (status, failure) = (failure.status(), Some(failure));
    html_with(status, &Login { user, messages, limits, username, next, keep, failure })
}

/// Ends the session that the user has chosen, if any, and signs in.
async fn sign_in_as(
    user: &User,
    form: &Credentials,
    handle: &SessionHandle,
) -> Result<PublicId, SignInError> {
    if let Some(id) = form.end.as_deref().and_then(PublicId::parse) {
        handle.sessions().end(user.name, id).await?;
    }
    handle.sign_in_with(user.name, form.login_policy()).await
}

fn devices(records: &[SessionRecord], handle: &SessionHandle) -> Vec<Device> {
    records.iter().map(|record| Device::new(record, handle.now(), None)).collect()
}

/// Returns `false` for API clients, which get the problem response of session-expire.
fn accepts_html(req: &HttpRequest) -> bool {
    let accept = req.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_none_or(|accept| accept.contains("text/html") || !accept.contains("json"))
}
