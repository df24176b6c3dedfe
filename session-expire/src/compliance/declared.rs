//! Standards that the application has declared.
//!
//! The builder checks its policy and its options. The middleware checks the policies of layers,
//! logins and users.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use super::{BuilderFacts, Requirement, Rule, Standard, policy_breaches, requirements};
use crate::{
    error::{Breach, ConfigError},
    policy::{
        Policy, PolicyPatch,
        limit::{Limit, Limits},
    },
};

/// Declared standards, without the requirements from which the application deviates.
#[derive(Debug, Default)]
pub(crate) struct DeclaredStandards {
    /// Requirements that apply, with or without a rule.
    required: Vec<&'static Requirement>,
    /// Those of them with a rule on policies.
    on_policies: Vec<&'static Requirement>,
    /// Breaches that were reported.
    reported: Mutex<HashSet<Breach>>,
}

/// Number of breaches that are reported. User policies can have any number of values.
const MAX_REPORTED: usize = 100;

/// Deviation from a requirement: its citation and the reason.
pub(crate) type Deviation = (String, String);

impl DeclaredStandards {
    /// Returns the requirements of `standards`, without `deviations`.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Value`] if a deviation has no reason, or names no requirement that is
    /// checked at start.
    pub(crate) fn new(
        standards: &[Standard],
        deviations: &[Deviation],
    ) -> Result<Self, ConfigError> {
        deviations.iter().try_for_each(check_deviation)?;
        let applies = |row: &Requirement| standards.iter().any(|own| row.applies_to(*own));
        let deviates = |row: &Requirement| {
            row.rule().is_some() && deviations.iter().any(|(name, _)| *name == row.to_string())
        };
        let required: Vec<_> =
            requirements().filter(|row| applies(row) && !deviates(row)).collect();
        let reads_policy = |row: &&&Requirement| row.rule().is_some_and(Rule::reads_policy);
        let on_policies = required.iter().filter(reads_policy).copied().collect();
        Ok(Self { required, on_policies, reported: Mutex::default() })
    }

    /// Checks the application's policy and the builder's options.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::NotCompliant`] with all breaches.
    pub(crate) fn check(
        &self,
        policy: &Policy,
        facts: &BuilderFacts<'_>,
    ) -> Result<(), ConfigError> {
        let mut breaches = vec![];
        for requirement in &self.required {
            breaches.extend(policy_breaches(requirement, policy));
            let faults = requirement.rule().map(|rule| rule.check_builder(facts));
            let faults = faults.into_iter().flatten();
            breaches.extend(faults.map(|fault| fault.into_breach(requirement.citation())));
        }
        or_error(breaches)
    }

    /// Checks the policy of a login or of a user.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::NotCompliant`] with all breaches.
    pub(crate) fn check_policy(&self, policy: &Policy) -> Result<(), ConfigError> {
        or_error(self.breaches(policy))
    }

    /// Returns the breaches by mounted layers that are certain, whatever layers are around them.
    pub(crate) fn breaches_of_layers(&self, app: &Policy, layers: &[&PolicyPatch]) -> Vec<Breach> {
        let mut breaches = vec![];
        for (index, layer) in layers.iter().enumerate() {
            let policy = layer.over(app);
            let is_known = |key: &&str| {
                let mut others = layers.iter().enumerate().filter(|(other, _)| *other != index);
                sets(layer, key) || !others.any(|(_, other)| sets(other, key))
            };
            let is_certain = |rule: Rule| rule.keys().iter().all(is_known);
            let certain = self.on_policies.iter().filter(|row| row.rule().is_some_and(is_certain));
            breaches.extend(certain.flat_map(|row| policy_breaches(row, &policy)));
        }
        breaches.sort_by_key(Breach::to_string);
        breaches.dedup();
        breaches
    }

    /// Returns `policy` with the stricter of its limits and those of the standards. If a standard
    /// requires a limit without a figure, `app` provides it. Passes each breach to `report` once.
    pub(crate) fn enforce(
        &self,
        policy: Policy,
        app: &Policy,
        report: impl FnMut(&Breach),
    ) -> Policy {
        let breaches = self.breaches(&policy);
        if breaches.is_empty() {
            return policy;
        }
        self.unreported(breaches).iter().for_each(report);
        let Limits { idle, absolute } = self.stricter(policy.limits(), app.limits());
        Policy { idle, absolute, ..policy }
    }

    /// Logs the questions that code cannot answer.
    pub(crate) fn log_questions(&self) {
        for requirement in &self.required {
            if let super::Check::Question(question) = requirement.check {
                tracing::info!(
                    event = "sys_compliance_question",
                    %requirement,
                    question,
                    "question to the operator"
                );
            }
        }
    }

    /// Returns `true` if a declared standard requires that users authenticate again, which is the
    /// use of `fresh`.
    pub(crate) fn asks_for_fresh(&self) -> bool {
        self.required.iter().any(|row| row.to_string() == "ASVS 5.0 7.5.1")
    }

    fn breaches(&self, policy: &Policy) -> Vec<Breach> {
        self.on_policies.iter().flat_map(|row| policy_breaches(row, policy)).collect()
    }

    fn unreported(&self, mut breaches: Vec<Breach>) -> Vec<Breach> {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        breaches.retain(|breach| reported.len() < MAX_REPORTED && reported.insert(breach.clone()));
        breaches
    }

    fn stricter(&self, limits: Limits, app: Limits) -> Limits {
        let rules = self.on_policies.iter().filter_map(|row| row.rule());
        rules.fold(limits, |Limits { idle, absolute }, rule| match rule {
            Rule::IdleAtMost(most) => Limits { idle: idle.stricter(Limit::At(most)), absolute },
            Rule::AbsoluteAtMost(most) => {
                Limits { idle, absolute: absolute.stricter(Limit::At(most)) }
            }
            Rule::HasIdle if idle == Limit::Off => Limits { idle: app.idle, absolute },
            Rule::HasAbsolute if absolute == Limit::Off => Limits { idle, absolute: app.absolute },
            _ => Limits { idle, absolute },
        })
    }
}

fn check_deviation((name, reason): &Deviation) -> Result<(), ConfigError> {
    let invalid = |value: &str, expected| ConfigError::Value {
        key: "deviates_from",
        value: format!("{value:?}"),
        expected,
    };
    if reason.trim().is_empty() {
        return Err(invalid(reason, "a reason"));
    }
    let is_checked = |row: &Requirement| row.rule().is_some() && row.to_string() == *name;
    match requirements().any(is_checked) {
        true => Ok(()),
        false => Err(invalid(name, "a requirement that is checked, such as \"ASVS 5.0 7.3.1\"")),
    }
}

fn or_error(breaches: Vec<Breach>) -> Result<(), ConfigError> {
    match breaches.is_empty() {
        true => Ok(()),
        false => Err(ConfigError::NotCompliant { breaches }),
    }
}

/// Returns `true` if `patch` sets a key that a rule reads.
fn sets(patch: &PolicyPatch, key: &str) -> bool {
    match key {
        "idle" => patch.idle.is_some(),
        "absolute" => patch.absolute.is_some(),
        "absolute_is_essential" => patch.absolute_is_essential.is_some(),
        "warn" => patch.warn.is_some(),
        _ => true,
    }
}
