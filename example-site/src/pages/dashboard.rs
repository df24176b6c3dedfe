//! Dashboard with two countdowns.

use actix_web::{HttpResponse, Result, routes};
use askama::Template;
use session_expire::{FlashMessages, PublicId, SessionHandle, SessionVars};

use super::html;
use crate::{layout::Layout, users::SignedIn};

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    session_id: Option<PublicId>,
}

#[routes]
#[get("/dashboard")]
#[head("/dashboard")]
pub(super) async fn dashboard(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    handle: SessionHandle,
) -> Result<HttpResponse> {
    html(&Dashboard { user: Some(user), session, messages, layout, session_id: handle.id() })
}
