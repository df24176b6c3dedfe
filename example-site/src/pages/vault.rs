//! Vault with a stricter policy.

use std::time::Duration;

use actix_identity::Identity;
use actix_web::{HttpResponse, Result, routes, web};
use askama::Template;
use session_expire::{FlashMessages, Limit, PolicyPatch, SessionVars, session_policy};

use super::html;
use crate::{format::Limits, users::User};

#[derive(Template)]
#[template(path = "vault.html")]
struct Vault {
    user: Option<&'static User>,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
}

/// The attribute sets a stricter policy for this handler.
#[session_policy(idle = "1m", max_sessions = 1)]
#[routes]
#[get("/vault")]
#[head("/vault")]
async fn vault(
    user: Identity,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    show(user, session, messages, limits).await
}

async fn show(
    user: Identity,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    html(&Vault { user: Some(User::from_identity(&user)?), session, messages, limits })
}

pub(super) fn configure(config: &mut web::ServiceConfig, idle: Option<Limit<Duration>>) {
    match idle {
        None => config.service(vault),
        Some(idle) => {
            let patch = PolicyPatch::new().idle(idle).max_sessions(1);
            config.service(web::resource("/vault").get(show).head(show).wrap(patch))
        }
    };
}
