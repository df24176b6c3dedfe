//! One mounted application: its configuration, and the policy patches mounted inside it.
//!
//! Actix builds the services of an `App` inside out, in one thread: every policy layer announces
//! its patch when it is mounted, and the middleware around them collects the announcements.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::{
    config::{Config, write_interval},
    limit::Limit,
    policy::{Policy, PolicyPatch},
};

thread_local! {
    static ANNOUNCED: RefCell<Vec<PolicyPatch>> = const { RefCell::new(Vec::new()) };
}

/// Announces a patch to the middleware that is going to be mounted around it.
pub(crate) fn announce(patch: &PolicyPatch) {
    ANNOUNCED.with_borrow_mut(|patches| patches.push(patch.clone()));
}

/// The middleware, mounted in one worker.
pub(crate) struct Mounted {
    pub(crate) config: Arc<Config>,
    /// How far `last_seen` may lag: the strictest idle timeout of the application decides.
    write_interval: Cell<Duration>,
    /// No other session layer is mounted inside, as far as a request has shown.
    is_only_layer: Cell<bool>,
    /// `true` if some policy limits the number of sessions.
    counts_sessions: Cell<bool>,
    /// Digest of the application's policy and of the patches mounted at the start.
    pub(crate) policy_digest: [u8; 8],
}

impl Mounted {
    /// Mounts `config` around the layers announced so far.
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let patches = ANNOUNCED.take();
        let interval = write_interval(config.policy.idle);
        let counts_sessions =
            config.policy.max_sessions != Limit::Off || config.user_policy.is_some();
        let mounted = Self {
            write_interval: Cell::new(interval),
            is_only_layer: Cell::new(false),
            counts_sessions: Cell::new(counts_sessions),
            policy_digest: digest(&config.policy, &patches),
            config,
        };
        patches.iter().for_each(|patch| mounted.add(patch));
        mounted
    }

    /// Takes a patch into account that was not mounted at the start.
    pub(crate) fn add(&self, patch: &PolicyPatch) {
        if let Some(idle) = patch.idle {
            self.write_interval.set(self.write_interval.get().min(write_interval(idle)));
        }
        if matches!(patch.max_sessions, Some(Limit::At(_))) {
            self.counts_sessions.set(true);
        }
    }

    pub(crate) fn is_only_layer(&self) -> bool {
        self.is_only_layer.get()
    }

    /// Takes note of what a request has shown: whether another layer has taken the entries of a
    /// session, for which memory `was_allocated` on the way in.
    pub(crate) fn note_layers(&self, was_allocated: bool, is_taken: bool) {
        if was_allocated || is_taken {
            self.is_only_layer.set(!is_taken);
        }
    }

    pub(crate) fn write_interval(&self) -> Duration {
        self.write_interval.get()
    }

    pub(crate) fn counts_sessions(&self) -> bool {
        self.counts_sessions.get()
    }
}

/// Depends on what the policies are, not on the order in which they were mounted.
fn digest(policy: &Policy, patches: &[PolicyPatch]) -> [u8; 8] {
    let mut texts: Vec<_> = patches.iter().map(|patch| format!("{patch:?}")).collect();
    texts.sort();
    texts.dedup();
    let mut hasher = Sha256::new().chain_update(format!("{policy:?}"));
    for text in texts {
        hasher.update([0]);
        hasher.update(text);
    }
    let mut digest = [0; 8];
    digest.copy_from_slice(&hasher.finalize()[..8]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::minutes;

    #[test]
    fn digest_depends_on_policies_and_not_on_their_order() {
        let app = Policy::new();
        let (one, two) = (PolicyPatch::new().idle(minutes(1)), PolicyPatch::new().idle(minutes(2)));
        let both = digest(&app, &[one.clone(), two.clone()]);
        assert_eq!(both, digest(&app, &[two.clone(), one.clone(), two.clone()]));
        assert_ne!(both, digest(&app, &[one]));
        assert_ne!(both, digest(&app.idle(minutes(3)), &[two]));
    }
}
