use actix_web::{HttpResponse, Resource, Scope, dev::HttpServiceFactory, get, web};
use session_expire::session_policy;

use crate::login_page;

#[get("/page")]
async fn page() -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(login_url = "/in/handler")]
#[get("/own")]
async fn own() -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(login_url = "/in/opaque")]
fn opaque() -> impl HttpServiceFactory {
    web::scope("/opaque").service(page).service(own)
}

#[session_policy(login_url = "/in/early")]
fn early(stop: bool) -> Scope {
    if stop {
        return web::scope("/early").service(page);
    }
    web::scope("/late")
}

#[session_policy(login_url = "/in/generic")]
fn generic<'a, T>(path: &'a str, mut name: T) -> impl HttpServiceFactory + use<T>
where
    T: FnMut(&'a str) -> String,
{
    let path = name(path);
    web::scope(&path).service(page)
}

#[session_policy(login_url = "/in/fallible")]
fn fallible(number: &str) -> Result<impl HttpServiceFactory + use<>, std::num::ParseIntError> {
    let number: u32 = number.parse()?;
    Ok(web::scope(&format!("/{number}")).service(page))
}

#[session_policy(login_url = "/in/slow")]
async fn slow(path: String) -> impl HttpServiceFactory {
    let path = std::future::ready(path).await;
    web::scope(&path).service(page)
}

struct Site;

impl Site {
    #[session_policy(login_url = "/in/associated")]
    fn associated() -> Scope {
        web::scope("/associated").service(page)
    }
}

#[actix_web::test]
async fn returned_scope_gets_the_policy() {
    assert!(fallible("seven").is_err());
    let slow = slow("/slow".to_owned()).await;
    let site = |site: &mut web::ServiceConfig| {
        site.service((opaque(), early(true), generic("/gen", |path| format!("{path}eric"))))
            .service((
                fallible("7").ok().into_iter().collect::<Vec<_>>(),
                slow,
                Site::associated(),
            ));
    };
    let expected = [
        ("GET /opaque/page", "/in/opaque"),
        ("GET /opaque/own", "/in/handler"),
        ("GET /early/page", "/in/early"),
        ("GET /generic/page", "/in/generic"),
        ("GET /7/page", "/in/fallible"),
        ("GET /slow/page", "/in/slow"),
        ("GET /associated/page", "/in/associated"),
    ];
    login_page::assert_redirects(site, &expected).await;
}

async fn resource_page() -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(login_url = "/in/named")]
fn named_resource() -> Resource {
    web::resource("/named").route(web::get().to(resource_page)).route(web::post().to(resource_page))
}

#[session_policy(login_url = "/in/opaque")]
fn opaque_resource() -> impl HttpServiceFactory {
    web::resource(["/one", "/two"]).to(resource_page)
}

#[actix_web::test]
async fn returned_resource_gets_the_policy() {
    let site = |site: &mut web::ServiceConfig| {
        site.service(named_resource()).service(opaque_resource());
    };
    let expected = [
        ("GET /named", "/in/named"),
        ("POST /named", "/in/named"),
        ("GET /one", "/in/opaque"),
        ("GET /two", "/in/opaque"),
    ];
    login_page::assert_redirects(site, &expected).await;
}
