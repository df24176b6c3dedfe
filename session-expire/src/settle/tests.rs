//! Table-driven test of the settle decision.
//!
//! The test compares [`decide`] with an ordered list of rules, for every combination of inputs.

use std::collections::BTreeSet;

use super::decision::{
    Access, Action, Decision, HandlerOutcome, Input, Origin, ResponseChoice, ResponseIntent, User,
    decide,
};
use crate::{request::kind::RequestKind as Kind, response::caching::CachingRule};

type Rule = (&'static str, fn(&Input) -> bool, Action, ResponseChoice);

const RESTORE: Action = Action::Restore { stores_data: true };

const fn activity(stores_data: bool, enforces_limit: bool) -> Action {
    Action::RecordActivity { stores_data, enforces_limit }
}

fn is_expired(input: &Input) -> bool {
    matches!(input.access, Access::Expired { .. })
}

/// Returns `true` if the session is expired under an inner layer only.
fn is_expired_inside(input: &Input) -> bool {
    input.access == Access::Expired { everywhere: false }
}

fn wants_login(input: &Input) -> bool {
    input.outcome == HandlerOutcome::Unauthorized
        && input.may_challenge
        && !matches!(input.intent, ResponseIntent::StatusQuery | ResponseIntent::KeptResponse)
}

fn is_background(input: &Input) -> bool {
    matches!(input.kind, Kind::Subresource | Kind::Speculative | Kind::Preflight | Kind::Head)
}

fn is_unavailable(input: &Input) -> bool {
    input.access == Access::Unavailable
}

fn is_active(input: &Input) -> bool {
    matches!(input.access, Access::Active | Access::NotFresh)
}

/// Returns `true` if a layer has refused a request of the user because the session is not fresh.
fn wants_confirmation(input: &Input) -> bool {
    input.access == Access::NotFresh
        && matches!(input.user, User::Unchanged | User::Renewed)
        && input.outcome == HandlerOutcome::Unauthorized
        && !matches!(input.intent, ResponseIntent::StatusQuery | ResponseIntent::KeptResponse)
}

fn is_anonymous(input: &Input) -> bool {
    input.access == Access::Anonymous
}

const RULES: &[Rule] = &[
    (
        "user id is no string",
        |i| i.user == User::Invalid,
        Action::CancelLogin,
        ResponseChoice::ConfigurationError,
    ),
    // The registry is unavailable.
    (
        "login in an outage",
        |i| is_unavailable(i) && i.user == User::SignedIn,
        Action::CancelLogin,
        ResponseChoice::Unavailable,
    ),
    (
        "sign-out in an outage",
        |i| is_unavailable(i) && i.user == User::SignedOut,
        Action::WriteNothing,
        ResponseChoice::Unavailable,
    ),
    (
        "cleared session in an outage",
        |i| is_unavailable(i) && i.user == User::Cleared,
        Action::WriteNothing,
        ResponseChoice::Unavailable,
    ),
    (
        "sign-out URL in an outage",
        |i| is_unavailable(i) && i.intent == ResponseIntent::SigningOut,
        Action::WriteNothing,
        ResponseChoice::Unavailable,
    ),
    (
        "unchanged 401 in an outage",
        |i| is_unavailable(i) && i.intent == ResponseIntent::KeptResponse,
        Action::WriteNothing,
        ResponseChoice::Handler,
    ),
    (
        "401 in an outage",
        |i| is_unavailable(i) && i.outcome == HandlerOutcome::Unauthorized,
        Action::WriteNothing,
        ResponseChoice::Unavailable,
    ),
    ("anything else in an outage", is_unavailable, Action::WriteNothing, ResponseChoice::Handler),
    // Logins.
    (
        "login that a middleware fails",
        |i| i.user == User::SignedIn && i.has_failed,
        Action::CancelLogin,
        ResponseChoice::Handler,
    ),
    ("login", |i| i.user == User::SignedIn, Action::CommitLogin, ResponseChoice::Handler),
    // An active session that is not fresh.
    (
        "middleware fails, not fresh",
        |i| wants_confirmation(i) && i.has_failed,
        activity(false, false),
        ResponseChoice::Confirm,
    ),
    (
        "renewal, not fresh",
        |i| wants_confirmation(i) && i.user == User::Renewed,
        Action::RotateKey,
        ResponseChoice::Confirm,
    ),
    ("not fresh", wants_confirmation, activity(true, false), ResponseChoice::Confirm),
    // An active session.
    (
        "middleware fails, active",
        |i| is_active(i) && i.has_failed,
        activity(false, false),
        ResponseChoice::Handler,
    ),
    (
        "speculative load signs out",
        |i| {
            is_active(i)
                && i.user == User::SignedOut
                && !i.has_failed
                && i.kind == Kind::Speculative
        },
        Action::WriteNothing,
        ResponseChoice::Unavailable,
    ),
    (
        "background request signs out",
        |i| is_active(i) && i.user == User::SignedOut && is_background(i),
        Action::WriteNothing,
        ResponseChoice::Handler,
    ),
    (
        "sign-out",
        |i| is_active(i) && i.user == User::SignedOut,
        Action::End,
        ResponseChoice::Handler,
    ),
    (
        "status, active",
        |i| is_active(i) && i.intent == ResponseIntent::StatusQuery,
        Action::WriteNothing,
        ResponseChoice::Handler,
    ),
    (
        "renewal",
        |i| is_active(i) && i.user == User::Renewed,
        Action::RotateKey,
        ResponseChoice::Handler,
    ),
    (
        "re-authentication",
        |i| is_active(i) && i.user == User::Confirmed,
        Action::Reauthenticate,
        ResponseChoice::Handler,
    ),
    (
        "background request, active",
        |i| is_active(i) && is_background(i),
        activity(true, false),
        ResponseChoice::Handler,
    ),
    (
        "passive, active",
        |i| is_active(i) && i.is_passive,
        activity(true, false),
        ResponseChoice::Handler,
    ),
    (
        "from another site, active",
        |i| is_active(i) && i.origin == Origin::Other,
        activity(true, false),
        ResponseChoice::Handler,
    ),
    (
        "not served, active",
        |i| is_active(i) && i.outcome != HandlerOutcome::Success,
        activity(true, false),
        ResponseChoice::Handler,
    ),
    (
        "unchanged response, active",
        |i| is_active(i) && i.intent == ResponseIntent::KeptResponse,
        activity(true, false),
        ResponseChoice::Handler,
    ),
    (
        "signing out, active",
        |i| is_active(i) && i.intent == ResponseIntent::SigningOut,
        activity(true, false),
        ResponseChoice::Handler,
    ),
    (
        "refused by a layer and served, not fresh",
        |i| i.access == Access::NotFresh,
        activity(true, false),
        ResponseChoice::Handler,
    ),
    ("served, active", is_active, activity(true, true), ResponseChoice::Handler),
    // An anonymous visitor.
    (
        "middleware requires a login, anonymous",
        |i| is_anonymous(i) && i.has_failed && wants_login(i),
        Action::WriteNothing,
        ResponseChoice::Challenge,
    ),
    (
        "middleware fails, anonymous",
        |i| is_anonymous(i) && i.has_failed,
        Action::WriteNothing,
        ResponseChoice::Handler,
    ),
    (
        "signs out and is challenged, anonymous",
        |i| is_anonymous(i) && i.user == User::SignedOut && !is_background(i) && wants_login(i),
        Action::End,
        ResponseChoice::Challenge,
    ),
    (
        "signs out, anonymous",
        |i| is_anonymous(i) && i.user == User::SignedOut && !is_background(i),
        Action::End,
        ResponseChoice::Handler,
    ),
    (
        "status, anonymous",
        |i| is_anonymous(i) && i.intent == ResponseIntent::StatusQuery,
        Action::WriteNothing,
        ResponseChoice::Handler,
    ),
    (
        "requires a login, anonymous",
        |i| is_anonymous(i) && wants_login(i),
        Action::WriteAnonymous,
        ResponseChoice::Challenge,
    ),
    ("anything else, anonymous", is_anonymous, Action::WriteAnonymous, ResponseChoice::Handler),
    // An expired session.
    (
        "signs out and is challenged, expired",
        |i| i.user == User::SignedOut && !i.has_failed && !is_background(i) && wants_login(i),
        Action::End,
        ResponseChoice::Challenge,
    ),
    (
        "signs out, expired",
        |i| i.user == User::SignedOut && !i.has_failed && !is_background(i),
        Action::End,
        ResponseChoice::Handler,
    ),
    (
        "status, expired",
        |i| i.intent == ResponseIntent::StatusQuery,
        RESTORE,
        ResponseChoice::Handler,
    ),
    (
        "background request is challenged",
        |i| is_background(i) && wants_login(i),
        RESTORE,
        ResponseChoice::Challenge,
    ),
    ("background request", is_background, RESTORE, ResponseChoice::Handler),
    (
        "passive request is challenged",
        |i| i.is_passive && wants_login(i),
        RESTORE,
        ResponseChoice::Challenge,
    ),
    ("passive request", |i| i.is_passive, RESTORE, ResponseChoice::Handler),
    (
        "other site, stricter page, challenged",
        |i| i.origin == Origin::Other && is_expired_inside(i) && wants_login(i),
        RESTORE,
        ResponseChoice::Challenge,
    ),
    (
        "other site, stricter page",
        |i| i.origin == Origin::Other && is_expired_inside(i),
        RESTORE,
        ResponseChoice::Handler,
    ),
    ("challenge", |i| wants_login(i), Action::EndWithoutCookie, ResponseChoice::Challenge),
    ("middleware fails, expired", |i| i.has_failed, RESTORE, ResponseChoice::Handler),
    (
        "navigation, expired everywhere",
        |i| {
            i.kind == Kind::Navigation
                && i.outcome == HandlerOutcome::Success
                && !is_expired_inside(i)
        },
        Action::EndWithoutCookie,
        ResponseChoice::Handler,
    ),
    ("anything else, expired", is_expired, RESTORE, ResponseChoice::Handler),
];

/// Returns why a combination cannot occur, or `None` if it can.
fn impossible(input: &Input) -> Option<&'static str> {
    match (input.access, input.user) {
        (Access::Active | Access::NotFresh, User::Cleared) => {
            Some("a cleared session of a signed-in user is a sign-out")
        }
        (Access::Anonymous | Access::Expired { .. } | Access::Unavailable, User::Renewed) => {
            Some("only the key of a signed-in user is renewed")
        }
        (Access::Anonymous | Access::Expired { .. } | Access::Unavailable, User::Confirmed) => {
            Some("only a signed-in user authenticates again")
        }
        _ => None,
    }
}

