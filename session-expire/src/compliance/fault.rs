//! Value that breaks a rule, without the requirement that the rule belongs to.

use crate::error::Breach;

/// Value that breaks a rule.
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
