//! Policies of a request: those of the application, the layers, the login and the user.
//!
//! The policy in force differs from the policy of application and layers only if the record has a
//! login policy or a user policy.

use std::{rc::Rc, sync::Arc};

use super::mounted::MountedApp;
use crate::{
    policy::{Policy, PolicyPatch},
    session::record::SessionRecord,
};

/// Policies of a request. A policy that equals the outer one is not stored.
pub(crate) struct PolicyStack {
    mounted: Rc<MountedApp>,
    /// Application's policy with the patches of the layers.
    layered: Option<Arc<Policy>>,
    /// Merged patches of the layers. Set only if the record has a login policy.
    layers: Option<Box<PolicyPatch>>,
    /// Policy in force if the record has a login policy or a user policy.
    effective: Option<Arc<Policy>>,
}

/// Result of merging a layer's patch into the outer policy.
#[derive(Debug, Clone)]
pub(crate) struct MergedPolicy {
    pub(crate) policy: Arc<Policy>,
    /// `true` if the timeouts equal those of the outer policy.
    pub(crate) keeps_limits: bool,
}

impl MergedPolicy {
    pub(crate) fn new(patch: &PolicyPatch, below: &Policy) -> Self {
        let policy = Arc::new(patch.over(below));
        Self { keeps_limits: policy.limits() == below.limits(), policy }
    }
}

impl PolicyStack {
    pub(crate) fn new(mounted: &Rc<MountedApp>, record: Option<&SessionRecord>) -> Self {
        let app = &mounted.config.policy;
        let effective = own_policy(app, app, None, record);
        Self { mounted: Rc::clone(mounted), layered: None, layers: None, effective }
    }

    /// Adds a layer. `merge` merges its patch into the outer policy. Returns `true` if the timeouts
    /// in force are certainly unchanged.
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
                self.push_for_record(patch, record);
                false
            }
            _ => merged.keeps_limits,
        }
    }

    /// Updates the policy in force for a record with a login policy or a user policy.
    fn push_for_record(&mut self, patch: &PolicyPatch, record: &SessionRecord) {
        if record.login_policy.is_some() {
            let below = self.layers.take().unwrap_or_default();
            self.layers = Some(Box::new(patch.over_patch(&below)));
        }
        let (app, layers) = (&self.mounted.config.policy, self.layers.as_deref());
        self.effective = own_policy(app, self.layered(), layers, Some(record));
    }

    /// Returns the policy of application and layers, without those of login and user.
    pub(crate) fn layered(&self) -> &Arc<Policy> {
        self.layered.as_ref().unwrap_or(&self.mounted.config.policy)
    }

    /// Returns the policy in force.
    pub(crate) fn effective(&self) -> &Arc<Policy> {
        self.effective.as_ref().unwrap_or_else(|| self.layered())
    }
}

/// Returns the policy in force for `record` on a page with the policy `layered`, if the record has
/// a policy of its own.
#[inline]
fn own_policy(
    app: &Arc<Policy>,
    layered: &Arc<Policy>,
    layers: Option<&PolicyPatch>,
    record: Option<&SessionRecord>,
) -> Option<Arc<Policy>> {
    let record =
        record.filter(|record| record.login_policy.is_some() || record.user_policy.is_some())?;
    record.patches().on_page(app, layers, layered)
}

/// Returns the policy in force for `record` on a page without layers.
pub(crate) fn app_policy(app: &Arc<Policy>, record: &SessionRecord) -> Arc<Policy> {
    own_policy(app, app, None, Some(record)).unwrap_or_else(|| Arc::clone(app))
}
