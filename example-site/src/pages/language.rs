//! Language switch of the footer.

use actix_web::{
    HttpRequest, HttpResponse, Result,
    dev::HttpServiceFactory,
    http::{Uri, header::REFERER},
    web,
};
use serde::Deserialize;
use session_expire::{PolicyPatch, request::local_path};

use super::see_other;
use crate::language::Language;

/// A change of the language is not activity, and ends no session.
pub(super) fn service() -> impl HttpServiceFactory {
    web::resource("/language").post(choose).wrap(PolicyPatch::new().passive(true))
}

#[derive(Deserialize)]
struct Choice {
    language: Language,
}

async fn choose(choice: web::Form<Choice>, req: HttpRequest) -> Result<HttpResponse> {
    let mut response = see_other(&page_of_switch(&req));
    response.add_cookie(&choice.language.to_cookie())?;
    Ok(response)
}

/// Returns the page that contains the submitted switch, or the home page if it is unknown.
fn page_of_switch(req: &HttpRequest) -> String {
    let referer = req.headers().get(REFERER).and_then(|value| value.to_str().ok());
    let uri = referer.and_then(|referer| referer.parse::<Uri>().ok());
    let path =
        uri.as_ref().and_then(Uri::path_and_query).and_then(|path| local_path(path.as_str()));
    loadable_page(path.unwrap_or("/")).to_owned()
}

/// Returns `path`, or the page with the form if the browser cannot load `path` with GET.
fn loadable_page(path: &str) -> &str {
    let route = path.split('?').next().unwrap_or(path);
    let is_below = |page: &str| route.strip_prefix(page).is_some_and(|rest| rest.starts_with('/'));
    match route {
        "/language" | "/logout" => "/",
        "/admin/impersonate" => "/admin/users",
        _ if is_below("/session") => "/",
        _ => ["/devices", "/settings", "/chat", "/admin/sessions"]
            .into_iter()
            .find(|page| is_below(page))
            .unwrap_or(path),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn switch_returns_to_its_page_and_never_to_a_form_target() {
        for (referer, expected) in [
            ("http://site.example/dashboard", "/dashboard"),
            ("http://site.example/login?next=/vault", "/login?next=/vault"),
            ("http://site.example", "/"),
            ("http://site.example/settings/password", "/settings"),
            ("http://site.example/devices/x/end?y", "/devices"),
            ("http://site.example/devices?page=2", "/devices?page=2"),
            ("http://site.example/admin/impersonate", "/admin/users"),
            ("http://site.example/admin/sessions/end", "/admin/sessions"),
            ("http://site.example/language", "/"),
            ("http://site.example/logout", "/"),
            ("http://site.example/session/logout", "/"),
            ("http://site.example//evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("", "/"),
        ] {
            let request = TestRequest::post().insert_header((REFERER, referer)).to_http_request();
            assert_eq!(page_of_switch(&request), expected, "{referer}");
        }
        assert_eq!(page_of_switch(&TestRequest::post().to_http_request()), "/");
    }
}
