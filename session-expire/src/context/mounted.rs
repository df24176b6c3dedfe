//! Mounted application: configuration, and the policy patches of its layers.
//!
//! Actix builds the services of an `App` from the inside out, in one thread. Every policy layer
//! registers its patch when it is mounted, and the middleware then takes all registered patches.

use std::{
    any::TypeId,
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::Arc,
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::policy_stack::SharedLimits;
use crate::{
    config::{Config, write_interval},
    policy::{Policy, PolicyPatch, handler_policies::PolicyId, limit::Limit},
};

thread_local! {
    static LAYERS: RefCell<Vec<Layer>> = const { RefCell::new(Vec::new()) };
}

/// Mounted policy layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) patch: PolicyPatch,
    /// `true` if declared standards do not apply.
    pub(crate) is_exempt: bool,
}

/// Registers a layer with the middleware that will be mounted around it.
pub(crate) fn register_layer(layer: &Layer) {
    LAYERS.with_borrow_mut(|layers| layers.push(layer.clone()));
}

/// Policy patch of a handler that an extractor checks. It is unknown until the first request.
#[derive(Clone, Copy)]
pub(crate) struct HandlerPatch {
    pub(crate) handler: TypeId,
    /// Path of the handler. It is the same in all processes of one version of the application.
    pub(crate) name: &'static str,
    pub(crate) patch: &'static PolicyPatch,
}

/// Application with the middleware, mounted in one worker.
pub(crate) struct MountedApp {
    pub(crate) config: Arc<Config>,
    /// Write interval of `last_seen` for the strictest mounted idle timeout.
    write_interval: Cell<Duration>,
    /// `true` once a request has shown that no other session layer is mounted inside.
    is_only_layer: Cell<bool>,
    /// `true` if a policy limits the number of sessions.
    counts_sessions: Cell<bool>,
    /// `true` if a layer sets `login_url`.
    pub(crate) has_layer_login_url: bool,
    /// Digest of the application's policy and of the mounted layers.
    pub(crate) policy_digest: [u8; 8],
    /// Id of the combined handler policies, by the id of the outer ones and the handler.
    handlers: RefCell<HashMap<(PolicyId, TypeId), PolicyId>>,
    /// Function for the timeouts of the page whose stream was opened last.
    pub(super) shared_limits: RefCell<Option<SharedLimits>>,
}

impl MountedApp {
    /// Mounts `config` around the registered layers. Returns `None`, and logs an error, if a layer
    /// does not meet a declared standard.
    pub(crate) fn new(config: Arc<Config>) -> Option<Self> {
        let layers = LAYERS.take();
        if !meets_standards(&config, &layers) {
            return None;
        }
        let policy_digest = digest(&config.policy, &layers);
        let patches: Vec<_> = layers.into_iter().map(|layer| layer.patch).collect();
        let interval = write_interval(config.policy.idle);
        let counts_sessions =
            config.policy.max_sessions != Limit::Off || config.user_policy.is_some();
        let mounted = Self {
            write_interval: Cell::new(interval),
            is_only_layer: Cell::new(false),
            counts_sessions: Cell::new(counts_sessions),
            has_layer_login_url: patches.iter().any(|patch| patch.login_url.is_some()),
            policy_digest,
            handlers: RefCell::default(),
            shared_limits: RefCell::default(),
            config,
        };
        patches.iter().for_each(|patch| mounted.add(patch));
        Some(mounted)
    }

    fn add(&self, patch: &PolicyPatch) {
        self.config.longest.add(patch);
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

    /// Records whether another session layer has taken the entries of a session. `was_allocated` is
    /// `true` if memory for the entries was allocated before the handler ran.
    pub(crate) fn record_layers(&self, was_allocated: bool, is_taken: bool) {
        if was_allocated || is_taken {
            self.is_only_layer.set(!is_taken);
        }
    }

    /// Adds the patch of a handler, and returns the id of the handler policies up to and including
    /// it.
    pub(crate) fn add_handler(&self, below: PolicyId, handler: HandlerPatch) -> PolicyId {
        let known = self.handlers.borrow().get(&(below, handler.handler)).copied();
        known.unwrap_or_else(|| {
            let (id, patch) = (policy_id(below, handler), handler.patch);
            let interval = write_interval(patch.idle.unwrap_or(Limit::Off));
            let counts_sessions = matches!(patch.max_sessions, Some(Limit::At(_)));
            self.config.handler_policies.insert(id, interval, counts_sessions);
            self.config.longest.add(patch);
            self.handlers.borrow_mut().insert((below, handler.handler), id);
            id
        })
    }

    pub(crate) fn write_interval(&self) -> Duration {
        self.write_interval.get().min(self.config.handler_policies.write_interval())
    }

    pub(crate) fn counts_sessions(&self) -> bool {
        self.counts_sessions.get() || self.config.handler_policies.counts_sessions()
    }
}

fn meets_standards(config: &Config, layers: &[Layer]) -> bool {
    let checked = layers.iter().filter(|layer| !layer.is_exempt).map(|layer| &layer.patch);
    let layers: Vec<_> = checked.collect();
    let breaches = config.standards.breaches_of_layers(&config.policy, &layers);
    breaches.iter().for_each(|(layer, breach)| config.report_breach(breach, Some(layer)));
    let is_fresh = |fresh| matches!(fresh, Some(Limit::At(_)));
    let asks = is_fresh(Some(config.policy.fresh)) || layers.iter().any(|l| is_fresh(l.fresh));
    if config.standards.asks_for_fresh() && !asks {
        config.diagnostics.warn_no_fresh();
    }
    breaches.is_empty()
}

fn policy_id(below: PolicyId, handler: HandlerPatch) -> PolicyId {
    let hasher = Sha256::new().chain_update(below.to_be_bytes()).chain_update(handler.name);
    let hasher = hasher.chain_update([0]).chain_update(format!("{:?}", handler.patch));
    PolicyId::from_be_bytes(first_bytes(hasher))
}

/// Returns a digest that does not depend on the order of the layers.
fn digest(policy: &Policy, layers: &[Layer]) -> [u8; 8] {
    let mut texts: Vec<_> = layers.iter().map(|layer| format!("{layer:?}")).collect();
    texts.sort();
    texts.dedup();
    let mut hasher = Sha256::new().chain_update(format!("{policy:?}"));
    for text in texts {
        hasher.update([0]);
        hasher.update(text);
    }
    first_bytes(hasher)
}

fn first_bytes(hasher: Sha256) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize()[..8]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::minutes;

    #[test]
    fn digest_ignores_order_of_layers() {
        let app = Policy::new();
        let layer = |idle| Layer { patch: PolicyPatch::new().idle(idle), is_exempt: false };
        let (one, two) = (layer(minutes(1)), layer(minutes(2)));
        let both = digest(&app, &[one.clone(), two.clone()]);
        assert_eq!(both, digest(&app, &[two.clone(), one.clone(), two.clone()]));
        let exempt = Layer { is_exempt: true, ..one.clone() };
        assert_ne!(both, digest(&app, &[exempt, two.clone()]));
        assert_ne!(both, digest(&app, &[one]));
        assert_ne!(both, digest(&app.idle(minutes(3)), &[two]));
    }
}
