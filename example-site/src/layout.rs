//! Data of the layout that all pages share.

use std::future::{Ready, ready};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload};

use crate::{format::Limits, text_size::TextSize};

/// Data of the layout. Handlers extract it.
pub(crate) struct Layout {
    pub(crate) limits: Limits,
    pub(crate) text_size: TextSize,
}

impl FromRequest for Layout {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limits = Limits::from_request(req, payload).into_inner();
        ready(limits.map(|limits| Self { limits, text_size: TextSize::new(req) }))
    }
}
