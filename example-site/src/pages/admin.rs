//! The pages of the superuser.

use std::time::Duration;

use actix_web::{HttpResponse, Result, Scope, web};
use askama::Template;
use session_expire::{FlashMessages, Limit, PolicyPatch, SessionVars, minutes, session_policy};

use super::{admin_sessions, html, superuser::Superuser};
use crate::{
    users::{USERS, User},
    words::Limits,
};

/// Stricter than the application's policy, by attribute on the function that builds the scope.
#[session_policy(idle = "2m", absolute = "30m")]
fn service() -> Scope {
    scope()
}

fn scope() -> Scope {
    web::scope("/admin")
        .route("", web::get().to(overview))
        .route("/", web::get().to(overview))
        .route("/users", web::get().to(users))
        .service(admin_sessions::list())
        .service(admin_sessions::end())
}

pub(super) fn configure(config: &mut web::ServiceConfig, idle: Option<Limit<Duration>>) {
    match idle {
        None => config.service(service()),
        Some(idle) => {
            let patch = PolicyPatch::new().idle(idle).absolute(minutes(30));
            config.service(scope().wrap(patch))
        }
    };
}

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct Overview {
    user: Option<&'static User>,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
}

async fn overview(
    Superuser(user): Superuser,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    html(&Overview { user: Some(user), session, messages, limits })
}

#[derive(Template)]
#[template(path = "admin/users.html")]
struct Users {
    user: Option<&'static User>,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
    users: &'static [User],
}

async fn users(
    Superuser(user): Superuser,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    html(&Users { user: Some(user), session, messages, limits, users: &USERS })
}
