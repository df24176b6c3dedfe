//! Properties of a request that settling needs.
//!
//! The middleware must not store a clone of the request across routing, because actix-web would
//! panic. It reads the properties before the handler runs, if a failure may need them.

use actix_web::HttpRequest;

use crate::{
    config::Config,
    request::{RequestInfo, kind::RequestKind, origin::is_from_other_site},
    session::client::Client,
};

/// Properties of a request, read before or after the handler runs.
pub(crate) struct RequestFacts {
    pub(crate) info: RequestInfo,
    pub(crate) is_other_site: bool,
    /// `true` if the request is passive by header, or because it is speculative.
    pub(crate) is_passive: bool,
    pub(crate) client: Client,
}

impl RequestFacts {
    pub(crate) fn new(config: &Config, req: &HttpRequest) -> Self {
        let info = config.request_info(req);
        let is_unseen = matches!(info.kind, RequestKind::Speculative | RequestKind::Preflight);
        Self {
            is_other_site: is_from_other_site(req),
            is_passive: is_unseen || config.is_passive(req),
            client: config.client(req),
            info,
        }
    }
}
