//! What a person sees instead of a page: what happened, and what to do next.

use actix_identity::Identity;
use actix_web::{
    Error, FromRequest, HttpRequest, HttpResponse, Result,
    body::EitherBody,
    dev::{Payload, ServiceResponse},
    error::InternalError,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    },
};
use askama::Template;
use session_expire::FlashMessage;

use super::html_with;
use crate::{users::User, words::Limits};

#[derive(Template)]
#[template(path = "refusal.html")]
struct Refusal<'a> {
    user: Option<&'static User>,
    /// None: a file that a browser asks for in vain must not use up a message for a person.
    messages: [FlashMessage; 0],
    status: StatusCode,
    title: &'a str,
    advice: &'a str,
    limits: Limits,
}

/// An error that is answered with this page.
pub(crate) fn error(status: StatusCode, title: &str, advice: &str, req: &HttpRequest) -> Error {
    match page(status, title, advice, req) {
        Ok(response) => InternalError::from_response(title.to_owned(), response).into(),
        Err(error) => error,
    }
}

fn page(status: StatusCode, title: &str, advice: &str, req: &HttpRequest) -> Result<HttpResponse> {
    let identity = Identity::from_request(req, &mut Payload::None).into_inner().ok();
    let user = User::of_visitor(identity.as_ref());
    let limits = Limits::from_request(req, &mut Payload::None).into_inner()?;
    html_with(status, &Refusal { user, messages: [], status, title, advice, limits })
}

#[derive(Template)]
#[template(path = "unavailable.html")]
struct Unavailable {
    user: Option<&'static User>,
    messages: [FlashMessage; 0],
}

/// A page of ours in the place of the library's plain one, for people who come while the registry is away.
pub(crate) fn unavailable<B>(res: ServiceResponse<B>) -> Result<ServiceResponse<EitherBody<B>>> {
    let html = res
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if res.status() != StatusCode::SERVICE_UNAVAILABLE || !html {
        return Ok(res.map_into_left_body());
    }
    let page = Unavailable { user: None, messages: [] };
    let mut answer = html_with(StatusCode::SERVICE_UNAVAILABLE, &page)?;
    for name in [RETRY_AFTER, CACHE_CONTROL] {
        let value = res.headers().get(&name).cloned();
        value.map(|value| answer.headers_mut().insert(name, value));
    }
    Ok(res.into_response(answer.map_into_right_body()))
}

/// The page for addresses that lead nowhere.
pub(crate) async fn not_found(req: HttpRequest) -> Result<HttpResponse> {
    page(
        StatusCode::NOT_FOUND,
        "This page does not exist",
        "The address may be mistyped, or the page has moved. Start again from one of these.",
        &req,
    )
}
