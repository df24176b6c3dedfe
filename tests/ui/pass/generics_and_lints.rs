#![deny(missing_docs, unreachable_pub, private_interfaces, non_camel_case_types)]

//! Generics, docs and lint attributes of handlers.

use actix_web::{FromRequest, HttpResponse, get, web};
use session_expire::session_policy;

use crate::login_page;

/// Documented.
#[session_policy(login_url = "/in/generic")]
#[must_use]
async fn generic<T>(_first: T, (_second, _third): (web::Bytes, Option<T>)) -> HttpResponse
where
    T: FromRequest + Clone + 'static,
{
    login_page::unauthorized()
}

#[session_policy(login_url = "/in/lints")]
#[expect(unused_variables)]
async fn lints(unused: web::Bytes) -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(login_url = "/in/match")]
#[get("/match")]
/// Documented below.
#[allow(unused_variables)]
async fn r#match(unused: web::Bytes) -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(login_url = "/in/type")]
async fn r#type(#[cfg(any())] gone: Gone, _body: web::Bytes) -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(login_url = "/in/gone")]
#[cfg(any())]
async fn gone(gone: Gone) -> HttpResponse {
    login_page::unauthorized()
}

macro_rules! page {
    ($name:ident, $path:literal, $login:literal) => {
        #[session_policy(login_url = $login)]
        #[get($path)]
        async fn $name() -> HttpResponse {
            login_page::unauthorized()
        }
    };
}

page!(by_macro, "/macro", "/in/macro");

#[actix_web::test]
async fn generics_docs_and_lints_of_handlers_stay() {
    let site = |site: &mut web::ServiceConfig| {
        site.route("/generic", web::get().to(generic::<web::Bytes>))
            .route("/lints", web::get().to(lints))
            .route("/type", web::get().to(r#type))
            .service(r#match)
            .service(by_macro);
    };
    let expected = [
        ("GET /generic", "/in/generic"),
        ("GET /lints", "/in/lints"),
        ("GET /type", "/in/type"),
        ("GET /match", "/in/match"),
        ("GET /macro", "/in/macro"),
    ];
    login_page::assert_redirects(site, &expected).await;
}
