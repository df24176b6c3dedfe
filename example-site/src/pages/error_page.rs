//! Error pages.

use actix_web::{
    Error, FromRequest, HttpRequest, HttpResponse, Result,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
    },
    middleware::Next,
};
use askama::Template;
use session_expire::page::FlashMessage;

use super::html_with;
use crate::{layout::Layout, text_size::TextSize, users::SignedIn};

#[derive(Template)]
#[template(path = "error_page.html")]
struct ErrorPage<'a> {
    user: Option<SignedIn>,
    /// Always empty: a response about a missing file must not consume messages meant for a page.
    messages: [FlashMessage; 0],
    status: StatusCode,
    title: &'a str,
    detail: &'a str,
    layout: Layout,
}

/// Returns an error whose response is an error page.
pub(crate) fn error(status: StatusCode, title: &str, detail: &str, req: &HttpRequest) -> Error {
    match render(status, title, detail, req) {
        Ok(response) => InternalError::from_response(title.to_owned(), response).into(),
        Err(error) => error,
    }
}

/// Renders an error page with a title and a sentence that says what to do.
pub(crate) fn render(
    status: StatusCode,
    title: &str,
    detail: &str,
    req: &HttpRequest,
) -> Result<HttpResponse> {
    let user = SignedIn::from_request(req, &mut Payload::None).into_inner().ok();
    let layout = Layout::from_request(req, &mut Payload::None).into_inner()?;
    html_with(status, &ErrorPage { user, messages: [], status, title, detail, layout })
}

#[derive(Template)]
#[template(path = "unavailable.html")]
struct Unavailable {
    user: Option<SignedIn>,
    text_size: TextSize,
    messages: [FlashMessage; 0],
}

/// Middleware that shows a page of this site while the registry is unavailable.
pub(crate) async fn unavailable(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>> {
    let res = next.call(req).await?;
    if res.status() != StatusCode::SERVICE_UNAVAILABLE || !is_html(res.headers()) {
        return Ok(res.map_into_boxed_body());
    }
    let page = Unavailable { user: None, text_size: TextSize::new(res.request()), messages: [] };
    let mut response = html_with(StatusCode::SERVICE_UNAVAILABLE, &page)?;
    for name in [RETRY_AFTER, CACHE_CONTROL] {
        if let Some(value) = res.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(res.into_response(response))
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
}

/// Handles paths that do not exist.
pub(crate) async fn not_found(req: HttpRequest) -> Result<HttpResponse> {
    render(
        StatusCode::NOT_FOUND,
        "This page does not exist",
        "Check the address, or start from one of these pages.",
        &req,
    )
}
