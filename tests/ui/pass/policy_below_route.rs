use actix_web::{HttpResponse, get, route, routes};
use session_expire::session_policy;

use crate::login_page;

#[get("/get")]
#[session_policy(login_url = "/in/get")]
async fn by_get() -> HttpResponse {
    login_page::unauthorized()
}

#[actix_web::post("/post")]
#[session_policy(login_url = "/in/post")]
pub(crate) async fn by_post() -> HttpResponse {
    login_page::unauthorized()
}

#[route("/route", method = "GET", method = "POST")]
#[session_policy(login_url = "/in/route")]
async fn by_route() -> HttpResponse {
    login_page::unauthorized()
}

#[routes]
#[session_policy(login_url = "/in/between")]
#[get("/one")]
#[post("/two")]
async fn between() -> HttpResponse {
    login_page::unauthorized()
}

#[routes]
#[get("/three")]
#[session_policy(login_url = "/in/in-the-middle")]
#[post("/four")]
async fn in_the_middle() -> HttpResponse {
    login_page::unauthorized()
}

#[routes]
#[get("/five")]
#[post("/six")]
#[session_policy(login_url = "/in/last")]
async fn last() -> HttpResponse {
    login_page::unauthorized()
}

#[actix_web::test]
async fn policy_below_a_route_applies_to_all_its_paths() {
    let site = |site: &mut actix_web::web::ServiceConfig| {
        site.service((by_get, by_post, by_route, between, in_the_middle, last));
    };
    let expected = [
        ("GET /get", "/in/get"),
        ("POST /post", "/in/post"),
        ("POST /route", "/in/route"),
        ("GET /one", "/in/between"),
        ("POST /two", "/in/between"),
        ("GET /three", "/in/in-the-middle"),
        ("POST /four", "/in/in-the-middle"),
        ("GET /five", "/in/last"),
        ("POST /six", "/in/last"),
    ];
    login_page::assert_redirects(site, &expected).await;
}
