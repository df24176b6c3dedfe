//! Policies of a request: the application's, those of the layers so far, and what belongs to the
//! user and to the login.

use std::sync::Arc;

use crate::{
    choice::under_choice,
    policy::{Policy, PolicyPatch},
    registry::record::SessionRecord,
};

/// The policies that a request has met.
pub(crate) struct PolicyStack {
    app: Arc<Policy>,
    /// The application's policy under those of the layers so far.
    layered: Arc<Policy>,
    /// The layers so far, merged; kept up to date only for a login with a policy of its own.
    layers: PolicyPatch,
    /// What is in force for this session.
    effective: Arc<Policy>,
}

impl PolicyStack {
    pub(crate) fn new(app: &Arc<Policy>, record: Option<&SessionRecord>) -> Self {
        let layers = PolicyPatch::new();
        let effective = effective(app, app, &layers, record);
        Self { app: Arc::clone(app), layered: Arc::clone(app), layers, effective }
    }

    /// Adds a layer; `merge` puts its patch over the policy below.
    pub(crate) fn push(
        &mut self,
        patch: &PolicyPatch,
        merge: impl FnOnce(&Arc<Policy>) -> Arc<Policy>,
        record: Option<&SessionRecord>,
    ) {
        self.layered = merge(&self.layered);
        if record.is_some_and(|record| record.login_policy.is_some()) {
            self.layers = patch.on_top_of(&self.layers);
        }
        self.effective = effective(&self.app, &self.layered, &self.layers, record);
    }

    /// Returns the policy of the layers, without what belongs to a user.
    pub(crate) fn layered(&self) -> &Arc<Policy> {
        &self.layered
    }

    /// Returns the policy in force.
    pub(crate) fn effective(&self) -> &Arc<Policy> {
        &self.effective
    }
}

/// Returns the policy in force for `record` where `layered` holds.
fn effective(
    app: &Arc<Policy>,
    layered: &Arc<Policy>,
    layers: &PolicyPatch,
    record: Option<&SessionRecord>,
) -> Arc<Policy> {
    let Some(record) = record else { return Arc::clone(layered) };
    let below = match &record.login_policy {
        Some(login) => Arc::new(under_choice(app, login, layers)),
        None => Arc::clone(layered),
    };
    match &record.user_policy {
        Some(user) => Arc::new(user.over(&below)),
        None => below,
    }
}

/// Returns the policy in force for `record` on a page without layers.
pub(crate) fn app_policy(app: &Arc<Policy>, record: &SessionRecord) -> Arc<Policy> {
    effective(app, app, &PolicyPatch::new(), Some(record))
}
