use actix_web::{HttpResponse, get, web};
use session_expire::session_policy;

use crate::login_page;

#[session_policy(
    idle = "1m",
    absolute = "1d2h3m4s5ms",
    warn = "250ms",
    max_sessions = 0,
    overflow = "evict",
    passive,
    message = "Say \"hello\" \\ {again} \n é",
    login_url = "/in/all?from=//here",
    require_login
)]
#[get("/all")]
async fn all() -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(
    idle = "never",
    absolute = "never",
    warn = "never",
    max_sessions = "unlimited",
    overflow = "least-recent",
    passive = false,
    message = "",
    login_url = "/in/off",
    require_login = false
)]
#[get("/off")]
async fn off() -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(
    max_sessions = "unlimited",
    overflow = "least_recent",
    passive = true,
    login_url = "/in/zero",
    require_login = true
)]
async fn zero() -> HttpResponse {
    login_page::unauthorized()
}

#[get("/refuse")]
#[session_policy(overflow = "refuse", login_url = r"/in/refuse")]
async fn refuse() -> HttpResponse {
    login_page::unauthorized()
}

#[session_policy(max_sessions = 1, login_url = "/in/one")]
#[get("/one")]
async fn one() -> HttpResponse {
    login_page::unauthorized()
}

#[actix_web::test]
async fn all_keys_and_spellings_compile() {
    let site = |site: &mut web::ServiceConfig| {
        site.service((all, off, refuse, one)).route("/zero", web::get().to(zero));
    };
    let expected = [
        ("GET /all", "/in/all?from=//here"),
        ("GET /off", "/in/off"),
        ("GET /zero", "/in/zero"),
        ("GET /refuse", "/in/refuse"),
        ("GET /one", "/in/one"),
    ];
    login_page::assert_redirects(site, &expected).await;
}
