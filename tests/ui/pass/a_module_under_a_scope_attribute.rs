#![deny(warnings)]

#[path = "../visit.rs"]
mod visit;

use actix_web::{scope, web};
use session_expire::session_policy;

#[session_policy(login_url = "/in/module")]
#[scope("/outside")]
mod outside {
    use actix_web::{HttpResponse, get, routes};
    use session_expire::session_policy;

    use super::visit;

    #[get("/page")]
    pub async fn page() -> HttpResponse {
        visit::sign_in_first()
    }

    #[session_policy(login_url = "/in/handler")]
    #[routes]
    #[get("/own")]
    #[post("/own")]
    pub async fn own() -> HttpResponse {
        visit::sign_in_first()
    }
}

#[scope("/inside")]
#[session_policy(login_url = "/in/module")]
mod inside {
    use actix_web::{HttpResponse, get, route};
    use session_expire::session_policy;

    use super::visit;

    #[route("/page", method = "GET", method = "POST")]
    pub async fn page() -> HttpResponse {
        visit::sign_in_first()
    }

    #[get("/own")]
    #[session_policy(login_url = "/in/handler")]
    pub async fn own() -> HttpResponse {
        visit::sign_in_first()
    }
}

#[actix_web::main]
async fn main() {
    let site = |site: &mut web::ServiceConfig| {
        site.service((outside::page, outside::own, inside::page, inside::own));
    };
    let expected = [
        ("GET /outside/page", "/in/module"),
        ("GET /outside/own", "/in/handler"),
        ("POST /outside/own", "/in/handler"),
        ("POST /inside/page", "/in/module"),
        ("GET /inside/own", "/in/handler"),
    ];
    visit::expect(site, &expected).await;
}
