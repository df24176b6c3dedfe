//! Error responses: a page for a browser, a problem document for a client.

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
    Overflow, Policy, SessionExpire, SessionHandle, Sessions, SignInError, clock::ManualClock,
    error::RegistryError,
};
use session_expire_tests::{Site, SiteBuilder, TestRegistry, TestResponse, serve};

async fn sign_in_bob(session: SessionHandle) -> Result<HttpResponse, SignInError> {
    session.sign_in("bob").await?;
    Ok(HttpResponse::Ok().finish())
}

fn own_page<B: MessageBody + 'static>(
    res: ServiceResponse<B>,
) -> actix_web::Result<ErrorHandlerResponse<B>> {
    let mut page = res.map_body(|_, _| "<h1>Application page</h1>").map_into_boxed_body();
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    Ok(ErrorHandlerResponse::Response(page.map_into_right_body()))
}

fn one_session() -> SiteBuilder {
    let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
    Site::builder().policy(policy).routes(|cfg| {
        let pages = ErrorHandlers::new().handler(StatusCode::CONFLICT, own_page);
        let own = web::scope("/own").wrap(pages).route("/bob", web::post().to(sign_in_bob));
        cfg.service(own).route("/bob", web::post().to(sign_in_bob));
    })
}

#[test]
fn refused_login_is_page_or_problem() {
    let site = one_session().start();
    let _bob = site.signed_in("bob");
    for browser in [site.browser(), site.signed_in("alice")] {
        let page = browser.post("/bob", "");
        assert_eq!((page.status, page.header("cache-control")), (409, "no-store"));
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let script = browser.request("POST", "/bob").script().send();
        let is_problem = script.header("content-type") == "application/problem+json";
        assert!(script.status == 409 && is_problem, "{script:?}");
    }
}

#[test]
fn error_page_of_the_application_is_kept() {
    let site = one_session().start();
    let _bob = site.signed_in("bob");
    assert_eq!(site.browser().post("/own/bob", "").body, "<h1>Application page</h1>");
}

/// Uses the registry, but not the session of the request.
async fn count(sessions: web::Data<Sessions>) -> Result<String, RegistryError> {
    Ok(sessions.list_active("alice").await?.len().to_string())
}

#[test]
fn outage_is_page_or_problem_for_a_visitor() {
    let clock = ManualClock::default();
    let registry = TestRegistry::default();
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

fn assert_unavailable(response: &TestResponse) {
    assert_eq!((response.status, response.header("retry-after")), (503, "5"), "{response:?}");
    assert!(response.cookies().is_empty(), "{response:?}");
    assert!(!format!("{response:?}").contains("secret cause"), "{response:?}");
}

#[test]
fn outage_is_page_or_problem_for_a_user() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    for page in [
        alice.get("/private"),
        site.browser().post("/login", "user=bob"),
        alice.post("/session/logout", ""),
    ] {
        assert_unavailable(&page);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.body.contains("<h1>Your session could not be checked</h1>"), "{page:?}");
    }
    let logout = alice.post("/sign-out", "");
    assert_eq!((logout.status, logout.header("location")), (503, ""), "no redirect");
    let logout = alice.request("POST", "/session/logout").script().header("hx-request", "true");
    let logout = logout.send();
    assert_eq!((logout.status, logout.header("hx-redirect")), (503, ""), "no redirect for htmx");
    assert_eq!(alice.fetch("/private").header("content-type"), "application/problem+json");
}

#[test]
fn outage_page_links_to_where_the_request_began() {
    let site = Site::start();
    let alice = site.signed_in("alice");
    site.registry.set_down(true);
    assert!(alice.get("/private").body.contains("<a href=\"\">Try again</a>"));
    let logout = || alice.request("POST", "/session/logout");
    let from_a_page = logout().header("referer", &format!("{}/account?tab=2", alice.base()));
    assert!(from_a_page.send().body.contains("<a href=\"/account?tab=2\">Try again</a>"));
    assert!(!logout().send().body.contains("<a "), "the endpoint has no page to return to");
}
