//! Page for users whose session has ended, with the flag `--expired-url /session-ended`.
//!
//! Without the flag, the login page shows the reason.

use actix_web::{HttpResponse, Resource, Result, web};
use askama::Template;
use serde::Deserialize;
use session_expire::FlashMessages;

use super::{html, login::after_login, with_next};
use crate::{layout::Layout, users::SignedIn};

pub(super) fn page() -> Resource {
    web::resource("/session-ended").get(show).head(show)
}

#[derive(Template)]
#[template(path = "session_ended.html")]
struct SessionEnded {
    user: Option<SignedIn>,
    messages: FlashMessages,
    layout: Layout,
    /// Page to which the user returns.
    next: Option<String>,
}

impl SessionEnded {
    /// Returns the URL of the login page, with the return path.
    fn login_url(&self) -> String {
        self.next.as_deref().map_or_else(|| "/login".to_owned(), |next| with_next("/login", next))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Params {
    next: String,
}

async fn show(
    params: Option<web::Query<Params>>,
    user: Option<SignedIn>,
    messages: FlashMessages,
    layout: Layout,
) -> Result<HttpResponse> {
    let next = params.and_then(|params| after_login(&params.next));
    html(&SessionEnded { user, messages, layout, next })
}
