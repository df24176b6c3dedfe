//! WCAG 2.2, PCI DSS, the standards under PSD2, and HIPAA.

use super::{Check, Requirement, Rule, Standard, row};
use crate::time::minutes;

const fn wcag(
    (section, level): (&'static str, &'static str),
    text: &'static str,
    check: Check,
    here: &'static str,
) -> Requirement {
    row(("WCAG", section, level), Some(Standard::Wcag22), text, check, here)
}

pub(super) static REQUIREMENTS: &[Requirement] = &[
    wcag(
        ("2.2.1", "A"),
        "a time limit that users cannot extend is essential or longer than 20 hours",
        Check::AtStart(Rule::LongOrEssential),
        "`absolute`, `absolute_is_essential`",
    ),
    wcag(
        ("2.2.1", "A"),
        "users are warned before a time limit of up to 20 hours, and have 20 seconds or more to \
         extend it",
        Check::AtStart(Rule::Warned),
        "`warn` and the dialog",
    ),
    wcag(
        ("2.2.1", "A"),
        "users can extend a time limit of up to 20 hours ten times or more",
        Check::AtStart(Rule::Extensible),
        "each activity extends `idle`",
    ),
    wcag(
        ("2.2.1", "A"),
        "a limit that users cannot extend is essential",
        Check::Declared {
            options: &["absolute_is_essential"],
            question: "Is each time limit that users cannot extend essential, and why?",
        },
        "the policy records the reason",
    ),
    wcag(
        ("2.2.5", "AAA"),
        "after re-authenticating, users continue without losing data",
        Check::Question("Does the application restore an unsent form after the sign-in?"),
        "users return to their page; with `at_end = \"lock\"`, the page and its forms stay after \
         the idle timeout; the example site restores the draft of its editor",
    ),
    wcag(
        ("2.2.6", "AAA"),
        "users are warned how long they may be inactive before data is lost, unless data is kept \
         for more than 20 hours",
        Check::Question("Does each page with a form state the idle timeout?"),
        "`SessionHandle::policy`; the footer of the example site states the limits",
    ),
    wcag(
        ("4.1.3", "AA"),
        "assistive technology can announce status messages without a change of focus",
        Check::ByTest(&["warning.test.mjs::screen reader gets five sentences in two minutes"]),
        "the dialog announces the remaining time; the application sets the `role` of flash \
         messages",
    ),
    row(
        ("PCI DSS 4.0.1", "8.2.8", ""),
        Some(Standard::PciDss4),
        "after more than 15 minutes of inactivity, the user must re-authenticate",
        Check::AtStart(Rule::IdleAtMost(minutes(15))),
        "`idle`",
    ),
    row(
        ("RTS (EU) 2018/389", "Art. 4(3)(d)", ""),
        Some(Standard::Psd2),
        "after access to a payment account, the time without activity is at most 5 minutes",
        Check::AtStart(Rule::IdleAtMost(minutes(5))),
        "`idle`",
    ),
    row(
        ("HIPAA", "164.312(a)(2)(iii)", "addressable"),
        Some(Standard::Hipaa),
        "a session ends after a predetermined time of inactivity",
        Check::AtStart(Rule::HasIdle),
        "`idle`",
    ),
    row(
        ("HIPAA", "164.312(a)(2)(iii)", "addressable"),
        Some(Standard::Hipaa),
        "the time of inactivity is reasonable and appropriate",
        Check::Question("Which risk analysis sets `idle` where health data is shown?"),
        "the rule gives no figure",
    ),
];
