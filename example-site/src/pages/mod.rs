//! Pages, one file each.

mod admin;
mod admin_sessions;
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

/// Mounts the pages. Where a flag names an idle timeout, a patch replaces the attribute.
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

/// Bytes of a form: the longest text of the editor, four bytes a character, percent-encoded.
const LONGEST_FORM: usize = 512 * 1024;

/// Returns how forms are read, and the error page for one that cannot be read.
pub(crate) fn form_config() -> web::FormConfig {
    web::FormConfig::default().limit(LONGEST_FORM).error_handler(|error, req| {
        error_page::error(
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
