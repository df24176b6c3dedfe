//! Policy layers to which declared standards do not apply.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use actix_web::{
    Error,
    body::EitherBody,
    dev::{ServiceRequest, ServiceResponse, Transform},
};

use super::{inner_service::InnerService, policy_layer::PolicyService};
use crate::{context::mounted::Layer, policy::PolicyPatch};

/// Policy layer to which declared standards do not apply.
#[derive(Debug, Clone)]
pub struct ExemptPolicy {
    patch: PolicyPatch,
    reason: Arc<str>,
}

impl PolicyPatch {
    /// Returns a middleware that applies the patch, but to which
    /// [declared standards](crate::SessionExpireBuilder::complies_with) do not apply. `reason` says
    /// why. Mounting fails if it is empty.
    ///
    /// Use it for public resources, such as static files, which must not end a session. The layer
    /// is always [passive](PolicyPatch::passive): its requests and the keep-alives of its pages are
    /// not activity, and do not extend the session. An inner layer is not exempt.
    ///
    /// # Security
    ///
    /// Inside this layer, a session may be active for longer than a standard allows.
    ///
    /// ```
    /// use actix_web::web;
    /// use session_expire::{Limit, PolicyPatch};
    ///
    /// let patch = PolicyPatch::new().idle(Limit::Off).absolute(Limit::Off);
    /// let files = web::scope("/static").wrap(patch.exempt_from_standards("public files"));
    /// # let _ = files.service(web::resource("/").to(actix_web::HttpResponse::Ok));
    /// ```
    #[must_use]
    pub fn exempt_from_standards(self, reason: impl Into<Arc<str>>) -> ExemptPolicy {
        ExemptPolicy { patch: self, reason: reason.into() }
    }
}

impl<S: InnerService> Transform<S, ServiceRequest> for ExemptPolicy {
    type Response = ServiceResponse<EitherBody<S::Body>>;
    type Error = Error;
    type Transform = PolicyService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        if self.reason.trim().is_empty() {
            tracing::error!(
                event = "sys_invalid_policy",
                "layer exempted from standards without a reason"
            );
            return ready(Err(()));
        }
        let patch = self.patch.clone().passive(true);
        ready(PolicyService::mount(Layer { patch, is_exempt: true }, service))
    }
}
