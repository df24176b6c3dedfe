//! Public home page.

use actix_identity::Identity;
use actix_web::{HttpResponse, Result, routes};
use askama::Template;
use session_expire::FlashMessages;

use super::html;
use crate::{format::Limits, users::User};

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    user: Option<&'static User>,
    messages: FlashMessages,
    limits: Limits,
}

#[routes]
#[get("/")]
#[head("/")]
pub(super) async fn home(
    user: Option<Identity>,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    html(&Home { user: User::from_visitor(user.as_ref()), messages, limits })
}
