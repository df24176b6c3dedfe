use actix_web::{HttpResponse, web};
use session_expire::session_policy;

use crate::login_page;

#[session_policy(login_url = "/in/plain")]
async fn plain() -> HttpResponse {
    login_page::unauthorized()
}

/// The return type makes it a handler.
#[session_policy(login_url = "/in/future")]
fn future(_body: web::Bytes) -> impl Future<Output = HttpResponse> {
    std::future::ready(login_page::unauthorized())
}

mod pages {
    use super::*;

    #[session_policy(login_url = "/in/public")]
    pub async fn public() -> HttpResponse {
        login_page::unauthorized()
    }

    #[session_policy(login_url = "/in/private")]
    pub(super) async fn private() -> HttpResponse {
        login_page::unauthorized()
    }
}

#[actix_web::test]
async fn handler_without_a_route_attribute_gets_the_policy() {
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
    login_page::assert_redirects(site, &expected).await;
}
