//! Settle decision: the action on the session, the response and its caching rule.
//!
//! Every response of the middleware follows from [`decide`], which is pure. The fast paths are
//! tested to have the same result.

use crate::{request::kind::RequestKind, response::caching::CachingRule};

/// A request's access to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Anonymous,
    Active,
    /// Active, but a layer has refused the request because the session is not fresh.
    NotFresh,
    Expired {
        /// `true` if it is also expired under the application's policy, and not only under an inner
        /// layer's.
        everywhere: bool,
    },
    Unavailable,
}

/// Change of the user during the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Unchanged,
    Renewed,
    /// The same user has re-authenticated.
    Confirmed,
    SignedIn,
    SignedOut,
    Cleared,
    Invalid,
}

/// Outcome of the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandlerOutcome {
    /// A status below 400.
    Success,
    /// An empty 401, or one of the middleware. It becomes a challenge.
    Unauthorized,
    /// A 401 with a body.
    OwnUnauthorized,
    /// Any other status of 400 or above.
    Error,
}

/// Site that caused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Same,
    Other,
}

/// Intent of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseIntent {
    Normal,
    /// The request queries the state of the session and changes nothing.
    StatusQuery,
    /// The user signs out.
    SigningOut,
    /// The response is sent unchanged.
    KeptResponse,
}

/// Input of [`decide`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) access: Access,
    pub(crate) user: User,
    pub(crate) kind: RequestKind,
    pub(crate) origin: Origin,
    pub(crate) is_passive: bool,
    pub(crate) intent: ResponseIntent,
    pub(crate) outcome: HandlerOutcome,
    /// `true` if an inner middleware has failed. `outcome` is then the outcome of its error.
    pub(crate) has_failed: bool,
    /// `false` for the login page, and for anonymous requests if `challenge_anonymous` is off.
    pub(crate) may_challenge: bool,
}

/// Action on the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing is stored, and no cookie changes.
    WriteNothing,
    /// Changes are written to the anonymous cookie.
    WriteAnonymous,
    /// Activity that is due, and changes, are written to the record.
    RecordActivity {
        /// `true` if changed data is stored, because no middleware has failed.
        stores_data: bool,
        /// `true` if surplus sessions of the user end.
        enforces_limit: bool,
    },
    /// The session key is renewed.
    RotateKey,
    /// The session gets a new key and a new public id, and its timeouts restart.
    Reauthenticate,
    /// The login is committed, and its cookie is set.
    CommitLogin,
    /// A reserved login is cancelled.
    CancelLogin,
    /// The session ends, and its cookie is deleted.
    End,
    /// The session ends. The browser keeps its cookie.
    EndWithoutCookie,
    /// The session stays open, although this request could not use it.
    Restore {
        /// `true` if changes from before the suspension are stored, because no middleware has
        /// failed.
        stores_data: bool,
    },
}

/// Response that is sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseChoice {
    /// The handler's response.
    Handler,
    /// A redirect to the login page, or a 401 with the reason.
    Challenge,
    /// A redirect to the confirmation page, or a 401 with its URL.
    Confirm,
    /// A 503, because the registry is unavailable.
    Unavailable,
    /// A 500, because the user id in the session is neither a string nor a whole number.
    ConfigurationError,
}

/// Result of [`decide`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) action: Action,
    pub(crate) response: ResponseChoice,
    pub(crate) caching: CachingRule,
}

/// Decides about the session and the response of a request.
pub(crate) fn decide(input: Input) -> Decision {
    let action = action(input);
    Decision { action, response: response(input), caching: caching(input, action) }
}

fn action(input: Input) -> Action {
    match (input.access, input.user) {
        (_, User::Invalid) => Action::CancelLogin,
        (Access::Unavailable, User::SignedIn) => Action::CancelLogin,
        (Access::Unavailable, _) => Action::WriteNothing,
        (_, User::SignedIn) if input.has_failed => Action::CancelLogin,
        (_, User::SignedIn) => Action::CommitLogin,
        (Access::Active | Access::NotFresh, user) => active(input, user),
        (Access::Expired { everywhere }, user) => expired(input, user, everywhere),
        (Access::Anonymous, _) if input.has_failed => Action::WriteNothing,
        (Access::Anonymous, User::SignedOut) if is_user_act(input.kind) => Action::End,
        (Access::Anonymous, _) if input.intent == ResponseIntent::StatusQuery => {
            Action::WriteNothing
        }
        (Access::Anonymous, _) => Action::WriteAnonymous,
    }
}

