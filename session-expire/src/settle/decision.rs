//! The one decision about a response: what happens to the session, and what the client gets.
//!
//! Every way out of the middleware goes through [`decide`].

use crate::{request::kind::RequestKind, response::caching::CachingRule};

/// How the session of a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Anonymous,
    Active,
    Expired {
        /// Under the application's policy as well, not only under that of an inner layer.
        everywhere: bool,
    },
    Unavailable,
}

/// What happened to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Unchanged,
    Renewed,
    SignedIn,
    SignedOut,
    Cleared,
    Invalid,
}

/// What the handler has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A status below 400.
    Success,
    /// An empty 401, or one of ours: to be challenged.
    Unauthorized,
    /// A 401 with a body of the handler's own.
    OwnUnauthorized,
    /// Any other status from 400 on.
    Error,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Same,
    Other,
}

/// What the handler means its response to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    Normal,
    /// The request only asks how the session stands.
    StatusQuery,
    /// The user signs out.
    SigningOut,
    /// The response is kept as it is.
    KeptResponse,
}

/// Everything the decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) access: Access,
    pub(crate) user: User,
    pub(crate) kind: RequestKind,
    pub(crate) origin: Origin,
    pub(crate) is_passive: bool,
    pub(crate) intent: Intent,
    pub(crate) outcome: Outcome,
    /// A middleware further in has failed: `outcome` is that of its error.
    pub(crate) has_failed: bool,
    /// A challenge is possible: this is not the login page, and challenges are not switched off.
    pub(crate) may_challenge: bool,
}

/// What happens to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing is stored, and no cookie changes.
    WriteNothing,
    /// The anonymous cookie gets what has changed.
    WriteAnonymous,
    /// The record gets activity, if it is due, and what has changed.
    RecordActivity {
        /// The data is stored, too: no middleware has failed.
        stores_data: bool,
        /// Surplus sessions of the user end.
        enforces_limit: bool,
    },
    /// The record gets a new key.
    RotateKey,
    /// A new record, and its cookie.
    CommitLogin,
    /// The login that was reserved is released.
    CancelLogin,
    /// The session ends, and its cookie is deleted.
    End,
    /// The session ends; its dead cookie stays.
    EndWithoutCookie,
    /// The session stays as it is, although this request could not use it.
    Restore {
        /// What was written before the session was suspended is stored: no middleware has failed.
        stores_data: bool,
    },
}

/// What the client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// What the handler returned.
    Handler,
    /// The login page, or a 401 with the reason.
    Challenge,
    /// 503: the registry cannot be asked.
    Unavailable,
    /// 500: the session names its user by a value that is neither a string nor a whole number.
    ConfigurationError,
}

/// The outcome of [`decide`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) action: Action,
    pub(crate) reply: Reply,
    pub(crate) caching: CachingRule,
}

/// Decides about a response. Pure.
pub(crate) fn decide(input: Input) -> Decision {
    let action = action(input);
    Decision { action, reply: reply(input), caching: caching(input, action) }
}

fn action(input: Input) -> Action {
    match (input.access, input.user) {
        (_, User::Invalid) => Action::CancelLogin,
        (Access::Unavailable, User::SignedIn) => Action::CancelLogin,
        (Access::Unavailable, _) => Action::WriteNothing,
        (_, User::SignedIn) if input.has_failed => Action::CancelLogin,
        (_, User::SignedIn) => Action::CommitLogin,
        (Access::Active, user) => active(input, user),
        (Access::Expired { everywhere }, user) => expired(input, user, everywhere),
        (Access::Anonymous, _) if input.has_failed => Action::WriteNothing,
        (Access::Anonymous, User::SignedOut) if may_act(input.kind) => Action::End,
        (Access::Anonymous, _) if input.intent == Intent::StatusQuery => Action::WriteNothing,
        (Access::Anonymous, _) => Action::WriteAnonymous,
    }
}

fn active(input: Input, user: User) -> Action {
    if input.has_failed {
        return Action::RecordActivity { stores_data: false, enforces_limit: false };
    }
    match user {
        // A part of a page, or a page that may never be seen, signs no user out.
        User::SignedOut | User::Cleared if !may_act(input.kind) => Action::WriteNothing,
        User::SignedOut | User::Cleared => Action::End,
        _ if input.intent == Intent::StatusQuery => Action::WriteNothing,
        User::Renewed => Action::RotateKey,
        _ => Action::RecordActivity { stores_data: true, enforces_limit: may_evict(input) },
    }
}

/// Who ends a session (first match): a sign-out; never a passive, speculative, preflight, HEAD,
/// status or subresource request; never a request from another site that is expired only under a
/// stricter layer; a challenge; a successful navigation that is expired everywhere; nothing else.
fn expired(input: Input, user: User, everywhere: bool) -> Action {
    if user == User::SignedOut && !input.has_failed && may_act(input.kind) {
        return Action::End;
    }
    let restore = Action::Restore { stores_data: !input.has_failed };
    let is_navigation = input.kind == RequestKind::Navigation && input.outcome == Outcome::Success;
    let never_ends = input.is_passive
        || input.intent == Intent::StatusQuery
        || !may_act(input.kind)
        || (input.origin == Origin::Other && !everywhere);
    match never_ends {
        true => restore,
        false if is_challenged(input) => Action::EndWithoutCookie,
        false if is_navigation && everywhere && !input.has_failed => Action::EndWithoutCookie,
        false => restore,
    }
}

fn reply(input: Input) -> Reply {
    match (input.access, input.user) {
        (_, User::Invalid) => Reply::ConfigurationError,
        (Access::Unavailable, User::SignedIn | User::SignedOut | User::Cleared) => {
            Reply::Unavailable
        }
        (Access::Unavailable, _) if input.intent == Intent::SigningOut => Reply::Unavailable,
        (Access::Unavailable, _) if is_refused_in_outage(input) => Reply::Unavailable,
        // A browser drops a speculative response with this status, and asks again for the page.
        (Access::Active, User::SignedOut)
            if input.kind == RequestKind::Speculative && !input.has_failed =>
        {
            Reply::Unavailable
        }
        (Access::Anonymous | Access::Expired { .. }, _) if is_challenged(input) => Reply::Challenge,
        _ => Reply::Handler,
    }
}

/// Whether the user is signed in is not known: a 401 would be a guess.
fn is_refused_in_outage(input: Input) -> bool {
    input.outcome == Outcome::Unauthorized && input.intent != Intent::KeptResponse
}

/// A user who has just signed in is not sent to the login page.
fn is_challenged(input: Input) -> bool {
    let is_meant = matches!(input.intent, Intent::StatusQuery | Intent::KeptResponse);
    input.outcome == Outcome::Unauthorized
        && input.may_challenge
        && !is_meant
        && input.user != User::SignedIn
}

fn caching(input: Input, action: Action) -> CachingRule {
    match (action, input.access) {
        (Action::CommitLogin | Action::RotateKey | Action::End, _) => CachingRule::NoStore,
        (_, Access::Anonymous) => CachingRule::VaryCookie,
        _ => CachingRule::PrivatePage,
    }
}

/// Only an active request that the handler served ends other sessions of the user.
fn may_evict(input: Input) -> bool {
    may_act(input.kind)
        && !input.is_passive
        && input.origin == Origin::Same
        && input.outcome == Outcome::Success
        && input.intent == Intent::Normal
}

fn may_act(kind: RequestKind) -> bool {
    matches!(kind, RequestKind::Navigation | RequestKind::Htmx | RequestKind::Api)
}
