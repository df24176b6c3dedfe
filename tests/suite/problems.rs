//! What goes wrong is told to people as a page, and to programs as a problem; once, and by whom it is for.

use actix_web::{
    App, HttpResponse,
    body::MessageBody,
    dev::ServiceResponse,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderValue},
    },
    middleware::{ErrorHandlerResponse, ErrorHandlers},
    web,
};
use session_expire::{
    ManualClock, Overflow, Policy, RegistryError, SessionExpire, SessionHandle, Sessions,
    SignInError,
};
use session_expire_tests::{Probe, Site, SiteBuilder, serve};

async fn as_bob(session: SessionHandle) -> Result<HttpResponse, SignInError> {
    session.sign_in("bob").await?;
    Ok(HttpResponse::Ok().finish())
}

fn own_page<B: MessageBody + 'static>(
    res: ServiceResponse<B>,
) -> actix_web::Result<ErrorHandlerResponse<B>> {
    let mut page = res.map_body(|_, _| "<h1>Our own page</h1>").map_into_boxed_body();
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    Ok(ErrorHandlerResponse::Response(page.map_into_right_body()))
}

fn with_one_place() -> SiteBuilder {
    let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
    Site::builder().policy(policy).routes(|cfg| {
        let pages = ErrorHandlers::new().handler(StatusCode::CONFLICT, own_page);
        let own = web::scope("/own").wrap(pages).route("/bob", web::post().to(as_bob));
        cfg.service(own).route("/bob", web::post().to(as_bob));
    })
}

#[test]
fn a_person_reads_a_page_whether_they_are_signed_in_or_not() {
    let site = with_one_place().start();
    let _bob = site.signed_in("bob");
    for browser in [site.browser(), site.signed_in("alice")] {
        let page = browser.post("/bob", "");
        assert_eq!((page.status, page.header("cache-control")), (409, "no-store"));
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let script = browser.request("POST", "/bob").script().send();
        assert_eq!(script.header("content-type"), "application/problem+json");
    }
}

#[test]
fn a_page_that_the_application_has_put_there_stays() {
    let site = with_one_place().start();
    let _bob = site.signed_in("bob");
    assert_eq!(site.browser().post("/own/bob", "").body, "<h1>Our own page</h1>");
}

/// Asks the registry without a look at the session of the request.
async fn count(sessions: web::Data<Sessions>) -> Result<String, RegistryError> {
    Ok(sessions.live("alice").await?.len().to_string())
}

#[test]
fn outage_is_a_page_for_a_visitor_without_cookies() {
    let clock = ManualClock::default();
    let registry = Probe::default();
    let expire = SessionExpire::builder(Policy::new()).plain_http(true).clock(clock);
    let expire = expire.registry(registry.clone()).build().unwrap();
    let server = serve!(
        App::new()
            .app_data(web::Data::new(expire.sessions()))
            .route("/count", web::get().to(count))
            .wrap(expire.clone())
    );
    assert_eq!(server.browser().get("/count").body, "0");
    registry.set_down(true);
    let page = server.browser().get("/count");
    assert_eq!((page.status, page.header("content-type")), (503, "text/html; charset=utf-8"));
    let problem = server.browser().fetch("/count");
    assert_eq!(problem.header("content-type"), "application/problem+json");
}
