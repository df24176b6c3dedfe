//! Sign-out endpoint, for applications without a sign-out handler.
//!
//! Requests from other origins are refused.

use actix_web::{HttpRequest, HttpResponse};

use super::status::{PageState, StatusBody};
use crate::{
    context::RequestContext,
    error::SetupError,
    messages::flash::{FlashLevel, FlashMessage},
    request::kind::ResponseFormat,
    response::{
        challenge::{hx_redirect, see_other},
        problem::cross_site,
    },
    session::reason::Reason,
};

pub(super) async fn logout(req: HttpRequest) -> Result<HttpResponse, SetupError> {
    let context = RequestContext::get(&req)?;
    if context.config().allowed_origins.refuses(&req) {
        return Ok(cross_site());
    }
    context.update_intent(|intent| intent.signs_out = true);
    context.session.purge();
    let (policy, info) = (context.policy(), context.info(&req));
    let text = context.ended_text(Reason::LoggedOut, &info);
    if !text.is_empty() {
        context
            .set_next_notice(FlashMessage::new(FlashLevel::Success, text).with_tags("logged_out"));
    }
    Ok(match info.format {
        ResponseFormat::Page => see_other(&policy.login_url),
        ResponseFormat::Htmx => hx_redirect(&policy.login_url),
        ResponseFormat::Api => {
            StatusBody::from_state(PageState::Anonymous).respond(HttpResponse::Ok())
        }
    })
}
