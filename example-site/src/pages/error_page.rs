//! Error pages.

use actix_web::{
    Error, FromRequest, HttpRequest, HttpResponse, Result,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        StatusCode,
        header::{
            ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, VARY,
        },
    },
    middleware::Next,
};
use askama::Template;
use session_expire::page::FlashMessage;

use super::{VARY_BY_LANGUAGE, html_with};
use crate::{
    catalog::text,
    language::Language,
    layout::{Appearance, Layout},
    users::SignedIn,
};

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
    layout: Appearance,
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
    let page = Unavailable { user: None, layout: Appearance::new(res.request()), messages: [] };
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
    let (title, detail) = texts(StatusCode::NOT_FOUND);
    let language = Language::new(&req);
    render(StatusCode::NOT_FOUND, language.t(title), language.t(detail), &req)
}

/// Returns the title and the advice for an error that no handler describes.
fn texts(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::FORBIDDEN => (
            text("You cannot open this page"),
            text("Your account has no access to it. Go back, or sign in as another user."),
        ),
        StatusCode::NOT_FOUND => (
            text("This page does not exist"),
            text("Check the address, or continue on one of the pages below."),
        ),
        StatusCode::CONFLICT => (
            text("Your change was not made"),
            text("Something else has changed in the meantime. Reload the page and try again."),
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (
            text("Your form is too large"),
            text("Nothing was changed. Go back, shorten your text and send the form again."),
        ),
        status if status.is_client_error() => (
            text("Your request could not be read"),
            text("Nothing was changed. Go back, reload the page and try again."),
        ),
        _ => (
            text("This page could not be displayed"),
            text("An error occurred on the site. You did nothing wrong. Try again in a minute."),
        ),
    }
}

/// Returns the title and the advice for a method that is not in `Allow`.
fn texts_of_method(allow: &HeaderValue) -> (&'static str, &'static str) {
    let allows = |method: &str| {
        allow.to_str().is_ok_and(|allow| allow.split(',').any(|other| other.trim() == method))
    };
    match (allows("GET"), allows("POST")) {
        (true, false) => (
            text("This page does not accept forms"),
            text("Nothing was changed. Go back, reload the page and send the form again."),
        ),
        (false, true) => (
            text("This address is not a page"),
            text("It only receives forms. Nothing was changed. Go back and submit the form there."),
        ),
        _ => texts(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// Returns the error page for a form that could not be read.
pub(crate) fn unreadable_form(status: StatusCode, req: &HttpRequest) -> Error {
    let (title, detail) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => texts(status),
        _ => (
            text("Your form could not be read"),
            text("Nothing was changed. Go back, reload the page and send the form again."),
        ),
    };
    let language = Language::new(req);
    error(status, language.t(title), language.t(detail), req)
}

/// Middleware that replaces an empty or plain-text error response with an error page.
///
/// API clients get the response unchanged. A 401 becomes a challenge, and `unavailable` handles 503.
pub(crate) async fn show_errors(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>> {
    let res = next.call(req).await?.map_into_boxed_body();
    let status = res.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_handled = [StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
    if !is_error || is_handled || !is_bare(&res) || !is_page(res.request()) {
        return Ok(res);
    }
    let allow = res.headers().get(ALLOW);
    let (title, detail) = allow.map_or_else(|| texts(status), texts_of_method);
    let language = Language::new(res.request());
    let page = render(status, language.t(title), language.t(detail), res.request())?.into_body();
    let mut res = res.map_body(|_, _| page);
    res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    res.headers_mut().append(VARY, HeaderValue::from_static(VARY_BY_LANGUAGE));
    Ok(res)
}

/// Returns `true` for a response without a body, or with plain text.
fn is_bare(res: &ServiceResponse<BoxBody>) -> bool {
    let kind = res.headers().get(CONTENT_TYPE);
    kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

/// Returns `true` if a browser opens a page or submits a form.
fn is_page(req: &HttpRequest) -> bool {
    let is_endpoint =
        ["/api/", "/session/", "/static/"].iter().any(|start| req.path().starts_with(start));
    let accept = req.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    !is_endpoint && accept.is_some_and(|accept| accept.contains("text/html"))
}
