//! Pages of the site.

mod admin;
mod api;
mod dashboard;
mod devices;
pub(crate) mod editor;
pub(crate) mod error_page;
mod home;
mod login;
mod logout;
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

pub(crate) use error_page::{not_found, unavailable};

use crate::settings::PageIdles;

/// Mounts the pages. An idle timeout from a flag replaces the attribute of its page.
pub(crate) fn configure(config: &mut web::ServiceConfig, idles: PageIdles) {
    config
        .service(home::home)
        .service(login::login_form)
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