fn caching(input: &Input, action: Action) -> CachingRule {
    match action {
        Action::CommitLogin | Action::RotateKey | Action::Reauthenticate | Action::End => {
            CachingRule::NoStore
        }
        _ if is_anonymous(input) => CachingRule::VaryCookie,
        _ => CachingRule::PrivatePage,
    }
}

fn inputs() -> Vec<Input> {
    let access = [
        Access::Anonymous,
        Access::Active,
        Access::NotFresh,
        Access::Expired { everywhere: true },
        Access::Expired { everywhere: false },
        Access::Unavailable,
    ];
    let user = [
        User::Unchanged,
        User::Renewed,
        User::Confirmed,
        User::SignedIn,
        User::SignedOut,
        User::Cleared,
        User::Invalid,
    ];
    let kind = [
        Kind::Navigation,
        Kind::Htmx,
        Kind::Api,
        Kind::Subresource,
        Kind::Speculative,
        Kind::Preflight,
        Kind::Head,
    ];
    let intent = [
        ResponseIntent::Normal,
        ResponseIntent::StatusQuery,
        ResponseIntent::SigningOut,
        ResponseIntent::KeptResponse,
    ];
    let outcome = [
        HandlerOutcome::Success,
        HandlerOutcome::Unauthorized,
        HandlerOutcome::OwnUnauthorized,
        HandlerOutcome::Error,
    ];
    let mut inputs = Vec::new();
    for bits in 0..16_u8 {
        let bit = |n: u8| bits >> n & 1 == 1;
        for (access, user) in pairs(access, user) {
            for (kind, (intent, outcome)) in pairs(kind, pairs(intent, outcome)) {
                inputs.push(Input {
                    access,
                    user,
                    kind,
                    origin: if bit(0) { Origin::Same } else { Origin::Other },
                    is_passive: bit(1),
                    intent,
                    outcome,
                    has_failed: bit(2),
                    may_challenge: bit(3),
                });
            }
        }
    }
    inputs
}

