#[path = "../visit.rs"]
mod visit;

use actix_web::{HttpResponse, get, post, route, routes};
use session_expire::session_policy;

#[session_policy(login_url = "/in/get")]
#[get("/get")]
async fn by_get() -> HttpResponse {
    visit::sign_in_first()
}

#[session_policy(login_url = "/in/post")]
#[actix_web::post("/post")]
async fn by_post() -> HttpResponse {
    visit::sign_in_first()
}

#[session_policy(login_url = "/in/route")]
#[route("/route", method = "GET", method = "POST")]
async fn by_route() -> HttpResponse {
    visit::sign_in_first()
}

#[session_policy(login_url = "/in/routes")]
#[routes]
#[get("/one")]
#[get("/two")]
#[post("/two")]
async fn by_routes() -> HttpResponse {
    visit::sign_in_first()
}

#[post("/free")]
async fn free() -> HttpResponse {
    visit::sign_in_first()
}

#[actix_web::main]
async fn main() {
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
        ("POST /free", visit::LOGIN),
    ];
    visit::expect(site, &expected).await;
}
