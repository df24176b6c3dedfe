//! Breaches that were reported at run time.
//!
//! Each breach is reported once. The number of values is limited per layer, key and requirement.
//! User policies with many values therefore do not suppress other breaches.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use crate::error::Breach;

/// Largest number of values that are reported per layer, key and requirement.
const MAX_VALUES: usize = 20;

/// Layer, key and requirement of a breach. The layer is `None` for the policies of a session.
type BreachKey = (Option<String>, &'static str, String);

/// Breaches that were reported.
#[derive(Debug, Default)]
pub(super) struct ReportedBreaches(Mutex<HashMap<BreachKey, HashSet<String>>>);

impl ReportedBreaches {
    /// Returns `true` if `breach` must be reported, and records it.
    pub(super) fn insert(&self, breach: &Breach, layer: Option<&str>) -> bool {
        let key = (layer.map(str::to_owned), breach.key, breach.requirement.clone());
        let mut reported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let values = reported.entry(key).or_default();
        values.len() < MAX_VALUES && values.insert(breach.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breach(key: &'static str, seconds: usize) -> Breach {
        Breach {
            key,
            value: format!("{seconds}s"),
            fault: "is longer than 1h".to_owned(),
            requirement: "NIST SP 800-63B-4 2.2.3".to_owned(),
        }
    }

    #[test]
    fn values_of_sessions_do_not_silence_layers_or_other_keys() {
        let reported = ReportedBreaches::default();
        let sessions = (0..500).filter(|value| reported.insert(&breach("idle", *value), None));
        assert_eq!(sessions.count(), MAX_VALUES);
        assert!(reported.insert(&breach("absolute", 1), None));
        for layer in ["{}", r#"{"idle":"2h"}"#] {
            assert!(reported.insert(&breach("idle", 1), Some(layer)));
            assert!(!reported.insert(&breach("idle", 1), Some(layer)), "reported once");
        }
    }
}
