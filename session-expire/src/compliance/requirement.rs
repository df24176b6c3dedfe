//! Requirement of a standard, which is a row of the table.

use std::fmt;

use super::{Standard, rule::Rule};

/// Requirement of a standard, summarised by this crate.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Requirement {
    /// The document, such as `ASVS 5.0`.
    pub document: &'static str,
    /// The section, such as `7.3.1`.
    pub section: &'static str,
    /// The level as the document names it, such as `L2` or `AAL2, should`; empty if it has none.
    pub level: &'static str,
    /// The standard to which it belongs; `None` if it is listed for reference only.
    pub standard: Option<Standard>,
    /// The requirement.
    pub text: &'static str,
    /// How it is checked.
    pub check: Check,
    /// The part of this crate that meets it, or helps to meet it.
    pub here: &'static str,
}

/// How a requirement is checked.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Check {
    /// [`build`](crate::SessionExpireBuilder::build) checks the rule.
    AtStart(Rule),
    /// It holds for every configuration. The texts name the tests of this crate that check it, each
    /// with its file: `cookies.rs::login_cookie_ends_with_the_browser`.
    ByTest(&'static [&'static str]),
    /// The application declares it with one of the options. If none is set, the operator must
    /// answer the question.
    #[non_exhaustive]
    Declared {
        /// Names of the options.
        options: &'static [&'static str],
        /// The question.
        question: &'static str,
    },
    /// Code cannot check it. The operator must answer the question.
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

    /// Returns the citation for messages. It ends with `should` for a recommendation.
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
