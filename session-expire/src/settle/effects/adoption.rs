//! Effects of a request that adopts an old session.
//!
//! A browser never loses the old cookie before it has a session cookie or the session has ended.

use std::rc::Rc;

use actix_web::cookie::Cookie;

use super::{Effects, apply_decision};
use crate::{
    context::{RequestContext, changes::UserChange, facts::RequestFacts},
    settle::decision::{Action, Decision},
};

/// Carries out the decision and replaces the old cookie with a session cookie.
pub(crate) async fn apply_and_adopt(
    decision: &Decision,
    user: UserChange,
    context: &Rc<RequestContext>,
    facts: &RequestFacts,
) -> Effects {
    let mut effects = apply_decision(decision, user, context, facts).await;
    // After a failure, the browser keeps the old cookie. The next request adopts the same session.
    if effects.response.is_none() {
        effects.cookies.extend(adoption_cookies(context, decision.action).await);
    }
    effects
}

/// Returns the cookies that replace the old cookie with a session cookie.
///
/// If the session has ended, the browser only deletes the old cookie, because it may have a newer
/// login. If the registry is unavailable, nothing changes: the next request adopts the session
/// again.
async fn adoption_cookies(context: &RequestContext, action: Action) -> Vec<Cookie<'static>> {
    let config = context.config();
    let (Some(migration), Some(loaded)) = (&config.migration, context.record()) else {
        return vec![];
    };
    let removal = migration.removal_cookie();
    if matches!(action, Action::CommitLogin | Action::RotateKey | Action::End) {
        return vec![removal];
    }
    match config.registry.load(loaded.key, false).await {
        Ok(Some(present)) if present.record.ended.is_none() => {
            vec![removal, config.cookies.session_cookie(&loaded.key, None)]
        }
        Ok(_) => vec![removal],
        Err(error) => {
            config.emit_failure(&error);
            vec![]
        }
    }
}
