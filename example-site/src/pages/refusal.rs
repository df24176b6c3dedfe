//! What a person sees instead of a page: what happened, and what to do next.

use actix_identity::Identity;
use actix_web::{
    Error, FromRequest, HttpRequest, HttpResponse, Result, dev::Payload, error::InternalError,
    http::StatusCode,
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

/// The page for addresses that lead nowhere.
pub(crate) async fn not_found(req: HttpRequest) -> Result<HttpResponse> {
    page(
        StatusCode::NOT_FOUND,
        "This page does not exist",
        "The address may be mistyped, or the page has moved. Start again from one of these.",
        &req,
    )
}