fn active(input: Input, user: User) -> Action {
    if input.has_failed {
        return Action::RecordActivity { stores_data: false, enforces_limit: false };
    }
    match user {
        // A subresource or a speculative load is not an act of the user, so it does not sign out.
        User::SignedOut | User::Cleared if !is_user_act(input.kind) => Action::WriteNothing,
        User::SignedOut | User::Cleared => Action::End,
        _ if input.intent == ResponseIntent::StatusQuery => Action::WriteNothing,
        User::Renewed => Action::RotateKey,
        User::Confirmed => Action::Reauthenticate,
        _ => Action::RecordActivity { stores_data: true, enforces_limit: may_evict(input) },
    }
}

/// Returns the action on an expired session. The first rule that matches applies:
///
/// 1. A sign-out ends it.
/// 2. Passive, speculative, preflight, `HEAD`, status and subresource requests do not end it.
/// 3. A request from another site does not end it if only a stricter layer considers it expired.
/// 4. A challenge ends it.
/// 5. A successful navigation ends it if it is also expired under the application's policy.
/// 6. No other request ends it.
fn expired(input: Input, user: User, everywhere: bool) -> Action {
    if user == User::SignedOut && !input.has_failed && is_user_act(input.kind) {
        return Action::End;
    }
    let restore = Action::Restore { stores_data: !input.has_failed };
    let is_navigation =
        input.kind == RequestKind::Navigation && input.outcome == HandlerOutcome::Success;
    let never_ends = input.is_passive
        || input.intent == ResponseIntent::StatusQuery
        || !is_user_act(input.kind)
        || (input.origin == Origin::Other && !everywhere);
    match never_ends {
        true => restore,
        false if is_challenged(input) => Action::EndWithoutCookie,
        false if is_navigation && everywhere && !input.has_failed => Action::EndWithoutCookie,
        false => restore,
    }
}

fn response(input: Input) -> ResponseChoice {
    match (input.access, input.user) {
        (_, User::Invalid) => ResponseChoice::ConfigurationError,
        (Access::Unavailable, User::SignedIn | User::SignedOut | User::Cleared) => {
            ResponseChoice::Unavailable
        }
        (Access::Unavailable, _) if input.intent == ResponseIntent::SigningOut => {
            ResponseChoice::Unavailable
        }
        (Access::Unavailable, _) if is_refused_in_outage(input) => ResponseChoice::Unavailable,
        // Browsers discard a speculative response with this status and load the page again.
        (Access::Active | Access::NotFresh, User::SignedOut)
            if input.kind == RequestKind::Speculative && !input.has_failed =>
        {
            ResponseChoice::Unavailable
        }
        (Access::Anonymous | Access::Expired { .. }, _) if is_challenged(input) => {
            ResponseChoice::Challenge
        }
        (Access::NotFresh, User::Unchanged | User::Renewed) if is_unauthorized(input) => {
            ResponseChoice::Confirm
        }
        _ => ResponseChoice::Handler,
    }
}

/// Returns `true` if a 401 becomes a 503. During an outage, the middleware does not know whether
/// the user is signed in.
fn is_refused_in_outage(input: Input) -> bool {
    input.outcome == HandlerOutcome::Unauthorized && input.intent != ResponseIntent::KeptResponse
}

/// Returns `true` if the client is challenged. A user who signs in with this request is not.
fn is_challenged(input: Input) -> bool {
    is_unauthorized(input) && input.may_challenge && input.user != User::SignedIn
}

/// Returns `true` for a 401 that the middleware may replace.
fn is_unauthorized(input: Input) -> bool {
    let is_final =
        matches!(input.intent, ResponseIntent::StatusQuery | ResponseIntent::KeptResponse);
    input.outcome == HandlerOutcome::Unauthorized && !is_final
}

fn caching(input: Input, action: Action) -> CachingRule {
    match (action, input.access) {
        (Action::CommitLogin | Action::RotateKey | Action::Reauthenticate | Action::End, _) => {
            CachingRule::NoStore
        }
        (_, Access::Anonymous) => CachingRule::VaryCookie,
        _ => CachingRule::PrivatePage,
    }
}

/// Returns `true` if the request may end surplus sessions: an active request that the handler
/// served.
fn may_evict(input: Input) -> bool {
    input.access == Access::Active
        && is_user_act(input.kind)
        && !input.is_passive
        && input.origin == Origin::Same
        && input.outcome == HandlerOutcome::Success
        && input.intent == ResponseIntent::Normal
}

/// Returns `true` for kinds of requests by which a user acts on the session.
fn is_user_act(kind: RequestKind) -> bool {
    matches!(kind, RequestKind::Navigation | RequestKind::Htmx | RequestKind::Api)
}
