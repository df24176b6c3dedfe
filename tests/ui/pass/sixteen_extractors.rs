#![allow(clippy::too_many_arguments)]

use actix_web::{
    HttpResponse,
    http::{Method, Uri},
    web,
};
use session_expire::session_policy;

use crate::login_page;

#[session_policy(login_url = "/in/15")]
#[rustfmt::skip]
async fn fifteen(
    method: Method, _: Uri, _: Uri, _: Uri, _: Uri, _: Uri, _: Uri, _: Uri,
    _: Uri, _: Uri, _: Uri, _: Uri, _: Uri, _: Uri, _: Uri,
) -> HttpResponse {
    assert_eq!(method, Method::GET);
    login_page::unauthorized()
}

#[session_policy(login_url = "/in/16")]
#[rustfmt::skip]
async fn sixteen(
    web::Query(query): web::Query<Vec<(String, u8)>>, _: Uri, _: Uri, _: Uri, _: Uri, _: Uri, _: Uri, _: Uri,
    _: Uri, _: Uri, _: Uri, _: Uri, _: Uri, _: Uri, _: Uri, method: Method,
) -> HttpResponse {
    assert_eq!(query, [("a".to_owned(), 1)]);
    assert_eq!(method, Method::GET);
    login_page::unauthorized()
}

#[actix_web::test]
async fn handler_with_sixteen_extractors_gets_the_policy() {
    let site = |site: &mut web::ServiceConfig| {
        site.route("/15", web::get().to(fifteen)).route("/16", web::get().to(sixteen));
    };
    login_page::assert_redirects(site, &[("GET /15", "/in/15"), ("GET /16?a=1", "/in/16")]).await;
}
