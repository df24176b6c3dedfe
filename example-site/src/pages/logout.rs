//! Sign-out.

use actix_web::{HttpResponse, post};
use session_expire::{FlashMessages, SessionHandle};

use super::see_other;
use crate::language::Language;

/// Signs out. Without `Identity` as an argument, it also works for an expired session.
#[post("/logout")]
pub(super) async fn logout(
    session: SessionHandle,
    messages: FlashMessages,
    language: Language,
) -> HttpResponse {
    session.sign_out();
    messages.success(language.t("You have signed out."));
    see_other("/login")
}
