//! Effects of a request that adopts a session of another session layer.

use std::rc::Rc;

use actix_web::cookie::Cookie;

use super::{Effects, carry_out};
use crate::{
    context::{RequestContext, changes::UserChange, facts::RequestFacts},
    settle::decision::{Action, Decision},
};

/// Does what was decided, and gives the session a cookie of ours.
pub(crate) async fn carry_out_and_adopt(
    decision: &Decision,
    user: UserChange,
    context: &Rc<RequestContext>,
    facts: &RequestFacts,
) -> Effects {
    let mut effects = carry_out(decision, user, context, facts).await;
    // What has failed leaves the old cookie: the next request adopts the same session.
    if effects.response.is_none() {
        effects.cookies.extend(adoption_cookies(context, decision.action).await);
    }
    effects
}

/// The response to an adopting request replaces the cookie of the other session layer by ours, but
/// not that of a newer login. What cannot be known leaves the old cookie: it is adopted again.
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
        Ok(Some(now)) if now.record.ended.is_none() => {
            vec![removal, config.cookies.session_cookie(&loaded.key, None)]
        }
        Ok(_) => vec![removal],
        Err(error) => {
            config.emit_failure(&error);
            vec![]
        }
    }
}
