#![deny(warnings)]

#[path = "../visit.rs"]
mod visit;

use actix_web::{HttpResponse, web};
use session_expire::session_policy;

#[session_policy(login_url = "/in/plain")]
async fn plain() -> HttpResponse {
    visit::sign_in_first()
}

/// A handler by its return type.
#[session_policy(login_url = "/in/future")]
fn future(_body: web::Bytes) -> impl Future<Output = HttpResponse> {
    std::future::ready(visit::sign_in_first())
}

mod pages {
    use super::*;

    #[session_policy(login_url = "/in/public")]
    pub async fn public() -> HttpResponse {
        visit::sign_in_first()
    }

    #[session_policy(login_url = "/in/private")]
    pub(super) async fn private() -> HttpResponse {
        visit::sign_in_first()
    }
}

#[actix_web::main]
async fn main() {
    let site = |site: &mut web::ServiceConfig| {
        site.route("/plain", web::get().to(plain))
            .route("/future", web::get().to(future))
            .service(web::resource("/public").to(pages::public))
            .route("/private", web::to(pages::private));
    };
    let expected = [
        ("GET /plain", "/in/plain"),
        ("GET /future", "/in/future"),
        ("GET /public", "/in/public"),
        ("POST /private", "/in/private"),
    ];
    visit::expect(site, &expected).await;
}
