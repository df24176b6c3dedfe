//! Policy layers that a request passes.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use actix_web::HttpRequest;

use super::{
    RequestContext,
    mounted::HandlerPatch,
    policy_stack::{MergedPolicy, PolicyStack},
    session_data::NamedUser,
};
use crate::{
    error::SetupError,
    policy::{Policy, PolicyPatch, handler_policies::PolicyId},
};

/// The layers so far.
pub(super) struct Layers {
    pub(super) policies: RefCell<PolicyStack>,
    /// The policies of handlers among them that are not known at start.
    handler_policies: Cell<PolicyId>,
    /// The policy so far requires a login here.
    requires_login: Cell<bool>,
    /// The request was refused for want of a login.
    is_refused_by_layer: Cell<bool>,
}

impl Layers {
    pub(super) fn new(policies: PolicyStack, requires_login: bool) -> Self {
        Self {
            policies: RefCell::new(policies),
            handler_policies: Cell::default(),
            requires_login: Cell::new(requires_login),
            is_refused_by_layer: Cell::new(false),
        }
    }
}

impl RequestContext {
    /// Returns the policy in force, that of the user included.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(self.layers.policies.borrow().effective())
    }

    /// Returns the policy for a user who signs in here.
    pub(crate) fn layered_policy(&self) -> Arc<Policy> {
        Arc::clone(self.layers.policies.borrow().layered())
    }

    /// Adds the policy of a handler that is checked by an extractor.
    pub(crate) fn add_handler(
        &self,
        handler: HandlerPatch,
        req: &HttpRequest,
    ) -> Result<(), SetupError> {
        self.layers
            .handler_policies
            .set(self.mounted.add_handler(self.layers.handler_policies.get(), handler));
        let patch = handler.patch;
        self.add_layer(patch, |below| MergedPolicy::new(patch, below), req)
    }

    pub(crate) fn handler_policies(&self) -> PolicyId {
        self.layers.handler_policies.get()
    }

    /// Adds a policy layer and checks the session again.
    pub(crate) fn add_layer(
        &self,
        patch: &PolicyPatch,
        merge: impl FnOnce(&Arc<Policy>) -> MergedPolicy,
        req: &HttpRequest,
    ) -> Result<(), SetupError> {
        if self.config().cannot_enforce(patch) {
            return Err(SetupError::CannotEnforceLimit);
        }
        match patch.require_login {
            Some(false) if self.layers.requires_login.get() => {
                return Err(SetupError::OpenInsideClosed);
            }
            Some(true) => self.layers.requires_login.set(true),
            _ => {}
        }
        let record = self.record().map(|loaded| &*loaded.record);
        let keeps_limits = self.layers.policies.borrow_mut().push(patch, merge, record);
        if !(keeps_limits && self.is_checked()) {
            self.check_again();
        }
        if !self.access.borrow().is_active() {
            self.read_facts(req);
        }
        Ok(())
    }

    /// Returns `true` if the policy so far requires a login that the request does not have.
    pub(crate) fn lacks_login(&self) -> bool {
        if !self.layers.requires_login.get() {
            return false;
        }
        // A middleware further out may have signed a user in.
        let has_user = || matches!(self.session.user(), NamedUser::Named(_));
        let lacks = !self.access.borrow().is_active() && !has_user();
        self.layers.is_refused_by_layer.set(self.layers.is_refused_by_layer.get() || lacks);
        lacks
    }

    pub(crate) fn is_refused_by_layer(&self) -> bool {
        self.layers.is_refused_by_layer.get()
    }
}
