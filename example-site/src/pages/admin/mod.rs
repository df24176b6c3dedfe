//! Pages for superusers.

mod filters;
mod sessions;

use std::time::Duration;

use actix_identity::Identity;
use actix_web::{
    Error, HttpResponse, Result, Scope,
    body::{BoxBody, MessageBody},
    dev::{HttpServiceFactory, ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::{Next, from_fn},
    web,
};
use askama::Template;
use session_expire::{FlashMessages, Limit, PolicyPatch, SessionVars, minutes, session_policy};

use super::{error_page, html};
use crate::{
    format::Limits,
    users::{USERS, User},
};

/// The attribute on this function sets a stricter policy for the whole scope.
#[session_policy(idle = "2m", absolute = "30m", require_login)]
fn service() -> Scope {
    scope()
}

fn scope() -> Scope {
    web::scope("/admin").service(pages())
}

/// The inner scope also checks paths that do not exist.
fn pages() -> impl HttpServiceFactory {
    web::scope("")
        .service(web::resource(["", "/"]).get(overview).head(overview))
        .service(web::resource("/users").get(users).head(users))
        .service(sessions::list())
        .service(sessions::end())
        .wrap(from_fn(refuse_members))
}

pub(super) fn configure(config: &mut web::ServiceConfig, idle: Option<Limit<Duration>>) {
    match idle {
        None => config.service(service()),
        Some(idle) => {
            let patch = PolicyPatch::new().idle(idle).absolute(minutes(30));
            config.service(scope().wrap(patch.require_login(true)))
        }
    };
}

/// Middleware that responds with 403 to users who are not superusers.
///
/// `require_login` has already challenged anonymous visitors.
async fn refuse_members(
    user: Identity,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if User::from_identity(&user)?.superuser {
        return next.call(req).await.map(ServiceResponse::map_into_boxed_body);
    }
    let page = error_page::render(
        StatusCode::FORBIDDEN,
        "You cannot open this page",
        "Only superusers can. Sign out, then sign in as root.",
        req.request(),
    )?;
    Ok(req.into_response(page))
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
    user: Identity,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    let user = Some(User::from_identity(&user)?);
    html(&Overview { user, session, messages, limits })
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
    user: Identity,
    session: SessionVars,
    messages: FlashMessages,
    limits: Limits,
) -> Result<HttpResponse> {
    let user = Some(User::from_identity(&user)?);
    html(&Users { user, session, messages, limits, users: &USERS })
}
