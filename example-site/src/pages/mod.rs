//! The pages: one file each.

mod admin;
mod admin_sessions;
mod api;
mod dashboard;
mod devices;
pub(crate) mod editor;
mod home;
mod login;
mod logout;
pub(crate) mod refusal;
mod superuser;
mod vault;

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

pub(crate) use login::kept_absolute;
pub(crate) use refusal::{not_found, unavailable};

use crate::settings::PageIdles;

/// The routes. Where the flags name an idle limit, a patch takes the place of the attribute.
pub(crate) fn configure(config: &mut web::ServiceConfig, idles: PageIdles) {
    config
        .service(home::home)
        .service(login::ask)
        .service(login::sign_in)
        .service(logout::logout)
        .service(dashboard::dashboard)
        .service(devices::service())
        .service(api::me)
        .service(api::poll);
    editor::configure(config, idles.editor);
    vault::configure(config, idles.vault);
    admin::configure(config, idles.admin);
}

/// Larger than the longest text that the editor takes, four bytes a character and each encoded.
const LONGEST_FORM: usize = 512 * 1024;

/// How forms are read, and what a person sees when one can't be.
pub(crate) fn form_config() -> web::FormConfig {
    web::FormConfig::default().limit(LONGEST_FORM).error_handler(|error, req| {
        refusal::error(
            error.status_code(),
            "This form could not be read",
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
