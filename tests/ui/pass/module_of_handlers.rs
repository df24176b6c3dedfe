use actix_web::web;
use session_expire::session_policy;

use crate::login_page;

#[session_policy(login_url = "/in/module")]
mod pages {
    use actix_web::{HttpResponse, get, post};
    use session_expire::session_policy;

    use crate::login_page;

    #[get("/inherits")]
    pub async fn inherits() -> HttpResponse {
        unauthorized().await
    }

    #[session_policy(login_url = "/in/above")]
    #[get("/above")]
    pub async fn above() -> HttpResponse {
        unauthorized().await
    }

    #[post("/below")]
    #[session_policy(login_url = "/in/below")]
    pub async fn below() -> HttpResponse {
        unauthorized().await
    }

    #[cfg_attr(all(), get("/conditional"))]
    pub async fn conditional() -> HttpResponse {
        unauthorized().await
    }

    pub mod deeper {
        use actix_web::{HttpResponse, get};

        #[get("/deeper")]
        pub async fn page() -> HttpResponse {
            super::unauthorized().await
        }
    }

    #[session_policy(login_url = "/in/deeper-module")]
    pub mod stricter {
        use actix_web::{HttpResponse, get};
        use session_expire::session_policy;

        #[get("/stricter")]
        pub async fn page() -> HttpResponse {
            super::unauthorized().await
        }

        #[session_policy(login_url = "/in/deepest")]
        #[actix_web::get("/deepest")]
        pub async fn deepest() -> HttpResponse {
            super::unauthorized().await
        }
    }

    async fn unauthorized() -> HttpResponse {
        login_page::unauthorized()
    }
}

#[actix_web::test]
async fn module_policy_reaches_handlers_that_set_none() {
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
    login_page::assert_redirects(site, &expected).await;
}
