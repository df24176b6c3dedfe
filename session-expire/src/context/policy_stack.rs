//! Policies of a request: those of the application, the layers, the login and the user.
//!
//! The policy in force differs from the policy of application and layers only if the record has a
//! login policy or a user policy.

use std::{rc::Rc, sync::Arc};

use super::mounted::MountedApp;
use crate::{
    compliance::DeclaredStandards,
    config::Config,
    policy::{Policy, PolicyPatch, limit::Limits},
    session::{page_token::PageLimits, record::SessionRecord},
    watch::watcher::LimitsFn,
};

/// Policies of a request. A policy that equals the outer one is not stored.
pub(crate) struct PolicyStack {
    mounted: Rc<MountedApp>,
    /// Application's policy with the patches of the layers.
    layered: Option<Arc<Policy>>,
    /// Merged patches of the layers. Set only if the record has a login policy.
    layers: Option<Arc<PolicyPatch>>,
    /// Policy in force if the record has a login policy or a user policy.
    effective: Option<Arc<Policy>>,
    /// Effect of declared standards on the innermost layer.
    standards: StandardsEffect,
}

/// Function that returns the timeouts of pages with this policy. Their open streams share it.
pub(crate) type SharedLimits = (Arc<Policy>, StandardsEffect, LimitsFn);

/// Effect of declared standards on a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StandardsEffect {
    /// The limits of the standards apply, and breaches are reported.
    Reported,
    /// The limits of the standards apply, and breaches are not reported. A page token contains no
    /// reasons for timeouts, and the request that issued it has already reported the breaches.
    Capped,
    /// The standards do not apply, and requests are not activity.
    Exempt,
}

impl StandardsEffect {
    /// Applies declared standards to the policy in force for a record with a policy of its own.
    fn apply(self, policy: Policy, config: &Config) -> Policy {
        match self {
            Self::Reported => config.within_standards(policy, None),
            Self::Capped => config.capped_by_standards(policy),
            // The user policy takes precedence over the layer, but must not make it active.
            Self::Exempt => policy.passive(true),
        }
    }

    /// Returns the timeouts of `policy` under declared standards, without reporting breaches.
    fn limits(self, policy: Policy, declared: &DeclaredStandards, app: &Policy) -> Limits {
        match self {
            Self::Reported if declared.is_met(&policy) => policy.limits(),
            Self::Reported | Self::Capped => declared.cap(policy, app).limits(),
            Self::Exempt => policy.limits(),
        }
    }
}

/// Result of merging a layer's patch into the outer policy.
#[derive(Debug, Clone)]
pub(crate) struct MergedPolicy {
    pub(crate) policy: Arc<Policy>,
    /// `true` if the timeouts equal those of the outer policy.
    pub(crate) keeps_limits: bool,
    standards: StandardsEffect,
}

impl MergedPolicy {
    /// Merges `patch` into `below`. The stricter of the result and the declared standards applies.
    pub(crate) fn new(patch: &PolicyPatch, below: &Policy, config: &Config) -> Self {
        let policy = config.within_standards(patch.over(below), Some(patch));
        Self::from_policy(policy, below, StandardsEffect::Reported)
    }

    /// Merges `patch` into `below`. Declared standards do not apply.
    pub(crate) fn exempt(patch: &PolicyPatch, below: &Policy) -> Self {
        Self::from_policy(patch.over(below), below, StandardsEffect::Exempt)
    }

    /// Merges the limits of a page token into `below`.
    pub(crate) fn from_token(page: &PageLimits, below: &Policy, config: &Config) -> Self {
        let policy = page.limits.over(below);
        match page.is_exempt {
            true => Self::from_policy(policy, below, StandardsEffect::Exempt),
            false => {
                let policy = config.capped_by_standards(policy);
                Self::from_policy(policy, below, StandardsEffect::Capped)
            }
        }
    }

    fn from_policy(policy: Policy, below: &Policy, standards: StandardsEffect) -> Self {
        let keeps_limits = policy.limits() == below.limits();
        Self { policy: Arc::new(policy), keeps_limits, standards }
    }
}

impl PolicyStack {
    pub(crate) fn new(mounted: &Rc<MountedApp>, record: Option<&SessionRecord>) -> Self {
        let config = &mounted.config;
        let effective = record.and_then(|record| own_app_policy(config, record));
        let mounted = Rc::clone(mounted);
        let standards = StandardsEffect::Reported;
        Self { mounted, layered: None, layers: None, effective, standards }
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
        self.standards = merged.standards;
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
            self.layers = Some(Arc::new(patch.over_patch(&below)));
        }
        let (config, layers) = (&self.mounted.config, self.layers.as_deref());
        let policy = own_policy(&config.policy, self.layered(), layers, record);
        self.effective = policy.map(|policy| Arc::new(self.standards.apply(policy, config)));
    }

    /// Returns a function that calculates the timeouts of this request's page for a later state of
    /// the record.
    ///
    /// The function does not own the configuration. Otherwise, an open stream would keep the
    /// registry open, and the end of the last stream would close it on the watch thread.
    pub(crate) fn limits_fn(&self) -> LimitsFn {
        if self.layers.is_some() {
            return self.new_limits_fn();
        }
        let mut shared = self.mounted.shared_limits.borrow_mut();
        match &*shared {
            Some((layered, standards, limits))
                if Arc::ptr_eq(layered, self.layered()) && *standards == self.standards =>
            {
                Arc::clone(limits)
            }
            _ => {
                let limits = self.new_limits_fn();
                let layered = Arc::clone(self.layered());
                *shared = Some((layered, self.standards, Arc::clone(&limits)));
                limits
            }
        }
    }

    fn new_limits_fn(&self) -> LimitsFn {
        let config = &self.mounted.config;
        let (app, declared) = (Arc::clone(&config.policy), Arc::clone(&config.standards));
        let (layered, layers) = (Arc::clone(self.layered()), self.layers.clone());
        let standards = self.standards;
        Arc::new(move |record| {
            let own = own_policy(&app, &layered, layers.as_deref(), record);
            own.map_or(layered.limits(), |policy| standards.limits(policy, &declared, &app))
        })
    }

    /// Returns `true` if declared standards do not apply to the innermost layer.
    pub(crate) fn is_exempt(&self) -> bool {
        self.standards == StandardsEffect::Exempt
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
    app: &Policy,
    layered: &Policy,
    layers: Option<&PolicyPatch>,
    record: &SessionRecord,
) -> Option<Policy> {
    let is_own = record.login_policy.is_some() || record.user_policy.is_some();
    is_own.then(|| record.patches().on_page(app, layers, layered)).flatten()
}

/// Returns the policy in force for `record` on a page without layers, if the record has a policy of
/// its own.
#[inline]
fn own_app_policy(config: &Config, record: &SessionRecord) -> Option<Arc<Policy>> {
    let policy = own_policy(&config.policy, &config.policy, None, record)?;
    Some(Arc::new(config.within_standards(policy, None)))
}

/// Returns the policy in force for `record` on a page without layers.
pub(crate) fn app_policy(config: &Config, record: &SessionRecord) -> Arc<Policy> {
    own_app_policy(config, record).unwrap_or_else(|| Arc::clone(&config.policy))
}
