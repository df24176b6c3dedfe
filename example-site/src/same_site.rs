//! Forms are only taken from this site's own pages.

use std::future::{Ready, ready};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, http::StatusCode};
use session_expire::is_cross_site;

use crate::pages::refusal;

/// Proof that a request was not sent by a page of another site, as far as the browser tells. The
/// session cookie is `SameSite=Lax` and would not come along anyway; a login needs no cookie, though,
/// and nobody should find themselves signed in as somebody else.
pub(crate) struct SameSite;

impl FromRequest for SameSite {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match is_cross_site(req) {
            false => Ok(Self),
            true => Err(refusal::error(
                StatusCode::FORBIDDEN,
                "This form came from another site",
                "Nothing was changed. Open the page on this site and send the form from there.",
                req,
            )),
        })
    }
}
