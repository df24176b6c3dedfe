//! Policies of a request: the application's, those of the layers so far, and what belongs to the
//! user and to the login.

use std::{rc::Rc, sync::Arc};

use super::mounted::Mounted;
use crate::{
    policy::{Policy, PolicyPatch, merge::SessionPatches},
    session::record::SessionRecord,
};

/// The policies that a request has met. What does not differ from the policy below is not stored.
pub(crate) struct PolicyStack {
    mounted: Rc<Mounted>,
    /// The application's policy under those of the layers so far.
    layered: Option<Arc<Policy>>,
    /// The layers so far, merged; kept up to date only for a login with a policy of its own.
    layers: Option<Box<PolicyPatch>>,
    /// What is in force for a session whose record has policies of its own.
    effective: Option<Arc<Policy>>,
}

/// The policy of a layer over that below.
#[derive(Debug, Clone)]
pub(crate) struct MergedPolicy {
    pub(crate) policy: Arc<Policy>,
    /// The timeouts are those of the policy below.
    pub(crate) keeps_limits: bool,
}

impl MergedPolicy {
    pub(crate) fn new(patch: &PolicyPatch, below: &Policy) -> Self {
        let policy = Arc::new(patch.over(below));
        Self { keeps_limits: policy.limits() == below.limits(), policy }
    }
}

impl PolicyStack {
    pub(crate) fn new(mounted: &Rc<Mounted>, record: Option<&SessionRecord>) -> Self {
        let app = &mounted.config.policy;
        let effective = own_policy(app, app, None, record);
        Self { mounted: Rc::clone(mounted), layered: None, layers: None, effective }
    }

    /// Adds a layer; `merge` puts its patch over the policy below. Returns `true` if the timeouts
    /// that are in force stay the same for certain.
    #[inline]
    pub(crate) fn push(
        &mut self,
        patch: &PolicyPatch,
        merge: impl FnOnce(&Arc<Policy>) -> MergedPolicy,
        record: Option<&SessionRecord>,
    ) -> bool {
        let merged = merge(self.layered());
        self.layered = Some(merged.policy);
        match record {
            Some(record) if self.effective.is_some() => {
                self.push_under(patch, record);
                false
            }
            _ => merged.keeps_limits,
        }
    }

    /// Adds a layer for a record that has policies of its own.
    fn push_under(&mut self, patch: &PolicyPatch, record: &SessionRecord) {
        if record.login_policy.is_some() {
            let below = self.layers.take().unwrap_or_default();
            self.layers = Some(Box::new(patch.on_top_of(&below)));
        }
        let (app, layers) = (&self.mounted.config.policy, self.layers.as_deref());
        self.effective = own_policy(app, self.layered(), layers, Some(record));
    }

    /// Returns the policy of the layers, without what belongs to a user.
    pub(crate) fn layered(&self) -> &Arc<Policy> {
        self.layered.as_ref().unwrap_or(&self.mounted.config.policy)
    }

    /// Returns the policy in force.
    pub(crate) fn effective(&self) -> &Arc<Policy> {
        self.effective.as_ref().unwrap_or_else(|| self.layered())
    }
}

/// Returns the policy in force for `record` where `layered` holds, if it differs from that.
#[inline]
fn own_policy(
    app: &Arc<Policy>,
    layered: &Arc<Policy>,
    layers: Option<&PolicyPatch>,
    record: Option<&SessionRecord>,
) -> Option<Arc<Policy>> {
    let record =
        record.filter(|record| record.login_policy.is_some() || record.user_policy.is_some())?;
    let patches = SessionPatches {
        login: record.login_policy.as_deref(),
        user: record.user_policy.as_deref(),
    };
    patches.on_page(app, layers, layered)
}

/// Returns the policy in force for `record` on a page without layers.
pub(crate) fn app_policy(app: &Arc<Policy>, record: &SessionRecord) -> Arc<Policy> {
    own_policy(app, app, None, Some(record)).unwrap_or_else(|| Arc::clone(app))
}
