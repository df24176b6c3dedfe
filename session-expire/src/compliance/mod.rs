//! Standards that an application can declare, and their requirements.
//!
//! [`requirements`] returns the table, which the [guide](crate::guide::standards) shows.
//! [`complies_with`](crate::SessionExpireBuilder::complies_with) checks its rules when the
//! middleware is built.
//!
//! ```
//! use session_expire::{Policy, compliance::{Standard, breaches}, minutes};
//!
//! let page = Policy::new().idle(minutes(30));
//! let [breach] = &breaches([Standard::PciDss4], &page)[..] else { panic!() };
//! assert_eq!((breach.key, breach.value.as_str()), ("idle", "30m"));
//! ```

mod asvs;
mod asvs_sessions;
mod declared;
mod deviation;
mod fault;
mod nist;
mod other;
mod questions;
mod reported;
mod requirement;
mod rule;
mod standard;
mod words;

pub(crate) use self::{declared::DeclaredStandards, deviation::Deviation, rule::BuilderFacts};
pub use self::{
    requirement::{Check, Requirement},
    rule::Rule,
    standard::Standard,
};
use crate::{error::Breach, policy::Policy};

/// Returns all requirements, grouped by document.
pub fn requirements() -> impl Iterator<Item = &'static Requirement> {
    let tables = [asvs_sessions::REQUIREMENTS, asvs::REQUIREMENTS, nist::REQUIREMENTS];
    tables.into_iter().flatten().chain(other::REQUIREMENTS)
}

/// Returns the breaches of `standards` by `policy`, for a test of the application's policies. It
/// does not check the rules on other options of the builder.
///
/// The policy of a page is its patch [over](crate::PolicyPatch::over) the application's policy.
#[must_use]
pub fn breaches(standards: impl IntoIterator<Item = Standard>, policy: &Policy) -> Vec<Breach> {
    let standards: Vec<_> = standards.into_iter().collect();
    let required = requirements().filter(|row| standards.iter().any(|own| row.applies_to(*own)));
    required.flat_map(|row| policy_breaches(row, policy)).collect()
}

/// Returns the breaches of one requirement by a policy.
fn policy_breaches(requirement: &Requirement, policy: &Policy) -> Vec<Breach> {
    let faults = requirement.rule().map(|rule| rule.check_policy(policy)).unwrap_or_default();
    faults.into_iter().map(|fault| fault.into_breach(requirement.citation())).collect()
}

/// Returns a row of the table.
const fn row(
    (document, section, level): (&'static str, &'static str, &'static str),
    standard: Option<Standard>,
    text: &'static str,
    check: Check,
    here: &'static str,
) -> Requirement {
    Requirement { document, section, level, standard, text, check, here }
}

/// Returns a row of ASVS 5.0 with its lowest level.
const fn asvs(
    standard: Standard,
    section: &'static str,
    text: &'static str,
    check: Check,
    here: &'static str,
) -> Requirement {
    let level = match standard {
        Standard::AsvsL1 => "L1",
        Standard::AsvsL2 => "L2",
        _ => "L3",
    };
    row(("ASVS 5.0", section, level), Some(standard), text, check, here)
}
