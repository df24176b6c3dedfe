//! Questions to the operator about requirements that code cannot check.

use super::{BuilderFacts, Check, Requirement, Rule, Standard, policy_breaches, requirements};
use crate::policy::limit::{Limit, Overflow};

/// Question to the operator about a requirement.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) requirement: &'static Requirement,
    pub(super) text: String,
}

/// Returns the questions about `required`. `deviations` are the requirements from which the
/// application deviates.
pub(super) fn questions(
    required: &[&'static Requirement],
    deviations: &[&'static Requirement],
    facts: &BuilderFacts<'_>,
) -> Vec<Question> {
    let mut questions = vec![];
    for requirement in required {
        let text = match requirement.check {
            Check::Question(question) => Some(question),
            Check::Declared { options, question } if !is_declared(options, deviations, facts) => {
                Some(question)
            }
            _ => None,
        };
        let excess = match requirement.to_string() == "ASVS 5.0 7.1.1" {
            true => excess_questions(deviations, facts),
            false => vec![],
        };
        let texts = text.map(str::to_owned).into_iter().chain(excess);
        questions.extend(texts.map(|text| Question { requirement, text }));
    }
    questions
}

/// Returns a question for each limit of the application that exceeds AAL1 of NIST SP 800-63B-4.
/// ASVS 5.0 7.1.1 permits such a limit with a reason. `build` checks a declared NIST level.
fn excess_questions(deviations: &[&'static Requirement], facts: &BuilderFacts<'_>) -> Vec<String> {
    let is_justified = |row: &Requirement| deviations.iter().any(|own| std::ptr::eq(*own, row));
    let rows = requirements().filter(|row| row.standard == Some(Standard::NistAal1));
    let breaches =
        rows.filter(|row| !is_justified(row)).flat_map(|row| policy_breaches(row, facts.policy));
    breaches.map(|breach| format!("{breach}: which documented reason justifies it?")).collect()
}

/// Returns `true` if one of `options` is set. A deviation counts if its rule reads a timeout.
fn is_declared(
    options: &[&str],
    deviations: &[&'static Requirement],
    facts: &BuilderFacts<'_>,
) -> bool {
    let is_of_timeouts = |row: &&Requirement| row.rule().is_some_and(Rule::reads_timeouts);
    let policy = facts.policy;
    let reason = policy.absolute_is_essential.as_deref().unwrap_or_default();
    options.iter().any(|option| match *option {
        "deviates_from" => deviations.iter().any(is_of_timeouts),
        "absolute_is_essential" => !reason.trim().is_empty(),
        "max_sessions" => policy.max_sessions != Limit::Off,
        "overflow" => policy.overflow != Overflow::Evict,
        "cookie_domain" | "cookie_path" => facts.has_cookie_scope,
        _ => false,
    })
}
