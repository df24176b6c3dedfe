//! Policy layers of a request.
//!
//! Each layer is merged into the policy in force, and the session is checked again.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
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
    policy::{Policy, PolicyPatch, handler_policies::PolicyId, limit::Limit},
    session::freshness::fresh_for,
    watch::watcher::LimitsFn,
};

/// State of the policy layers that the request has reached.
pub(super) struct Layers {
    pub(super) policies: RefCell<PolicyStack>,
    /// Handler policies that were not known when the application was mounted.
    handler_policies: Cell<PolicyId>,
    /// `true` if one of the layers requires a login.
    requires_login: Cell<bool>,
    /// `true` if a layer has refused the request because it lacks a login.
    is_refused_by_layer: Cell<bool>,
    /// `true` if a layer has refused the request because the session is not fresh.
    needs_confirmation: Cell<bool>,
}

impl Layers {
    pub(super) fn new(policies: PolicyStack, requires_login: bool) -> Self {
        Self {
            policies: RefCell::new(policies),
            handler_policies: Cell::default(),
            requires_login: Cell::new(requires_login),
            is_refused_by_layer: Cell::new(false),
            needs_confirmation: Cell::new(false),
        }
    }
}

impl RequestContext {
    /// Returns the policy in force, which includes the user's.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(self.layers.policies.borrow().effective())
    }

    /// Returns the function that returns the timeouts of this page for a later state of the record.
    pub(crate) fn limits_fn(&self) -> LimitsFn {
        self.layers.policies.borrow().limits_fn()
    }

    /// Returns `true` if declared standards do not apply to the innermost layer.
    pub(crate) fn is_exempt(&self) -> bool {
        self.layers.policies.borrow().is_exempt()
    }

    /// Returns the policy of application and layers, for a user who signs in.
    pub(crate) fn layered_policy(&self) -> Arc<Policy> {
        Arc::clone(self.layers.policies.borrow().layered())
    }

    /// Adds the policy of a handler that an extractor checks.
    pub(crate) fn add_handler(
        &self,
        handler: HandlerPatch,
        req: &HttpRequest,
    ) -> Result<(), SetupError> {
        self.layers
            .handler_policies
            .set(self.mounted.add_handler(self.layers.handler_policies.get(), handler));
        let patch = handler.patch;
        self.add_layer(patch, |below| MergedPolicy::new(patch, below, self.config()), req)
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
                return Err(SetupError::LoginNotOptional);
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

    fn refuses_without_login(&self) -> bool {
        if !self.layers.requires_login.get() {
            return false;
        }
        // An outer middleware may have signed a user in.
        let has_user = || matches!(self.session.user(), NamedUser::Named(_));
        let is_missing = !self.access.borrow().is_active() && !has_user();
        self.layers.is_refused_by_layer.set(self.layers.is_refused_by_layer.get() || is_missing);
        is_missing
    }

    /// Returns `true`, and records the refusal, if the policy requires a login or a fresh session
    /// and the request has none.
    #[inline]
    pub(crate) fn refuses(&self, req: &HttpRequest) -> bool {
        let is_unlimited = self.layers.policies.borrow().effective().fresh == Limit::Off;
        self.refuses_without_login() || (!is_unlimited && self.refuses_stale(req))
    }

    #[cold]
    fn refuses_stale(&self, req: &HttpRequest) -> bool {
        let policy = self.policy();
        let is_stale = self.acts_for_session()
            && policy.fresh.at().is_some_and(|fresh| self.fresh_for(fresh).is_none())
            && !self.config().is_never_stale(req, &policy);
        if is_stale {
            self.read_facts(req);
            self.layers.needs_confirmation.set(true);
        }
        is_stale
    }

    /// Returns how long the active session stays fresh; `None` if it is not fresh.
    pub(crate) fn fresh_for(&self, fresh: Duration) -> Option<Duration> {
        let record = &self.record().filter(|_| self.access.borrow().is_active())?.record;
        fresh_for(record, fresh, self.config().policy.idle, self.now)
    }

    /// Returns `true` if a layer has refused the request because the session is not fresh.
    pub(crate) fn needs_confirmation(&self) -> bool {
        self.layers.needs_confirmation.get()
    }

    pub(crate) fn is_refused_by_layer(&self) -> bool {
        self.layers.is_refused_by_layer.get() || self.needs_confirmation()
    }
}
