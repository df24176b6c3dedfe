use actix_web::{scope, web};
use session_expire::session_policy;

use crate::login_page;

#[session_policy(login_url = "/in/module")]
#[scope("/outside")]
mod outside {
    use actix_web::{HttpResponse, get, routes};
    use session_expire::session_policy;

    use crate::login_page;

    #[get("/page")]
    pub async fn page() -> HttpResponse {
        login_page::unauthorized()
    }

    #[session_policy(login_url = "/in/handler")]
    #[routes]
    #[get("/own")]
    #[post("/own")]
    pub async fn own() -> HttpResponse {
        login_page::unauthorized()
    }
}

#[scope("/inside")]
#[session_policy(login_url = "/in/module")]
mod inside {
    use actix_web::{HttpResponse, get, route};
    use session_expire::session_policy;

    use crate::login_page;

    #[route("/page", method = "GET", method = "POST")]
    pub async fn page() -> HttpResponse {
        login_page::unauthorized()
    }

    #[get("/own")]
    #[session_policy(login_url = "/in/handler")]
    pub async fn own() -> HttpResponse {
        login_page::unauthorized()
    }
}

#[actix_web::test]
async fn module_policy_works_with_a_scope_attribute() {
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
    login_page::assert_redirects(site, &expected).await;
}
