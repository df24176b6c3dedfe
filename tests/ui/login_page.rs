//! Login page to which each handler redirects an anonymous browser.
//!
//! `login_url` is the only key that a client can observe without signing in. It shows which policy
//! applied when the request reached the handler.

use actix_web::{
    App, HttpResponse,
    dev::ServiceResponse,
    http::header::{ACCEPT, LOCATION},
    test::{TestRequest, call_service, init_service},
    web::ServiceConfig,
};
use session_expire::{Policy, SessionExpire, SessionHandle};

/// Login page of the application, where no other policy applies.
pub(crate) const APPLICATION: &str = "/application";

/// Expected in place of a login page if the handler responds to an anonymous browser.
pub(crate) const OPEN: &str = "200 OK";

/// Response of a handler that needs a user. The middleware replaces it with a redirect.
pub(crate) fn unauthorized() -> HttpResponse {
    HttpResponse::Unauthorized().finish()
}

/// Response of a handler that is open unless its policy requires a login.
pub(crate) fn ok_if_open(handle: &SessionHandle) -> HttpResponse {
    if handle.policy().require_login { unauthorized() } else { HttpResponse::Ok().finish() }
}

/// Asserts that each `METHOD /path` redirects to the login page next to it.
pub(crate) async fn assert_redirects(
    configure: impl FnOnce(&mut ServiceConfig),
    expected: &[(&str, &str)],
) {
    let expire = SessionExpire::builder(Policy::new().login_url(APPLICATION)).build().unwrap();
    let app = init_service(App::new().configure(configure).wrap(expire)).await;
    for (request, login_page) in expected {
        let response = call_service(&app, navigation(request).to_request()).await;
        let location = location_or_status(&response);
        let query = location.strip_prefix(login_page);
        let matches = query.is_some_and(|query| query.is_empty() || query.starts_with(['?', '&']));
        assert!(matches, "{request}: {location:?}, expected {login_page:?}");
    }
}

fn navigation(request: &str) -> TestRequest {
    let (method, path) = request.split_once(' ').unwrap();
    TestRequest::with_uri(path)
        .method(method.parse().unwrap())
        .insert_header((ACCEPT, "text/html"))
        .insert_header(("Sec-Fetch-Mode", "navigate"))
        .insert_header(("Sec-Fetch-Site", "same-origin"))
}

fn location_or_status<B>(response: &ServiceResponse<B>) -> String {
    let location = response.headers().get(LOCATION).map(|value| value.to_str().unwrap().to_owned());
    location.unwrap_or_else(|| response.status().to_string())
}
