//! Declared standards of an application.
//!
//! The builder checks its policy and its options. The middleware checks the policies of layers,
//! logins and users.

use super::{
    BuilderFacts, Deviation, Requirement, Rule, Standard,
    deviation::requirement_of,
    policy_breaches,
    questions::{Question, questions},
    reported::ReportedBreaches,
    requirements,
};
use crate::{
    error::{Breach, ConfigError},
    policy::{
        Policy, PolicyPatch,
        at_end::AtEnd,
        limit::{Limit, Limits},
    },
};

/// Requirements of the declared standards, without those from which the application deviates.
#[derive(Debug, Default)]
pub(crate) struct DeclaredStandards {
    /// Requirements that apply, with or without a rule.
    required: Vec<&'static Requirement>,
    /// Those of them with a rule on policies.
    on_policies: Vec<&'static Requirement>,
    /// Requirements from which the application deviates.
    deviations: Vec<&'static Requirement>,
    reported: ReportedBreaches,
}

impl DeclaredStandards {
    /// Returns the requirements of `standards`, without `deviations`.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if a deviation has no reason, or does not name exactly one
    /// requirement that is checked at start.
    pub(crate) fn new(
        standards: &[Standard],
        deviations: &[Deviation],
    ) -> Result<Self, ConfigError> {
        let deviations =
            deviations.iter().map(requirement_of).collect::<Result<Vec<_>, ConfigError>>()?;
        let applies = |row: &Requirement| standards.iter().any(|own| row.applies_to(*own));
        let deviates = |row: &Requirement| deviations.iter().any(|own| std::ptr::eq(*own, row));
        let required: Vec<_> =
            requirements().filter(|row| applies(row) && !deviates(row)).collect();
        let reads_policy = |row: &&&Requirement| row.rule().is_some_and(Rule::reads_policy);
        let on_policies = required.iter().filter(reads_policy).copied().collect();
        Ok(Self { required, on_policies, deviations, reported: <_>::default() })
    }

