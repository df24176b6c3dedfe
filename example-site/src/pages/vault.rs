//! Vault with a stricter policy.

use std::time::Duration;

use actix_web::{HttpResponse, Result, routes, web};
use askama::Template;
use session_expire::{FlashMessages, Limit, PolicyPatch, SessionVars, minutes, session_policy};

use super::html;
use crate::{layout::Layout, users::SignedIn};

#[derive(Template)]
#[template(path = "vault.html")]
struct Vault {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
}

/// The attribute sets a stricter policy for this handler.
#[session_policy(idle = "1m", max_sessions = 1)]
#[routes]
#[get("/vault")]
#[head("/vault")]
async fn vault(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
) -> Result<HttpResponse> {
    show(user, session, messages, layout).await
}

async fn show(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
) -> Result<HttpResponse> {
    html(&Vault { user: Some(user), session, messages, layout })
}

pub(super) fn configure(config: &mut web::ServiceConfig, idle: Option<Limit<Duration>>) {
    match idle {
        None => config.service(vault),
        idle => config.service(web::resource("/vault").get(show).head(show).wrap(patch(idle))),
    };
}

/// Returns the patch of the attribute, with the idle timeout from the flag.
pub(super) fn patch(idle: Option<Limit<Duration>>) -> PolicyPatch {
    PolicyPatch::new().idle(idle.unwrap_or(Limit::At(minutes(1)))).max_sessions(1)
}
