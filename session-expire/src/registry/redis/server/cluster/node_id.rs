//! Id of a node, which its address does not prove.
//!
//! After a node has failed, another server may get its address. Changes that it accepts are lost.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Time after which another node at the same address has replaced the former one. The other nodes
/// of the Cluster still name the address then, or the cluster client would have dropped the node.
const REPLACED_AFTER: Duration = Duration::from_secs(30);

/// Id of the node to which the first connection led.
#[derive(Default)]
pub(super) struct NodeId(Mutex<Known>);

#[derive(Default)]
struct Known {
    id: Option<String>,
    /// Time since which another node has the address.
    other_since: Option<Instant>,
}

impl NodeId {
    /// Returns `true` after the first connection.
    pub(super) fn is_known(&self) -> bool {
        self.known().id.is_some()
    }

    /// Returns `true` if the node with this id may be used.
    pub(super) fn accepts(&self, id: &str) -> bool {
        self.known().accepts(id, Instant::now())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn accepts(&mut self, id: &str, now: Instant) -> bool {
        if self.id.as_deref().is_some_and(|known| known != id) {
            let since = *self.other_since.get_or_insert(now);
            if now.saturating_duration_since(since) < REPLACED_AFTER {
                return false;
            }
        }
        *self = Self { id: Some(id.to_owned()), other_since: None };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_node_is_refused_until_it_has_replaced_the_first() {
        let (mut known, start) = (Known::default(), Instant::now());
        for (second, id, expected) in [
            (0, "a", true),
            (1, "b", false),
            (30, "b", false),
            (30, "a", true),
            (32, "b", false),
            (62, "b", true),
            (63, "a", false),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(known.accepts(id, now), expected, "{id} after {second} s");
        }
    }
}
