//! What settling needs to know of a request.
//!
//! A request cannot be held across routing, so what a failed request needs is read on the way in:
//! only where it may be needed.

use actix_web::HttpRequest;

use crate::{
    config::Config,
    request::{RequestInfo, client_ip::client, kind::RequestKind, origin::is_from_other_site},
    session::client::Client,
};

/// What is known of a request when it is settled.
pub(crate) struct RequestFacts {
    pub(crate) info: RequestInfo,
    pub(crate) is_other_site: bool,
    /// The request is no activity: by header, or as a speculative load.
    pub(crate) is_passive: bool,
    pub(crate) client: Client,
}

impl RequestFacts {
    pub(crate) fn new(config: &Config, req: &HttpRequest) -> Self {
        let info = RequestInfo::new(req, config.is_api(req));
        let is_unseen = matches!(info.kind, RequestKind::Speculative | RequestKind::Preflight);
        Self {
            is_other_site: is_from_other_site(req),
            is_passive: is_unseen || config.is_passive(req),
            client: client(req, &config.proxies),
            info,
        }
    }
}
