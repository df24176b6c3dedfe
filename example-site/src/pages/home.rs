//! Public home page.

use actix_web::{HttpResponse, Result, routes};
use askama::Template;
use session_expire::FlashMessages;

use super::html;
use crate::{format::Limits, users::SignedIn};

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    user: Option<SignedIn>,
    messages: FlashMessages,
    limits: Limits,
}

#[routes]
#[get("/")]
#[head("/")]
pub(super) async fn home(
    user: Option<SignedIn>,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    html(&Home { user, messages, limits })
}
