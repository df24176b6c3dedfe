use actix_web::{HttpResponse, dev::HttpServiceFactory, get, web};
use session_expire::{SessionHandle, session_policy};

use crate::login_page;

#[session_policy(require_login, login_url = "/in/scope")]
fn scope() -> impl HttpServiceFactory {
    web::scope("/scope").route("/page", web::get().to(page))
}

#[session_policy(require_login = true, login_url = "/in/resource")]
fn resource() -> actix_web::Resource {
    web::resource("/resource").get(page)
}

#[session_policy(require_login, login_url = "/in/above")]
#[get("/above")]
async fn above(handle: SessionHandle) -> HttpResponse {
    login_page::ok_if_open(&handle)
}

#[get("/below")]
#[session_policy(require_login, login_url = "/in/below")]
async fn below(handle: SessionHandle) -> HttpResponse {
    login_page::ok_if_open(&handle)
}

#[session_policy(require_login, login_url = "/in/plain")]
async fn plain(handle: SessionHandle) -> HttpResponse {
    login_page::ok_if_open(&handle)
}

#[session_policy(require_login = false)]
#[get("/open")]
async fn open(handle: SessionHandle) -> HttpResponse {
    login_page::ok_if_open(&handle)
}

async fn page(handle: SessionHandle) -> HttpResponse {
    login_page::ok_if_open(&handle)
}

#[actix_web::test]
async fn require_login_challenges_anonymous_requests() {
    let site = |site: &mut web::ServiceConfig| {
        site.service((scope(), resource(), above, below, open))
            .route("/plain", web::get().to(plain))
            .route("/page", web::get().to(page));
    };
    let expected = [
        ("GET /scope/page", "/in/scope"),
        ("GET /resource", "/in/resource"),
        ("GET /above", "/in/above"),
        ("GET /below", "/in/below"),
        ("GET /plain", "/in/plain"),
        ("GET /open", login_page::OPEN),
        ("GET /page", login_page::OPEN),
    ];
    login_page::assert_redirects(site, &expected).await;
}
