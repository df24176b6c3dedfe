//! The pages of the superuser.

use std::{
    future::{Ready, ready},
    time::Duration,
};

use actix_identity::Identity;
use actix_web::{
    Error, FromRequest, HttpRequest, HttpResponse, Result, Scope, dev::Payload, http::StatusCode,
    web,
};
use askama::Template;
use session_expire::{FlashMessages, Limit, PolicyPatch, SessionVars, minutes, session_policy};

use super::{admin_sessions, html, refusal};
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

/// A user who may see these pages; everybody else meets a page that says so.
pub(super) struct Superuser(pub(super) &'static User);

impl FromRequest for Superuser {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let identity = Identity::from_request(req, payload).into_inner();
        let user = identity.and_then(|identity| User::of(&identity));
        ready(user.and_then(|user| match user.superuser {
            true => Ok(Self(user)),
            false => Err(refusal::error(
                StatusCode::FORBIDDEN,
                "This page is for superusers",
                "Your account is not allowed to open it. Sign out, then sign in as root.",
                req,
            )),
        }))
    }
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
