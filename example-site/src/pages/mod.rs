//! Pages of the site.

mod admin;
mod api;
mod confirm;
mod dashboard;
mod devices;
pub(crate) mod editor;
pub(crate) mod error_page;
mod home;
mod login;
mod logout;
mod session_ended;
mod settings;
mod vault;

use std::time::Duration;

use actix_web::{
    Error, HttpResponse, ResponseError,
    error::ErrorInternalServerError,
    http::{
        StatusCode,
        header::{ContentType, LOCATION},
    },
    web,
};
use askama::Template;
use session_expire::{Limit, PolicyPatch, request::local_path};

pub(crate) use error_page::{not_found, unavailable};
pub(crate) use login::notify_others;

use crate::settings::PageIdles;

/// Mounts the pages. An idle timeout from a flag replaces the attribute of its page. `fresh`
/// applies to the settings and to the end of sessions.
///
/// `has_expired_url` adds the page `/session-ended`.
pub(crate) fn configure(
    config: &mut web::ServiceConfig,
    idles: PageIdles,
    fresh: Limit<Duration>,
    has_expired_url: bool,
) {
    if has_expired_url {
        config.service(session_ended::page());
    }
    config
        .service(home::home)
        .service(login::login_form)
        .service(login::sign_in)
        .service(logout::logout)
        .service(dashboard::dashboard)
        .service(confirm::service())
        .service(settings::service(fresh))
        .service(devices::service(fresh))
        .service(api::me)
        .service(api::poll);
    editor::configure(config, idles.editor);
    vault::configure(config, idles.vault);
    admin::configure(config, idles.admin);
}

/// Returns the policy patches of the pages, with their paths.
pub(crate) fn patches(idles: PageIdles) -> [(&'static str, PolicyPatch); 3] {
    [
        ("/editor", editor::patch(idles.editor)),
        ("/vault", vault::patch(idles.vault)),
        ("/admin", admin::patch(idles.admin)),
    ]
}

/// Longest form in bytes: each character of the editor takes up to 12 bytes when percent-encoded.
const MAX_FORM_BYTES: usize = 512 * 1024;

/// Returns the size limit of forms and their error page.
pub(crate) fn form_config() -> web::FormConfig {
    web::FormConfig::default().limit(MAX_FORM_BYTES).error_handler(|error, req| {
        error_page::error(
            error.status_code(),
            "Your form could not be read",
            "Nothing was changed. Go back, reload the page and send the form again.",
            req,
        )
    })
}

fn html(page: &impl Template) -> Result<HttpResponse, Error> {
    html_with(StatusCode::OK, page)
}

fn html_with(status: StatusCode, page: &impl Template) -> Result<HttpResponse, Error> {
    let body = page.render().map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::build(status).content_type(ContentType::html()).body(body))
}

fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}

/// Returns `next` if it is a path of this site to which a user may return after signing in.
fn safe_next(next: &str) -> Option<&str> {
    let not_pages = ["/login", "/logout", "/confirm", "/session/", "/session-ended"];
    local_path(next).filter(|path| !not_pages.iter().any(|start| path.starts_with(start)))
}
