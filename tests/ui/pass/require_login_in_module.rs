use actix_web::web;
use session_expire::session_policy;

use crate::login_page;

#[session_policy(require_login, idle = "5m", warn = "2m", login_url = "/in")]
mod pages {
    use actix_web::{HttpResponse, get, routes};
    use session_expire::{SessionHandle, session_policy, session_policy as renamed};

    use super::login_page::ok_if_open;

    #[get("/closed")]
    pub async fn closed(handle: SessionHandle) -> HttpResponse {
        ok_if_open(&handle)
    }

    #[session_policy(idle = "1m")]
    #[get("/stricter")]
    pub async fn stricter(handle: SessionHandle) -> HttpResponse {
        ok_if_open(&handle)
    }

    #[session_policy(require_login = false)]
    #[get("/above")]
    pub async fn above(handle: SessionHandle) -> HttpResponse {
        ok_if_open(&handle)
    }

    #[renamed(require_login = false)]
    #[get("/renamed")]
    pub async fn renamed_above(handle: SessionHandle) -> HttpResponse {
        ok_if_open(&handle)
    }

    #[get("/below")]
    #[session_policy(require_login = false)]
    pub async fn below(handle: SessionHandle) -> HttpResponse {
        ok_if_open(&handle)
    }

    #[routes]
    #[get("/between")]
    #[session_policy(require_login = false)]
    #[post("/between")]
    pub async fn between(handle: SessionHandle) -> HttpResponse {
        ok_if_open(&handle)
    }

    #[cfg_attr(all(), get("/conditional"), session_policy(require_login = false))]
    pub async fn conditional(handle: SessionHandle) -> HttpResponse {
        ok_if_open(&handle)
    }

    #[session_policy(require_login = false)]
    pub mod open {
        use actix_web::{HttpResponse, get};
        use session_expire::{SessionHandle, session_policy};

        use crate::login_page::ok_if_open;

        #[get("/open")]
        pub async fn open(handle: SessionHandle) -> HttpResponse {
            ok_if_open(&handle)
        }

        #[get("/closed-again")]
        #[session_policy(require_login)]
        pub async fn closed_again(handle: SessionHandle) -> HttpResponse {
            ok_if_open(&handle)
        }
    }

    pub mod deeper {
        use actix_web::{HttpResponse, get};
        use session_expire::{SessionHandle, session_policy};

        use crate::login_page::ok_if_open;

        #[session_policy(require_login = false)]
        #[get("/deeper")]
        pub async fn page(handle: SessionHandle) -> HttpResponse {
            ok_if_open(&handle)
        }
    }
}

#[actix_web::test]
async fn handlers_in_a_module_can_undo_require_login() {
    use pages::{deeper, open};
    let site = |site: &mut web::ServiceConfig| {
        site.service((pages::closed, pages::stricter, pages::above, pages::renamed_above))
            .service((pages::below, pages::between, pages::conditional))
            .service((open::open, open::closed_again, deeper::page));
    };
    let expected = [
        ("GET /closed", "/in"),
        ("GET /stricter", "/in"),
        ("GET /above", login_page::OPEN),
        ("GET /renamed", login_page::OPEN),
        ("GET /below", login_page::OPEN),
        ("GET /between", login_page::OPEN),
        ("POST /between", login_page::OPEN),
        ("GET /conditional", login_page::OPEN),
        ("GET /open", login_page::OPEN),
        ("GET /closed-again", "/in"),
        ("GET /deeper", login_page::OPEN),
    ];
    login_page::assert_redirects(site, &expected).await;
}
