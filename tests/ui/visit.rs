//! Asks a site, as a browser and without signing in, which login page each of its handlers sends to.
//!
//! That is the one key of a policy that an anonymous visitor can see, so it tells which policy was
//! in force when the handler was reached.

use actix_web::dev::ServiceResponse;
use actix_web::http::header::{ACCEPT, LOCATION};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpResponse, web::ServiceConfig};
use session_expire::{Policy, SessionExpire, SessionHandle};

/// Where the application sends to, when no policy further in says otherwise.
#[allow(dead_code)]
pub(crate) const LOGIN: &str = "/application";

/// What most handlers answer.
#[allow(dead_code)]
pub(crate) fn sign_in_first() -> HttpResponse {
    HttpResponse::Unauthorized().finish()
}

/// What a handler answers that is open to anonymous visitors unless its policy requires a login.
#[allow(dead_code)]
pub(crate) fn answer_if_open(handle: &SessionHandle) -> HttpResponse {
    if handle.policy().require_login { sign_in_first() } else { HttpResponse::Ok().finish() }
}

/// What [`expect`] is told of a handler that answers an anonymous visitor.
#[allow(dead_code)]
pub(crate) const OPEN: &str = "200 OK";

/// Each `METHOD /path` is sent to the login page beside it, with or without a way back.
pub(crate) async fn expect(site: impl FnOnce(&mut ServiceConfig), expected: &[(&str, &str)]) {
    let expire = SessionExpire::builder(Policy::new().login_url(LOGIN)).build().unwrap();
    let app = init_service(App::new().configure(site).wrap(expire)).await;
    for (request, login) in expected {
        let answer = call_service(&app, as_a_browser(request).to_request()).await;
        let location = location(&answer);
        let way_back = location.strip_prefix(login);
        let is_there = way_back.is_some_and(|back| back.is_empty() || back.starts_with(['?', '&']));
        assert!(is_there, "{request}: {location:?}, not {login:?}");
    }
}

fn as_a_browser(request: &str) -> TestRequest {
    let (method, path) = request.split_once(' ').unwrap();
    TestRequest::with_uri(path)
        .method(method.parse().unwrap())
        .insert_header((ACCEPT, "text/html"))
        .insert_header(("Sec-Fetch-Mode", "navigate"))
        .insert_header(("Sec-Fetch-Site", "same-origin"))
}

fn location<B>(answer: &ServiceResponse<B>) -> String {
    let location = answer.headers().get(LOCATION).map(|value| value.to_str().unwrap().to_owned());
    location.unwrap_or_else(|| answer.status().to_string())
}
