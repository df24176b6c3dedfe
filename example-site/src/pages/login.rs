//! Signing in.

use actix_identity::Identity;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, Result, get, http::StatusCode, post, web};
use askama::Template;
use serde::Deserialize;
use session_expire::{FlashMessages, local_path};

use super::{html, html_with, see_other};
use crate::{same_site::SameSite, users::User, words::Limits};

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    user: Option<&'static User>,
    messages: FlashMessages,
    limits: Limits,
    username: &'a str,
    next: Option<&'a str>,
    failed: bool,
}

#[derive(Deserialize)]
struct Asking {
    next: Option<String>,
}

#[get("/login")]
pub(super) async fn ask(
    asking: Option<web::Query<Asking>>,
    user: Option<Identity>,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    let next = asking.as_ref().and_then(|asking| asking.next.as_deref()).and_then(local_path);
    let user = User::of_visitor(user.as_ref());
    html(&Login { user, messages, limits, username: "", next, failed: false })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Credentials {
    username: String,
    password: String,
    next: String,
}

#[post("/login")]
pub(super) async fn sign_in(
    _: SameSite,
    form: web::Form<Credentials>,
    req: HttpRequest,
    user: Option<Identity>,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    let next = local_path(&form.next);
    let username = form.username.trim();
    if let Some(found) = User::authenticate(username, &form.password) {
        Identity::login(&req.extensions(), found.name.to_owned())?;
        return Ok(see_other(next.unwrap_or("/dashboard")));
    }
    let user = User::of_visitor(user.as_ref());
    let page = Login { user, messages, limits, username, next, failed: true };
    html_with(StatusCode::UNAUTHORIZED, &page)
}
