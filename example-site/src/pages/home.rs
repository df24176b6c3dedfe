//! Public home page.

use actix_web::{HttpResponse, Result, routes};
use askama::Template;
use session_expire::FlashMessages;

use super::html;
use crate::{layout::Layout, users::SignedIn};

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    user: Option<SignedIn>,
    messages: FlashMessages,
    layout: Layout,
}

#[routes]
#[get("/")]
#[head("/")]
pub(super) async fn home(
    user: Option<SignedIn>,
    messages: FlashMessages,
    layout: Layout,
) -> Result<HttpResponse> {
    html(&Home { user, messages, layout })
}
