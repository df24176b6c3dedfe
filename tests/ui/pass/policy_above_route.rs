use actix_web::{HttpResponse, get, post, route, routes};
use session_expire::session_policy;

use crate::login_page;

#[session_policy(login_url = "/in/get")]
#[get("/get")]
async fn by_get() -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(login_url = "/in/post")]
#[actix_web::post("/post")]
async fn by_post() -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(login_url = "/in/route")]
#[route("/route", method = "GET", method = "POST")]
async fn by_route() -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(login_url = "/in/routes")]
#[routes]
#[get("/one")]
#[get("/two")]
#[post("/two")]
async fn by_routes() -> HttpResponse {
    login_page::unauthorized()
}

#[post("/free")]
async fn free() -> HttpResponse {
    login_page::unauthorized()
}

#[actix_web::test]
async fn policy_above_a_route_applies_to_all_its_paths() {
    let site = |site: &mut actix_web::web::ServiceConfig| {
        site.service((by_get, by_post, by_route, by_routes, free));
    };
    let expected = [
        ("GET /get", "/in/get"),
        ("POST /post", "/in/post"),
        ("GET /route", "/in/route"),
        ("POST /route", "/in/route"),
        ("GET /one", "/in/routes"),
        ("GET /two", "/in/routes"),
        ("POST /two", "/in/routes"),
        ("POST /free", login_page::APPLICATION),
    ];
    login_page::assert_redirects(site, &expected).await;
}
