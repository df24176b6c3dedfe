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

    /// Validates a patch that is only known at run time. With an invalid patch, the login fails.
    pub(crate) fn validated_patch(&self, patch: PolicyPatch) -> StoredPatch {
        const OPERATION: &str = "store a policy patch";
        if self.cannot_enforce(&patch) {
            return Err(RegistryError::new(OPERATION, ConfigError::LimitNotEnforced));
        }
        let checked = patch.validate();
        checked
            .and_then(|()| self.standards.check_policy(&patch.over(&self.policy)))
            .map_err(|error| RegistryError::new(OPERATION, error))?;
        Ok((patch != PolicyPatch::new()).then(|| Arc::new(patch)))
    }

    /// Returns `policy` with the limits of the declared standards. Reports each breach once.
    pub(crate) fn within_standards(&self, policy: Policy) -> Policy {
        let report = |breach: &Breach| self.emit(&Event::PolicyBreach { breach });
        self.standards.enforce(policy, &self.policy, report)
    }
}