    /// Checks the application's policy and the builder's options.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::NotCompliant`] with all breaches.
    pub(crate) fn check(&self, facts: &BuilderFacts<'_>) -> Result<(), ConfigError> {
        let mut breaches = vec![];
        for requirement in &self.required {
            breaches.extend(policy_breaches(requirement, facts.policy));
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

    /// Returns the breaches of mounted layers that no combination with other layers can avoid, each
    /// with its layer.
    pub(crate) fn breaches_of_layers<'a>(
        &self,
        app: &Policy,
        layers: &[&'a PolicyPatch],
    ) -> Vec<(&'a PolicyPatch, Breach)> {
        let mut breaches = vec![];
        for (index, layer) in layers.iter().enumerate() {
            let policy = layer.over(app);
            let is_known = |key: &&str| {
                let mut others = layers.iter().enumerate().filter(|(other, _)| *other != index);
                sets(layer, key) || !others.any(|(_, other)| sets(other, key))
            };
            let is_certain = |rule: Rule| rule.keys().iter().all(is_known);
            let certain = self.on_policies.iter().filter(|row| row.rule().is_some_and(is_certain));
            let certain = certain.flat_map(|row| policy_breaches(row, &policy));
            breaches.extend(certain.map(|breach| (*layer, breach)));
        }
        breaches
    }

    /// Returns the breaches of a policy that is only known at run time.
    pub(crate) fn breaches(&self, policy: &Policy) -> Vec<Breach> {
        self.on_policies.iter().flat_map(|row| policy_breaches(row, policy)).collect()
    }

    /// Returns `true` if `policy` has no [breaches](Self::breaches). It builds no texts of them.
    pub(crate) fn is_met(&self, policy: &Policy) -> bool {
        let rules = self.on_policies.iter().filter_map(|row| row.rule());
        rules.map(|rule| rule.check_policy(policy)).all(|faults| faults.is_empty())
    }

    /// Returns `true` if `breach` was not reported before, and records it. `layer` is `None` for
    /// the policies of a session.
    pub(crate) fn is_unreported(&self, breach: &Breach, layer: Option<&str>) -> bool {
        self.reported.insert(breach, layer)
    }

    /// Returns `policy` with the stricter of its limits and those of the standards. If a standard
    /// requires a limit but no value, the limit of `app` applies. If a standard requires pages to
    /// leave at the end, `at_end` is `leave`.
    pub(crate) fn cap(&self, policy: Policy, app: &Policy) -> Policy {
        let Limits { idle, absolute } = self.stricter(policy.limits(), app.limits());
        let at_end = match self.on_policies.iter().any(|row| row.rule() == Some(Rule::LeavesAtEnd))
        {
            true => AtEnd::Leave,
            false => policy.at_end,
        };
        Policy { idle, absolute, at_end, ..policy }
    }

    /// Logs the questions to the operator.
    pub(crate) fn log_questions(&self, facts: &BuilderFacts<'_>) {
        for Question { requirement, text } in questions(&self.required, &self.deviations, facts) {
            tracing::info!(
                event = "sys_compliance_question",
                %requirement,
                question = text,
                "question to the operator"
            );
        }
    }

    /// Returns `true` if a declared standard requires re-authentication, for which policies set
    /// `fresh`.
    pub(crate) fn asks_for_fresh(&self) -> bool {
        self.required.iter().any(|row| row.to_string() == "ASVS 5.0 7.5.1")
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

fn or_error(breaches: Vec<Breach>) -> Result<(), ConfigError> {
    match breaches.is_empty() {
        true => Ok(()),
        false => Err(ConfigError::NotCompliant { breaches }),
    }
}

/// Returns `true` if `patch` sets a key that a rule reads, or removes its inherited value.
fn sets(patch: &PolicyPatch, key: &str) -> bool {
    match key {
        "idle" => patch.idle.is_some(),
        "absolute" => patch.absolute.is_some(),
        // A timeout does not inherit the reason for another one.
        "absolute_is_essential" => {
            patch.absolute.is_some() || patch.absolute_is_essential.is_some()
        }
        "warn" => patch.warn.is_some(),
        "at_end" => patch.at_end.is_some(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::cookie::SameSite;

    use super::*;
    use crate::time::{days, hours};

    /// Returns the questions about a policy, as requirement and text.
    fn asked(standard: Standard, policy: &Policy, deviations: &[Deviation]) -> Vec<String> {
        let facts = BuilderFacts {
            policy,
            secure: true,
            cookie_names: ["__Host-a", "__Host-b"],
            same_site: SameSite::Lax,
            allowed_origins: &[],
            has_cookie_scope: false,
        };
        let declared = DeclaredStandards::new(&[standard], deviations).unwrap();
        let questions = questions(&declared.required, &declared.deviations, &facts).into_iter();
        questions.map(|question| format!("{}: {}", question.requirement, question.text)).collect()
    }

    fn has(questions: &[String], start: &str) -> bool {
        questions.iter().any(|question| question.starts_with(start))
    }

    #[test]
    fn limit_beyond_nist_under_asvs_is_a_question() {
        let long = Policy::new().idle(days(400)).absolute(days(400));
        let question = "ASVS 5.0 7.1.1: `absolute` (400d) is longer than 30d";
        assert!(has(&asked(Standard::AsvsL2, &long, &[]), question));
        assert!(!has(&asked(Standard::AsvsL1, &long, &[]), question));
        let within = long.clone().absolute(days(30));
        assert!(!has(&asked(Standard::AsvsL2, &within, &[]), "ASVS 5.0 7.1.1: `absolute`"));
        let name = "NIST SP 800-63B-4 2.1.3 absolute, should".to_owned();
        let deviation = [(name, "low risk".to_owned())];
        assert!(!has(&asked(Standard::AsvsL2, &long, &deviation), "ASVS 5.0 7.1.1"));
        let never = long.absolute(Limit::Off);
        assert!(has(&asked(Standard::AsvsL2, &never, &[]), "ASVS 5.0 7.1.1: `absolute` (never)"));
    }

    #[test]
    fn declared_option_that_is_not_set_is_a_question() {
        let unset = Policy::new();
        let deviation = |name: &str| [(name.to_owned(), "a reason".to_owned())];
        for name in ["ASVS 5.0 3.3.3", "ASVS 5.0 14.3.1"] {
            let asked = asked(Standard::AsvsL2, &unset, &deviation(name));
            assert!(has(&asked, "ASVS 5.0 7.1.1: "), "{name} concerns no timeout");
        }
        for (standard, set, deviations, start) in [
            (
                Standard::AsvsL2,
                unset.clone(),
                &deviation("PCI DSS 4.0.1 8.2.8")[..],
                "ASVS 5.0 7.1.1: ",
            ),
            (Standard::AsvsL2, unset.clone().max_sessions(3), &[], "ASVS 5.0 7.1.2: "),
            (
                Standard::Wcag22,
                unset.clone().absolute(hours(8)).absolute_is_essential("exam"),
                &[],
                "WCAG 2.2.1: ",
            ),
        ] {
            assert!(has(&asked(standard, &unset, &[]), start), "{start}");
            assert!(!has(&asked(standard, &set, deviations), start), "{start}");
        }
        assert!(has(&asked(Standard::NistAal1, &unset, &[]), "NIST SP 800-63B-4 5.1.1 (2): "));
    }
}
