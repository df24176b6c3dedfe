//! Dashboard with two countdowns.

use actix_identity::Identity;
use actix_web::{HttpResponse, Result, routes};
use askama::Template;
use session_expire::{FlashMessages, PublicId, SessionHandle, SessionVars};

use super::html;
use crate::{format::Limits, users::User};

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    user: Option<&'static User>,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
    session_id: Option<PublicId>,
}

#[routes]
#[get("/dashboard")]
#[head("/dashboard")]
pub(super) async fn dashboard(
    user: Identity,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
    handle: SessionHandle,
) -> Result<HttpResponse> {
    let user = Some(User::from_identity(&user)?);
    html(&Dashboard { user, session, messages, limits, session_id: handle.id() })
}
