//! Requests without cookies.
//!
//! They need no look-up and mostly no context.

use std::rc::Rc;

use actix_web::{
    Error, HttpMessage, HttpRequest,
    dev::ServiceResponse,
    error::InternalError,
    http::{StatusCode, uri::PathAndQuery},
};

use crate::{
    context::{RequestContext, mounted::MountedApp, session_data::AppSession, slot::ContextSlot},
    policy::local_path::local_path,
    request::{RequestInfo, kind::ResponseFormat},
    response::challenge::challenge,
    settle::failure::inspect_error,
};

/// State of a request without cookies.
pub struct AnonymousRequest {
    pub(super) mounted: Rc<MountedApp>,
    session: AppSession,
    format: ResponseFormat,
    /// Return path of a navigation.
    page: Option<PathAndQuery>,
    /// Slot for the context, if a layer sets `login_url`: a failed request needs that policy.
    pub(super) context: Option<ContextSlot>,
}

impl AnonymousRequest {
    pub(super) fn new(mounted: &Rc<MountedApp>, session: AppSession, req: &HttpRequest) -> Self {
        let format = ResponseFormat::classify(req, mounted.config.is_api(req));
        let page = req.uri().path_and_query().filter(|_| format == ResponseFormat::Page).cloned();
        let context = mounted.has_layer_login_url.then(ContextSlot::default);
        if let Some(slot) = &context {
            req.extensions_mut().insert(slot.clone());
        }
        Self { mounted: Rc::clone(mounted), session, format, page, context }
    }

    /// Returns `true` if the response needs no settling.
    pub(super) fn is_settled<B>(&self, res: &ServiceResponse<B>) -> bool {
        res.status() != StatusCode::UNAUTHORIZED
            && self.session.is_untouched()
            && !RequestContext::exists(res.request())
    }
}

/// Turns the empty 401 of an inner middleware into a challenge. Returns any other error unchanged.
pub(super) fn challenge_anonymous(anonymous: &AnonymousRequest, error: Error) -> Error {
    let policy = &anonymous.mounted.config.policy;
    let path = anonymous.page.as_ref().map_or("", PathAndQuery::path);
    let is_at_login = anonymous.mounted.config.is_login_page(path, policy);
    let (error, is_unauthorized) = inspect_error(error);
    if is_at_login || !anonymous.mounted.config.challenge_anonymous || !is_unauthorized {
        return error;
    }
    let return_path = anonymous.page.as_ref().and_then(|page| local_path(page.as_str()));
    let info = RequestInfo::for_challenge(anonymous.format, return_path);
    let response = challenge(&info, &policy.login_url, &policy.confirm_url, None);
    InternalError::from_response(error, response).into()
}
