//! Requirement of a standard: a row of the table.

use std::fmt;

use super::{Standard, rule::Rule};

/// Requirement of a standard, in the words of this crate.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Requirement {
    /// The document, such as `ASVS 5.0`.
    pub document: &'static str,
    /// The section, such as `7.3.1`.
    pub section: &'static str,
    /// The level in the words of the document, such as `L2` or `AAL2, should`; empty if it has none.
    pub level: &'static str,
    /// The standard that an application declares to meet; `None` for a requirement that is listed
    /// for reference only.
    pub standard: Option<Standard>,
    /// The requirement.
    pub text: &'static str,
    /// How it is checked.
    pub check: Check,
    /// The part of this crate that meets it, or helps to.
    pub here: &'static str,
}

/// How a requirement is checked.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Check {
    /// [`build`](crate::SessionExpireBuilder::build) checks the rule.
    AtStart(Rule),
    /// It holds for every configuration. Test files of this crate with these names, separated by
    /// commas, check it.
    ByTest(&'static str),
    /// The application declares it by the named option.
    Declared(&'static str),
    /// Code cannot check it. The operator has to answer the question.
    Question(&'static str),
}

impl Requirement {
    /// Returns `true` if the requirement belongs to `standard` or to a level that it includes.
    #[must_use]
    pub fn applies_to(&self, standard: Standard) -> bool {
        self.standard.is_some_and(|own| standard.includes(own))
    }

    /// Returns the rule that is checked at start, if there is one.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        match self.check {
            Check::AtStart(rule) => Some(rule),
            _ => None,
        }
    }

    /// Returns the citation in messages, which names a recommendation as such.
    pub(super) fn citation(&self) -> String {
        let should = if self.level.ends_with("should") { ", should" } else { "" };
        format!("{self}{should}")
    }
}

impl fmt::Display for Requirement {
    /// Writes document and section, such as `ASVS 5.0 7.3.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.document, self.section)
    }
}