fn pairs<A: Copy, B: Copy>(
    a: impl IntoIterator<Item = A>,
    b: impl IntoIterator<Item = B, IntoIter: Clone>,
) -> Vec<(A, B)> {
    let b = b.into_iter();
    a.into_iter().flat_map(|a| b.clone().map(move |b| (a, b))).collect()
}

#[test]
fn combination_follows_first_matching_rule() {
    let mut first = BTreeSet::new();
    for input in inputs().into_iter().filter(|input| impossible(input).is_none()) {
        let Some((name, _, action, response)) = RULES.iter().find(|(_, when, ..)| when(&input))
        else {
            panic!("no rule for {input:?}");
        };
        let action = match *action {
            Action::Restore { .. } => Action::Restore { stores_data: !input.has_failed },
            other => other,
        };
        let expected = Decision { action, response: *response, caching: caching(&input, action) };
        assert_eq!(decide(input), expected, "{name}: {input:?}");
        first.insert(*name);
    }
    let unused: Vec<_> =
        RULES.iter().map(|rule| rule.0).filter(|name| !first.contains(name)).collect();
    assert!(unused.is_empty(), "rules that never match first: {unused:?}");
}

#[test]
fn impossible_combination_signs_no_user_in() {
    let inputs: Vec<_> = inputs().into_iter().filter(|i| impossible(i).is_some()).collect();
    assert!(!inputs.is_empty());
    for input in inputs {
        let Decision { action, .. } = decide(input);
        let is_safe =
            !matches!(action, Action::CommitLogin | Action::RotateKey | Action::Reauthenticate);
        assert!(is_safe, "{input:?} {action:?}");
    }
}

/// The fast path writes nothing and sends the handler's response. The decision must allow this for
/// a request without changes.
#[test]
fn fast_path_agrees_with_decision() {
    let is_fast = |input: &Input| {
        input.access == Access::Active
            && input.user == User::Unchanged
            && input.intent == ResponseIntent::Normal
            && !matches!(
                input.outcome,
                HandlerOutcome::Unauthorized | HandlerOutcome::OwnUnauthorized
            )
            && !input.has_failed
    };
    for input in inputs().into_iter().filter(is_fast) {
        let Decision { action, response, caching } = decide(input);
        assert!(matches!(action, Action::RecordActivity { stores_data: true, .. }), "{input:?}");
        assert_eq!(
            (response, caching),
            (ResponseChoice::Handler, CachingRule::PrivatePage),
            "{input:?}"
        );
    }
}
