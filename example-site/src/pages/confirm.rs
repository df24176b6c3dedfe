//! Confirmation page: asks signed-in users for their password again.
//!
//! The middleware redirects to it from pages with `fresh` in their policy, if the session is not
//! fresh.

use actix_web::{
    Error, HttpResponse, Result,
    body::{BoxBody, MessageBody},
    dev::{HttpServiceFactory, ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::{Next, from_fn},
    web,
};
use askama::Template;
use serde::Deserialize;
use session_expire::{FlashMessages, SessionHandle, SessionVars};

use super::{error_page, html, html_with, safe_next, see_other, with_next};
use crate::{language::Language, layout::Layout, passwords::Passwords, users::SignedIn};

pub(super) fn service() -> impl HttpServiceFactory {
    let page = web::resource("/confirm").get(form).head(form).post(confirm);
    page.wrap(from_fn(refuse_actor))
}

/// Middleware that responds with 403 to an impersonated session. Only the user can confirm, or
/// change the password.
pub(super) async fn refuse_actor(
    user: Option<SignedIn>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(user) = user.filter(|user| user.actor().is_some()) else {
        return next.call(req).await.map(ServiceResponse::map_into_boxed_body);
    };
    let language = Language::new(req.request());
    let title = language.t("You cannot open this page");
    let detail = language.fill(
        "It requires the password of {name}. Only {name} can continue.",
        [("name", &user.name)],
    );
    let page = error_page::render(StatusCode::FORBIDDEN, title, &detail, req.request())?;
    Ok(req.into_response(page))
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm<'a> {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    /// Page to which the user returns.
    next: &'a str,
    /// Number of attempts that are left after a wrong password.
    attempts_left: Option<u32>,
}

impl Confirm<'_> {
    /// Returns the URL to which the form is sent. It contains `next`, because the browser then
    /// shows this URL. The language switch and, if the session ends, the login return to it.
    fn action(&self) -> String {
        with_next("/confirm", self.next)
    }

    /// Returns a sentence about the action that needs the password.
    fn purpose(&self) -> &str {
        match self.next.split(['?', '/']).nth(1) {
            Some("devices") if self.next == "/devices/others" => {
                self.layout.t("You are about to sign out everywhere else.")
            }
            Some("devices") => self.layout.t(
                "You are about to sign out a device. You will return to the list of your devices. \
                 Choose the device again there.",
            ),
            Some("settings") => self.layout.t("You are about to open your settings."),
            _ => self.layout.t("You are about to open a protected page."),
        }
    }
}

/// Returns the page to which the user returns.
fn return_to(next: &str) -> &str {
    safe_next(next).unwrap_or("/dashboard")
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Params {
    next: String,
}

async fn form(
    params: web::Query<Params>,
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
) -> Result<HttpResponse> {
    let (user, next) = (Some(user), return_to(&params.next));
    html(&Confirm { user, session, messages, layout, next, attempts_left: None })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    password: String,
    next: String,
}

/// Confirms the session of its user. The form names no user.
async fn confirm(
    user: SignedIn,
    answer: web::Form<Answer>,
    passwords: web::Data<Passwords>,
    handle: SessionHandle,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
) -> Result<HttpResponse> {
    let next = return_to(&answer.next);
    handle.begin_confirmation().await?;
    if passwords.authenticate(user.name, &answer.password).is_some() {
        handle.confirm(user.name)?;
        return Ok(see_other(next));
    }
    // The fifth wrong password ends the session. The response to the error leads to the login page.
    let attempts_left = Some(handle.confirm_failed().await?);
    let page = Confirm { user: Some(user), session, messages, layout, next, attempts_left };
    html_with(StatusCode::UNAUTHORIZED, &page)
}
