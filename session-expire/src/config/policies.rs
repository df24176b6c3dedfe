//! Policies that are only known at run time, and the longest timeouts of a session.

use std::{sync::Arc, time::Duration};

use super::{Config, StoredPatch};
use crate::{
    error::{Breach, ConfigError, RegistryError},
    event::Event,
    policy::{
        Policy, PolicyPatch,
        limit::{Limit, Limits},
        merge::SessionPatches,
    },
    session::record::SessionRecord,
};

impl Config {
    /// Returns the longest idle and absolute timeouts to store with `record`; `None` if they are not
    /// longer than the stored ones.
    ///
    /// Stored timeouts only become longer, because another process may know more lax handlers.
    pub(crate) fn longer_timeouts(
        &self,
        record: &SessionRecord,
    ) -> Option<(Limit<Duration>, Limit<Duration>)> {
        let stored = (record.longest_idle, record.longest_absolute);
        let (idle, absolute) = self.longest(record.patches());
        let longest = (stored.0.laxer(idle), stored.1.laxer(absolute));
        (longest != stored).then_some(longest)
    }

    /// Returns the longest idle and absolute timeouts of all policies that can apply to a session
    /// with `patches`.
    pub(crate) fn longest(
        &self,
        patches: SessionPatches<'_>,
    ) -> (Limit<Duration>, Limit<Duration>) {
        let Limits { idle, absolute } = patches.longest(self.longest.get());
        (idle, absolute)
    }

    /// Returns `true` if `patch` sets a session limit that the registry does not enforce.
    pub(crate) fn cannot_enforce(&self, patch: &PolicyPatch) -> bool {
        matches!(patch.max_sessions, Some(Limit::At(_))) && !self.registry.enforces_limits()
    }

    /// Validates a patch that is only known at run time.
    ///
    /// # Errors
    ///
    /// Returns an error with a [`ConfigError`] as its source if the patch is invalid.
    pub(super) fn validated_patch(&self, patch: PolicyPatch) -> StoredPatch {
        let checked = match self.cannot_enforce(&patch) {
            true => Err(ConfigError::LimitNotEnforced),
            false => patch.validate(),
        };
        checked.map_err(RegistryError::from_policy)?;
        Ok((patch != PolicyPatch::new()).then(|| Arc::new(patch)))
    }

    /// Checks the login policy and the user policy together, over the application's policy.
    ///
    /// # Errors
    ///
    /// Returns an error with a [`ConfigError`] as its source if they do not meet a declared
    /// standard.
    pub(crate) fn check_standards(&self, patches: SessionPatches<'_>) -> Result<(), RegistryError> {
        let policy = patches.on_page(&self.policy, None, &self.policy);
        let checked = policy.map_or(Ok(()), |policy| self.standards.check_policy(&policy));
        checked.map_err(RegistryError::from_policy)
    }

    /// Returns `policy` with the limits of the declared standards. Reports each breach once, with
    /// the layer that causes it; `None` for a policy of a session.
    pub(crate) fn within_standards(&self, policy: Policy, layer: Option<&PolicyPatch>) -> Policy {
        let breaches = self.standards.breaches(&policy);
        if breaches.is_empty() {
            return policy;
        }
        breaches.iter().for_each(|breach| self.report_breach(breach, layer));
        self.capped_by_standards(policy)
    }

    /// Returns `policy` with the limits of the declared standards, and reports nothing.
    pub(crate) fn capped_by_standards(&self, policy: Policy) -> Policy {
        self.standards.cap(policy, &self.policy)
    }

    /// Reports a breach by a layer or by a policy of a session, unless it was reported before.
    pub(crate) fn report_breach(&self, breach: &Breach, layer: Option<&PolicyPatch>) {
        let layer = layer.map(|patch| serde_json::to_string(patch).unwrap_or_default());
        if self.standards.is_unreported(breach, layer.as_deref()) {
            self.emit(&Event::PolicyBreach { breach, layer: layer.as_deref() });
        }
    }
}
