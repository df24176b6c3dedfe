use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpResponse, get, web};
use session_expire::session_policy;

use crate::login_page;

/// Middleware that responds in place of the handler. Only a policy outside of it has been applied.
async fn close(req: ServiceRequest, _: Next<impl MessageBody>) -> Result<ServiceResponse, Error> {
    Ok(req.into_response(login_page::unauthorized()))
}

#[session_policy(login_url = "/in/handler")]
#[get("/handler", wrap = "from_fn(close)")]
async fn handler() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[session_policy(login_url = "/in/module")]
mod pages {
    use super::*;

    #[session_policy(login_url = "/in/in-module")]
    #[get("/in-module", wrap = "from_fn(close)")]
    pub async fn page() -> HttpResponse {
        HttpResponse::Ok().finish()
    }
}

#[actix_web::test]
async fn policy_is_checked_before_wraps_of_the_handler() {
    let site = |site: &mut web::ServiceConfig| {
        site.service(handler).service(pages::page);
    };
    let expected = [("GET /handler", "/in/handler"), ("GET /in-module", "/in/in-module")];
    login_page::assert_redirects(site, &expected).await;
}
