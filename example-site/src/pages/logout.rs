//! Sign-out.

use actix_web::{HttpResponse, post};
use session_expire::{FlashMessages, SessionHandle};

use super::see_other;

/// Signs out. Without `Identity` as an argument, it also works for an expired session.
#[post("/logout")]
pub(super) async fn logout(session: SessionHandle, messages: FlashMessages) -> HttpResponse {
    session.sign_out();
    messages.success("You have signed out.");
    see_other("/login")
}
