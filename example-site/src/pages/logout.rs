//! Signing out.

use actix_web::{HttpResponse, post};
use session_expire::{FlashMessages, SessionHandle};

use super::see_other;
use crate::same_site::SameSite;

/// It takes no `Identity`, so that it also works for a session that has just expired.
#[post("/logout")]
pub(super) async fn logout(
    _: SameSite,
    session: SessionHandle,
    messages: FlashMessages,
) -> HttpResponse {
    session.sign_out();
    messages.success("You have signed out.");
    see_other("/login")
}
