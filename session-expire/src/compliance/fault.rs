//! Faults that a rule finds.

use crate::error::Breach;

/// Value that breaks a rule. Unlike a [`Breach`], it names no requirement.
pub(super) struct Fault {
    key: &'static str,
    value: String,
    text: String,
}

impl Fault {
    pub(super) fn new(
        key: &'static str,
        value: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self { key, value: value.into(), text: text.into() }
    }

    pub(super) fn into_breach(self, requirement: String) -> Breach {
        Breach { key: self.key, value: self.value, fault: self.text, requirement }
    }
}
