//! Protection against cross-site request forgery.
//!
//! Unsafe requests must come from pages of this site.

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
};
use session_expire::request::is_cross_site;

use crate::{language::Language, pages::error_page};

/// Middleware that responds with 403 to unsafe requests from other origins.
///
/// `SameSite=Lax` keeps the session cookie out of most of them. It does not protect the login form,
/// which needs no cookie, and does not stop other hosts of the same site.
pub(crate) async fn refuse_cross_site(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if req.method().is_safe() || is_endpoint(req.path()) || !is_cross_site(req.request()) {
        return next.call(req).await.map(ServiceResponse::map_into_boxed_body);
    }
    let language = Language::new(req.request());
    let page = error_page::render(
        StatusCode::FORBIDDEN,
        language.t("This form came from another site"),
        language.t("Nothing was changed. Open the form on this site and send it again."),
        req.request(),
    )?;
    Ok(req.into_response(page))
}

/// Returns `true` for the endpoints of session-expire, which check the origin themselves.
fn is_endpoint(path: &str) -> bool {
    path.starts_with("/session/")
}
