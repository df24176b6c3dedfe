//! Pages for superusers.

mod audit;
mod filters;
mod sessions;

use std::time::Duration;

use actix_web::{
    Error, HttpRequest, HttpResponse, Result, Scope,
    body::{BoxBody, MessageBody},
    dev::{HttpServiceFactory, ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::{Next, from_fn},
    web,
};
use askama::Template;
use serde::Deserialize;
use session_expire::{
    FlashMessages, Limit, PolicyPatch, SessionHandle, SessionVars, minutes, session_policy,
    sign_in::SignInOptions,
};

use super::{error_page, html, see_other};
use crate::{
    language::Language,
    layout::Layout,
    passwords::Passwords,
    users::{SignedIn, USERS, User},
};

/// The attribute on this function sets a stricter policy for the whole scope.
#[session_policy(
    idle = "2m",
    absolute = "30m",
    absolute_is_essential = "administrators work in short visits",
    require_login
)]
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
        .service(web::resource("/impersonate").post(impersonate))
        .service(audit::page())
        .service(sessions::list())
        .service(sessions::end())
        .wrap(from_fn(refuse_members))
}

pub(super) fn configure(config: &mut web::ServiceConfig, idle: Option<Limit<Duration>>) {
    match idle {
        None => config.service(service()),
        idle => config.service(scope().wrap(patch(idle))),
    };
}

/// Returns the patch of the attribute, with the idle timeout from the flag.
pub(super) fn patch(idle: Option<Limit<Duration>>) -> PolicyPatch {
    PolicyPatch::new()
        .idle(idle.unwrap_or(Limit::At(minutes(2))))
        .absolute(minutes(30))
        .absolute_is_essential("administrators work in short visits")
        .require_login(true)
}

/// Middleware that responds with 403 to users who are not superusers.
///
/// `require_login` has already challenged anonymous visitors.
async fn refuse_members(
    user: SignedIn,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if user.superuser {
        return next.call(req).await.map(ServiceResponse::map_into_boxed_body);
    }
    let language = Language::new(req.request());
    let page = error_page::render(
        StatusCode::FORBIDDEN,
        language.t("You cannot open this page"),
        language.t("Only superusers can. Sign out, then sign in as root."),
        req.request(),
    )?;
    Ok(req.into_response(page))
}

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct Overview {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
}

async fn overview(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
) -> Result<HttpResponse> {
    html(&Overview { user: Some(user), session, messages, layout })
}

#[derive(Template)]
#[template(path = "admin/users.html")]
struct Users {
    user: Option<SignedIn>,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
    users: &'static [User],
}

async fn users(
    user: SignedIn,
    session: SessionVars,
    messages: FlashMessages,
    layout: Layout,
) -> Result<HttpResponse> {
    html(&Users { user: Some(user), session, messages, layout, users: &USERS })
}

/// User to impersonate.
#[derive(Deserialize)]
struct Impersonation {
    user: String,
}

/// Signs a superuser in as another user. Only `refuse_members` checks the permission.
async fn impersonate(
    actor: SignedIn,
    form: web::Form<Impersonation>,
    passwords: web::Data<Passwords>,
    handle: SessionHandle,
    language: Language,
    req: HttpRequest,
) -> Result<HttpResponse> {
    let Some(user) = User::find(&form.user).filter(|user| user.may_be_impersonated()) else {
        let title = language.t("You cannot act as this user");
        let detail = language.t("Choose a member from the list.");
        return Err(error_page::error(StatusCode::FORBIDDEN, title, detail, &req));
    };
    let options = SignInOptions::new().impersonated_by(actor.name).stamp(passwords.stamp(user));
    handle.sign_in_with(user.name, options).await?;
    Ok(see_other("/dashboard"))
}
