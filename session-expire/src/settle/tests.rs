//! The decision, by hand: ordered rules, of which the first match counts, for every combination of
//! the inputs.

use std::collections::BTreeSet;

use super::decision::{
    Access, Action, Decision, Input, Intent, Origin, Outcome, Reply, User, decide,
};
use crate::{request::kind::RequestKind as Kind, response::caching::CachingRule};

type Rule = (&'static str, fn(&Input) -> bool, Action, Reply);

const RESTORE: Action = Action::Restore { stores_data: true };

const fn activity(stores_data: bool, enforces_limit: bool) -> Action {
    Action::RecordActivity { stores_data, enforces_limit }
}

fn is_expired(input: &Input) -> bool {
    matches!(input.access, Access::Expired { .. })
}

/// Expired under an inner layer only.
fn is_expired_inside(input: &Input) -> bool {
    input.access == Access::Expired { everywhere: false }
}

fn wants_login(input: &Input) -> bool {
    input.outcome == Outcome::Unauthorized
        && input.may_challenge
        && !matches!(input.intent, Intent::StatusQuery | Intent::KeptResponse)
}

fn is_silent(input: &Input) -> bool {
    matches!(input.kind, Kind::Subresource | Kind::Speculative | Kind::Preflight | Kind::Head)
}

fn is_away(input: &Input) -> bool {
    input.access == Access::Unavailable
}

fn is_active(input: &Input) -> bool {
    input.access == Access::Active
}

fn is_anonymous(input: &Input) -> bool {
    input.access == Access::Anonymous
}

const RULES: &[Rule] = &[
    (
        "user id is no string",
        |i| i.user == User::Invalid,
        Action::CancelLogin,
        Reply::ConfigurationError,
    ),
    // The registry is away.
    (
        "login in an outage",
        |i| is_away(i) && i.user == User::SignedIn,
        Action::CancelLogin,
        Reply::Unavailable,
    ),
    (
        "sign-out in an outage",
        |i| is_away(i) && i.user == User::SignedOut,
        Action::WriteNothing,
        Reply::Unavailable,
    ),
    (
        "emptied session in an outage",
        |i| is_away(i) && i.user == User::Cleared,
        Action::WriteNothing,
        Reply::Unavailable,
    ),
    (
        "sign-out address in an outage",
        |i| is_away(i) && i.intent == Intent::SigningOut,
        Action::WriteNothing,
        Reply::Unavailable,
    ),
    (
        "401 meant as it is in an outage",
        |i| is_away(i) && i.intent == Intent::KeptResponse,
        Action::WriteNothing,
        Reply::Handler,
    ),
    (
        "401 in an outage",
        |i| is_away(i) && i.outcome == Outcome::Unauthorized,
        Action::WriteNothing,
        Reply::Unavailable,
    ),
    ("anything else in an outage", is_away, Action::WriteNothing, Reply::Handler),
    // Logins.
    (
        "login that a middleware fails",
        |i| i.user == User::SignedIn && i.has_failed,
        Action::CancelLogin,
        Reply::Handler,
    ),
    ("login", |i| i.user == User::SignedIn, Action::CommitLogin, Reply::Handler),
    // An active session.
    (
        "middleware fails, active",
        |i| is_active(i) && i.has_failed,
        activity(false, false),
        Reply::Handler,
    ),
    (
        "page that may never be seen signs out",
        |i| {
            is_active(i)
                && i.user == User::SignedOut
                && !i.has_failed
                && i.kind == Kind::Speculative
        },
        Action::WriteNothing,
        Reply::Unavailable,
    ),
    (
        "part of a page signs out",
        |i| is_active(i) && i.user == User::SignedOut && is_silent(i),
        Action::WriteNothing,
        Reply::Handler,
    ),
    ("sign-out", |i| is_active(i) && i.user == User::SignedOut, Action::End, Reply::Handler),
    (
        "status, active",
        |i| is_active(i) && i.intent == Intent::StatusQuery,
        Action::WriteNothing,
        Reply::Handler,
    ),
    ("renewal", |i| is_active(i) && i.user == User::Renewed, Action::RotateKey, Reply::Handler),
    (
        "silent load, active",
        |i| is_active(i) && is_silent(i),
        activity(true, false),
        Reply::Handler,
    ),
    ("passive, active", |i| is_active(i) && i.is_passive, activity(true, false), Reply::Handler),
    (
        "from another site, active",
        |i| is_active(i) && i.origin == Origin::Other,
        activity(true, false),
        Reply::Handler,
    ),
    (
        "not served, active",
        |i| is_active(i) && i.outcome != Outcome::Success,
        activity(true, false),
        Reply::Handler,
    ),
    (
        "kept response, active",
        |i| is_active(i) && i.intent == Intent::KeptResponse,
        activity(true, false),
        Reply::Handler,
    ),
    (
        "signing out, active",
        |i| is_active(i) && i.intent == Intent::SigningOut,
        activity(true, false),
        Reply::Handler,
    ),
    ("served, active", is_active, activity(true, true), Reply::Handler),
    // An anonymous visitor.
    (
        "middleware wants a login, anonymous",
        |i| is_anonymous(i) && i.has_failed && wants_login(i),
        Action::WriteNothing,
        Reply::Challenge,
    ),
    (
        "middleware fails, anonymous",
        |i| is_anonymous(i) && i.has_failed,
        Action::WriteNothing,
        Reply::Handler,
    ),
    (
        "signs out and is challenged, anonymous",
        |i| is_anonymous(i) && i.user == User::SignedOut && !is_silent(i) && wants_login(i),
        Action::End,
        Reply::Challenge,
    ),
    (
        "signs out, anonymous",
        |i| is_anonymous(i) && i.user == User::SignedOut && !is_silent(i),
        Action::End,
        Reply::Handler,
    ),
    (
        "status, anonymous",
        |i| is_anonymous(i) && i.intent == Intent::StatusQuery,
        Action::WriteNothing,
        Reply::Handler,
    ),
    (
        "wants a login, anonymous",
        |i| is_anonymous(i) && wants_login(i),
        Action::WriteAnonymous,
        Reply::Challenge,
    ),
    ("anything else, anonymous", is_anonymous, Action::WriteAnonymous, Reply::Handler),
    // An expired session.
    (
        "signs out and is challenged, expired",
        |i| i.user == User::SignedOut && !i.has_failed && !is_silent(i) && wants_login(i),
        Action::End,
        Reply::Challenge,
    ),
    (
        "signs out, expired",
        |i| i.user == User::SignedOut && !i.has_failed && !is_silent(i),
        Action::End,
        Reply::Handler,
    ),
    ("status, expired", |i| i.intent == Intent::StatusQuery, RESTORE, Reply::Handler),
    ("silent load is challenged", |i| is_silent(i) && wants_login(i), RESTORE, Reply::Challenge),
    ("silent load", is_silent, RESTORE, Reply::Handler),
    (
        "passive request is challenged",
        |i| i.is_passive && wants_login(i),
        RESTORE,
        Reply::Challenge,
    ),
    ("passive request", |i| i.is_passive, RESTORE, Reply::Handler),
    (
        "other site, stricter page, challenged",
        |i| i.origin == Origin::Other && is_expired_inside(i) && wants_login(i),
        RESTORE,
        Reply::Challenge,
    ),
    (
        "other site, stricter page",
        |i| i.origin == Origin::Other && is_expired_inside(i),
        RESTORE,
        Reply::Handler,
    ),
    ("challenge", |i| wants_login(i), Action::EndWithoutCookie, Reply::Challenge),
    ("middleware fails, expired", |i| i.has_failed, RESTORE, Reply::Handler),
    (
        "navigation, expired everywhere",
        |i| i.kind == Kind::Navigation && i.outcome == Outcome::Success && !is_expired_inside(i),
        Action::EndWithoutCookie,
        Reply::Handler,
    ),
    ("anything else, expired", is_expired, RESTORE, Reply::Handler),
];

/// Why a combination cannot occur; `None` if it can.
fn impossible(input: &Input) -> Option<&'static str> {
    match (input.access, input.user) {
        (Access::Active, User::Cleared) => Some("a signed-in user's emptied session is a sign-out"),
        (Access::Anonymous | Access::Expired { .. } | Access::Unavailable, User::Renewed) => {
            Some("only a signed-in user's key is renewed")
        }
        _ => None,
    }
}

