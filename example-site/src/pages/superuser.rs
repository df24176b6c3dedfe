//! Who may see the pages of the superuser.

use std::future::{Ready, ready};

use actix_identity::Identity;
use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, http::StatusCode};

use super::refusal;
use crate::users::User;

/// A user who may see them; everybody else meets a page that says so.
pub(super) struct Superuser(pub(super) &'static User);

impl FromRequest for Superuser {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let identity = Identity::from_request(req, payload).into_inner();
        let user = identity.and_then(|identity| User::of(&identity));
        ready(user.and_then(|user| match user.superuser {
            true => Ok(Self(user)),
            false => Err(refusal::error(
                StatusCode::FORBIDDEN,
                "This page is for superusers",
                "Your account is not allowed to open it. Sign out, then sign in as root.",
                req,
            )),
        }))
    }
}
