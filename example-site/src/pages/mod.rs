//! Pages of the site.

mod admin;
mod api;
pub(crate) mod chat;
mod confirm;
mod dashboard;
mod devices;
pub(crate) mod editor;
pub(crate) mod error_page;
mod home;
mod language;
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
        header::{ContentType, LOCATION, VARY},
    },
    web,
};
use askama::Template;
use session_expire::{AtEnd, Limit, PolicyPatch, request::local_path};

pub(crate) use error_page::{not_found, show_errors, unavailable};
pub(crate) use login::notify_others;

use crate::{
    compliance,
    settings::{PageIdles, Settings},
};

/// Options of the pages, from flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageOptions {
    /// Idle timeouts that replace the attributes of their pages.
    pub(crate) idles: PageIdles,
    /// Policy key `fresh` of the settings and of the handlers that end sessions.
    pub(crate) fresh: Limit<Duration>,
    /// `true` if the site has the page `/session-ended`.
    pub(crate) has_expired_url: bool,
    /// `true` if open pages leave at once when their session ends elsewhere.
    pub(crate) is_live: bool,
    /// Behaviour of the editor at its idle timeout.
    pub(crate) editor_at_end: AtEnd,
}

impl PageOptions {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            idles: settings.idles,
            fresh: settings.settings_fresh,
            has_expired_url: settings.expired_url.is_some(),
            is_live: settings.is_live,
            editor_at_end: compliance::editor_at_end(&settings.standards),
        }
    }
}

/// Mounts the pages.
pub(crate) fn configure(config: &mut web::ServiceConfig, options: PageOptions) {
    let PageOptions { idles, fresh, has_expired_url, is_live, editor_at_end } = options;
    if has_expired_url {
        config.service(session_ended::page());
    }
    config
        .service(home::home)
        .service(login::login_form)
        .service(login::sign_in)
        .service(logout::logout)
        .service(language::service())
        .service(dashboard::dashboard)
        .service(chat::page)
        .service(chat::socket)
        .service(confirm::service())
        .service(settings::service(fresh))
        .service(devices::service(fresh, is_live))
        .service(api::me)
        .service(api::poll);
    editor::configure(config, idles.editor, editor_at_end);
    vault::configure(config, idles.vault);
    admin::configure(config, idles.admin);
}

/// Returns the policy patches of the pages, with their paths.
pub(crate) fn patches(options: PageOptions) -> [(&'static str, PolicyPatch); 3] {
    let PageOptions { idles, editor_at_end, .. } = options;
    [
        ("/editor", editor::patch(idles.editor, editor_at_end)),
        ("/vault", vault::patch(idles.vault)),
        ("/admin", admin::patch(idles.admin)),
    ]
}

/// Longest form in bytes: each character of the editor takes up to 12 bytes when percent-encoded.
const MAX_FORM_BYTES: usize = 512 * 1024;

/// Returns the size limit of forms and their error page.
pub(crate) fn form_config() -> web::FormConfig {
    web::FormConfig::default()
        .limit(MAX_FORM_BYTES)
        .error_handler(|error, req| error_page::unreadable_form(error.status_code(), req))
}

/// Value of `Vary` for pages. The middleware adds `Cookie`, for the session and the language.
const VARY_BY_LANGUAGE: &str = "Accept-Language";

fn html(page: &impl Template) -> Result<HttpResponse, Error> {
    html_with(StatusCode::OK, page)
}

fn html_with(status: StatusCode, page: &impl Template) -> Result<HttpResponse, Error> {
    let body = page.render().map_err(ErrorInternalServerError)?;
    let vary = (VARY, VARY_BY_LANGUAGE);
    let mut response = HttpResponse::build(status);
    Ok(response.content_type(ContentType::html()).insert_header(vary).body(body))
}

fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}

/// Returns the URL of `page` with the return path `next` in its query.
fn with_next(page: &str, next: &str) -> String {
    let query = serde_urlencoded::to_string([("next", next)]);
    format!("{page}?{}", query.unwrap_or_default())
}

/// Last page of the sign-in for a locked page.
const SIGNED_IN: &str = "/session/signed-in";

/// Returns `next` if it is a path of this site to which a user may return after signing in.
fn safe_next(next: &str) -> Option<&str> {
    let not_pages = ["/login", "/logout", "/confirm", "/session/", "/session-ended", chat::SOCKET];
    let is_page =
        |path: &&str| *path == SIGNED_IN || !not_pages.iter().any(|start| path.starts_with(start));
    local_path(next).filter(is_page)
}
