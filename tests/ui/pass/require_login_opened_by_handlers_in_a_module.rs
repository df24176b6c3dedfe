#![deny(warnings)]

#[path = "../visit.rs"]
mod visit;

use actix_web::web;
use session_expire::session_policy;

#[session_policy(require_login, idle = "5m", warn = "2m", login_url = "/in")]
mod pages {
    use actix_web::{HttpResponse, get, routes};
    use session_expire::{SessionHandle, session_policy, session_policy as renamed};

    use super::visit::answer_if_open;

    #[get("/closed")]
    pub async fn closed(handle: SessionHandle) -> HttpResponse {
        answer_if_open(&handle)
    }

    #[session_policy(idle = "1m")]
    #[get("/stricter")]
    pub async fn stricter(handle: SessionHandle) -> HttpResponse {
        answer_if_open(&handle)
    }

    #[session_policy(require_login = false)]
    #[get("/above")]
    pub async fn above(handle: SessionHandle) -> HttpResponse {
        answer_if_open(&handle)
    }

    #[renamed(require_login = false)]
    #[get("/renamed")]
    pub async fn renamed_above(handle: SessionHandle) -> HttpResponse {
        answer_if_open(&handle)
    }

    #[get("/below")]
    #[session_policy(require_login = false)]
    pub async fn below(handle: SessionHandle) -> HttpResponse {
        answer_if_open(&handle)
    }

    #[routes]
    #[get("/between")]
    #[session_policy(require_login = false)]
    #[post("/between")]
    pub async fn between(handle: SessionHandle) -> HttpResponse {
        answer_if_open(&handle)
    }

    #[cfg_attr(all(), get("/conditional"), session_policy(require_login = false))]
    pub async fn conditional(handle: SessionHandle) -> HttpResponse {
        answer_if_open(&handle)
    }

    #[session_policy(require_login = false)]
    pub mod open {
        use actix_web::{HttpResponse, get};
        use session_expire::{SessionHandle, session_policy};

        use super::answer_if_open;

        #[get("/open")]
        pub async fn open(handle: SessionHandle) -> HttpResponse {
            answer_if_open(&handle)
        }

        #[get("/closed-again")]
        #[session_policy(require_login)]
        pub async fn closed_again(handle: SessionHandle) -> HttpResponse {
            answer_if_open(&handle)
        }
    }

    pub mod deeper {
        use actix_web::{HttpResponse, get};
        use session_expire::{SessionHandle, session_policy};

        use super::answer_if_open;

        #[session_policy(require_login = false)]
        #[get("/deeper")]
        pub async fn page(handle: SessionHandle) -> HttpResponse {
            answer_if_open(&handle)
        }
    }
}

#[actix_web::main]
async fn main() {
    use pages::{deeper, open};
    let site = |site: &mut web::ServiceConfig| {
        site.service((pages::closed, pages::stricter, pages::above, pages::renamed_above))
            .service((pages::below, pages::between, pages::conditional))
            .service((open::open, open::closed_again, deeper::page));
    };
    let expected = [
        ("GET /closed", "/in"),
        ("GET /stricter", "/in"),
        ("GET /above", visit::OPEN),
        ("GET /renamed", visit::OPEN),
        ("GET /below", visit::OPEN),
        ("GET /between", visit::OPEN),
        ("POST /between", visit::OPEN),
        ("GET /conditional", visit::OPEN),
        ("GET /open", visit::OPEN),
        ("GET /closed-again", "/in"),
        ("GET /deeper", visit::OPEN),
    ];
    visit::expect(site, &expected).await;
}