fn caching(input: &Input, action: Action) -> CachingRule {
    match action {
        Action::CommitLogin | Action::RotateKey | Action::End => CachingRule::NoStore,
        _ if is_anonymous(input) => CachingRule::VaryCookie,
        _ => CachingRule::PrivatePage,
    }
}

fn inputs() -> Vec<Input> {
    let access = [
        Access::Anonymous,
        Access::Active,
        Access::Expired { everywhere: true },
        Access::Expired { everywhere: false },
        Access::Unavailable,
    ];
    let user = [
        User::Unchanged,
        User::Renewed,
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
    let intent = [Intent::Normal, Intent::StatusQuery, Intent::SigningOut, Intent::KeptResponse];
    let outcome =
        [Outcome::Success, Outcome::Unauthorized, Outcome::OwnUnauthorized, Outcome::Error];
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
fn every_combination_follows_the_first_rule_that_matches() {
    let mut first = BTreeSet::new();
    for input in inputs().into_iter().filter(|input| impossible(input).is_none()) {
        let Some((name, _, action, reply)) = RULES.iter().find(|(_, when, ..)| when(&input)) else {
            panic!("no rule for {input:?}");
        };
        let action = match *action {
            Action::Restore { .. } => Action::Restore { stores_data: !input.has_failed },
            other => other,
        };
        let expected = Decision { action, reply: *reply, caching: caching(&input, action) };
        assert_eq!(decide(input), expected, "{name}: {input:?}");
        first.insert(*name);
    }
    let unused: Vec<_> =
        RULES.iter().map(|rule| rule.0).filter(|name| !first.contains(name)).collect();
    assert!(unused.is_empty(), "rules that are never the first to match: {unused:?}");
}

#[test]
fn impossible_combinations_are_safe_all_the_same() {
    let inputs: Vec<_> = inputs().into_iter().filter(|i| impossible(i).is_some()).collect();
    assert!(!inputs.is_empty());
    for input in inputs {
        let Decision { action, .. } = decide(input);
        let is_safe = action != Action::CommitLogin && action != Action::RotateKey;
        assert!(is_safe, "{input:?} {action:?}");
    }
}

/// The fast path writes nothing and keeps the response: what the decision says of such a request,
/// when there is nothing to store.
#[test]
fn fast_path_agrees_with_the_decision() {
    let is_fast = |input: &Input| {
        is_active(input)
            && input.user == User::Unchanged
            && input.intent == Intent::Normal
            && !matches!(input.outcome, Outcome::Unauthorized | Outcome::OwnUnauthorized)
            && !input.has_failed
    };
    for input in inputs().into_iter().filter(is_fast) {
        let Decision { action, reply, caching } = decide(input);
        assert!(matches!(action, Action::RecordActivity { stores_data: true, .. }), "{input:?}");
        assert_eq!((reply, caching), (Reply::Handler, CachingRule::PrivatePage), "{input:?}");
    }
}
