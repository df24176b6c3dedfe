#![deny(warnings)]

#[path = "../visit.rs"]
mod visit;

use actix_web::web;
use session_expire::session_policy;

#[session_policy(login_url = "/in/module")]
mod pages {
    use actix_web::{HttpResponse, get, post};
    use session_expire::session_policy;

    use super::visit;

    #[get("/inherits")]
    pub async fn inherits() -> HttpResponse {
        answer().await
    }

    #[session_policy(login_url = "/in/above")]
    #[get("/above")]
    pub async fn above() -> HttpResponse {
        answer().await
    }

    #[post("/below")]
    #[session_policy(login_url = "/in/below")]
    pub async fn below() -> HttpResponse {
        answer().await
    }

    #[cfg_attr(all(), get("/conditional"))]
    pub async fn conditional() -> HttpResponse {
        answer().await
    }

    pub mod deeper {
        use actix_web::{HttpResponse, get};

        #[get("/deeper")]
        pub async fn page() -> HttpResponse {
            super::answer().await
        }
    }

    #[session_policy(login_url = "/in/deeper-module")]
    pub mod stricter {
        use actix_web::{HttpResponse, get};
        use session_expire::session_policy;

        #[get("/stricter")]
        pub async fn page() -> HttpResponse {
            super::answer().await
        }

        #[session_policy(login_url = "/in/deepest")]
        #[actix_web::get("/deepest")]
        pub async fn deepest() -> HttpResponse {
            super::answer().await
        }
    }

    async fn answer() -> HttpResponse {
        visit::sign_in_first()
    }
}

#[actix_web::main]
async fn main() {
    let site =
        |site: &mut web::ServiceConfig| {
            site.service((pages::inherits, pages::above, pages::below, pages::conditional))
                .service((pages::deeper::page, pages::stricter::page, pages::stricter::deepest));
        };
    let expected = [
        ("GET /inherits", "/in/module"),
        ("GET /above", "/in/above"),
        ("POST /below", "/in/below"),
        ("GET /conditional", "/in/module"),
        ("GET /deeper", "/in/module"),
        ("GET /stricter", "/in/deeper-module"),
        ("GET /deepest", "/in/deepest"),
    ];
    visit::expect(site, &expected).await;
}
