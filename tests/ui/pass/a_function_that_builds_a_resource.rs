#![deny(warnings)]

#[path = "../visit.rs"]
mod visit;

use actix_web::{HttpResponse, Resource, dev::HttpServiceFactory, web};
use session_expire::session_policy;

async fn page() -> HttpResponse {
    visit::sign_in_first()
}

#[session_policy(login_url = "/in/named")]
fn named() -> Resource {
    web::resource("/named").route(web::get().to(page)).route(web::post().to(page))
}

#[session_policy(login_url = "/in/opaque")]
fn opaque() -> impl HttpServiceFactory {
    web::resource(["/one", "/two"]).to(page)
}

#[actix_web::main]
async fn main() {
    let site = |site: &mut web::ServiceConfig| {
        site.service(named()).service(opaque());
    };
    let expected = [
        ("GET /named", "/in/named"),
        ("POST /named", "/in/named"),
        ("GET /one", "/in/opaque"),
        ("GET /two", "/in/opaque"),
    ];
    visit::expect(site, &expected).await;
}
