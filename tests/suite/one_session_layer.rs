//! A second session layer next to the middleware, a frequent mistake in a migration.
//!
//! No handler may see a user that the session record does not name.

use std::collections::BTreeMap;

use actix_identity::{Identity, IdentityMiddleware};
use actix_session::{Session, SessionMiddleware, storage::CookieSessionStore};
use actix_web::{
    App, Error, HttpMessage, HttpRequest, HttpResponse,
    body::MessageBody,
    cookie::{Cookie, Key},
    dev::{Service, ServiceResponse},
    http::{Method, StatusCode},
    test::{TestRequest, init_service},
    web,
};
use session_expire::{
    FlashMessages, Policy, PolicyPatch, SessionExpire, SessionHandle, SessionVars, SignInError,
    clock::ManualClock, minutes,
};
use session_expire_tests::Site;

fn expire(clock: &ManualClock) -> SessionExpire {
    let builder = SessionExpire::builder(Policy::new().idle(minutes(10)));
    builder.clock(clock.clone()).plain_http(true).build().unwrap()
}

fn sessions(cookie: &str) -> SessionMiddleware<CookieSessionStore> {
    SessionMiddleware::builder(CookieSessionStore::default(), Key::from(&[7; 64]))
        .cookie_secure(false)
        .cookie_name(cookie.to_owned())
        .build()
}

async fn login(req: HttpRequest) -> HttpResponse {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    HttpResponse::Ok().finish()
}

async fn sign_in(session: SessionHandle) -> Result<HttpResponse, SignInError> {
    session.sign_in("alice").await?;
    Ok(HttpResponse::Ok().finish())
}

async fn renew(session: Session) -> HttpResponse {
    session.renew();
    HttpResponse::Ok().finish()
}

async fn whoami(user: Option<Identity>) -> String {
    user.and_then(|user| user.id().ok()).unwrap_or_else(|| "anonymous".to_owned())
}

async fn logout(user: Identity) -> HttpResponse {
    user.logout();
    HttpResponse::Ok().finish()
}

fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/login", web::to(login))
        .route("/sign-in", web::to(sign_in))
        .route("/renew", web::to(renew))
        .route("/whoami", web::to(whoami))
        .route("/logout", web::post().to(logout));
}

/// Client of an application without a server.
struct Client<S> {
    app: S,
    cookies: BTreeMap<String, String>,
}

impl<S, B> Client<S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    async fn send(&mut self, method: Method, path: &str) -> (StatusCode, String) {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        let request = TestRequest::with_uri(path).method(method).insert_header(("cookie", cookies));
        let response = self.app.call(request.to_request()).await.unwrap();
        for cookie in response.response().cookies() {
            if cookie.max_age().is_some_and(|age| age.is_zero()) {
                self.cookies.remove(cookie.name());
            } else {
                self.cookies.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
        let status = response.status();
        let body = actix_web::body::to_bytes(response.into_body()).await.ok().unwrap_or_default();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn whoami(&mut self) -> (StatusCode, String) {
        self.send(Method::GET, "/whoami").await
    }
}

macro_rules! client {
    ($app:expr) => {
        Client { app: init_service($app.configure(routes)).await, cookies: BTreeMap::new() }
    };
}

const BROKEN: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

/// Signs in, expires and signs out. No response may show the user.
macro_rules! assert_user_is_never_shown {
    ($app:expr, $clock:expr, $what:expr) => {
        for (method, path) in [
            (Method::POST, "/login"),
            (Method::GET, "/login"),
            (Method::POST, "/sign-in"),
            (Method::GET, "/sign-in"),
        ] {
            let mut client = client!($app);
            for round in 0..3 {
                client.send(method.clone(), path).await;
                let (status, body) = client.whoami().await;
                let case = format!("{}, {method} {path}, round {round}: {status}", $what);
                assert!(!body.contains("alice"), "{case}");
                $clock.advance(minutes(10));
                assert!(!client.whoami().await.1.contains("alice"), "expired, {case}");
                client.send(Method::POST, "/logout").await;
                assert!(!client.whoami().await.1.contains("alice"), "signed out, {case}");
            }
        }
    };
}

#[actix_web::test]
async fn inner_session_layer_signs_no_user_in() {
    let clock = ManualClock::default();
    for cookie in ["id", "old"] {
        let app = || App::new().wrap(sessions(cookie)).wrap(expire(&clock));
        assert_user_is_never_shown!(app(), clock, format!("session layer inside, {cookie}"));
        let app = || {
            let identity = IdentityMiddleware::default();
            App::new().wrap(identity).wrap(sessions(cookie)).wrap(expire(&clock))
        };
        assert_user_is_never_shown!(app(), clock, format!("both layers inside, {cookie}"));
    }
}

#[actix_web::test]
async fn outer_session_layer_signs_no_user_in() {
    let clock = ManualClock::default();
    for cookie in ["id", "old"] {
        let app = || App::new().wrap(expire(&clock)).wrap(sessions(cookie));
        assert_user_is_never_shown!(app(), clock, format!("session layer outside, {cookie}"));
        let app = || {
            let identity = IdentityMiddleware::default();
            App::new().wrap(expire(&clock)).wrap(identity).wrap(sessions(cookie))
        };
        assert_user_is_never_shown!(app(), clock, format!("both layers outside, {cookie}"));
    }
}

#[actix_web::test]
async fn first_login_with_inner_session_layer_is_an_error() {
    let clock = ManualClock::default();
    for (method, path) in [(Method::POST, "/login"), (Method::GET, "/login")] {
        let mut client = client!(App::new().wrap(sessions("old")).wrap(expire(&clock)));
        assert_eq!(client.send(method, path).await.0, BROKEN);
        assert!(client.cookies.is_empty(), "{:?}", client.cookies);
    }
}

#[actix_web::test]
async fn second_identity_layer_changes_nothing() {
    let clock = ManualClock::default();
    let inside = App::new().wrap(IdentityMiddleware::default()).wrap(expire(&clock));
    let mut client = client!(inside);
    client.send(Method::POST, "/login").await;
    assert_eq!(client.whoami().await.1, "alice");
    client.send(Method::POST, "/logout").await;
    assert_eq!(client.whoami().await.1, "anonymous");
    let outside = App::new().wrap(expire(&clock)).wrap(IdentityMiddleware::default());
    let mut client = client!(outside);
    client.send(Method::GET, "/login").await;
    assert_eq!(client.whoami().await.1, "alice");
    clock.advance(minutes(10));
    assert_eq!(client.whoami().await.1, "anonymous");
}

#[actix_web::test]
async fn renewal_of_an_empty_session_is_no_error() {
    let clock = ManualClock::default();
    let mut client = client!(App::new().wrap(expire(&clock)));
    for method in [Method::GET, Method::POST, Method::GET] {
        assert_eq!(client.send(method, "/renew").await.0, StatusCode::OK);
    }
    client.send(Method::GET, "/login").await;
    assert_eq!(client.whoami().await.1, "alice");
}

fn cookie_setters(cfg: &mut web::ServiceConfig) {
    let respond = || HttpResponse::Ok().cookie(Cookie::new("lang", "de")).finish();
    let removes = move |session: Session| async move {
        session.remove("error");
        respond()
    };
    let renews = move |session: Session| async move {
        session.renew();
        respond()
    };
    cfg.route("/removes", web::get().to(removes)).route("/renews", web::get().to(renews));
}

#[test]
fn cookie_set_by_a_page_is_no_error() {
    for path in ["/removes", "/renews"] {
        let site = Site::builder().routes(cookie_setters).start();
        assert_eq!(site.browser().get(path).status, 200, "{path}");
    }
}

#[test]
fn cookie_set_by_a_page_in_an_outage_is_no_error() {
    for path in ["/removes", "/renews"] {
        let site = Site::builder().routes(cookie_setters).start();
        let alice = site.signed_in("alice");
        site.registry.set_down(true);
        assert_ne!(alice.get(path).status, 500, "{path}");
    }
}

#[actix_web::test]
async fn middleware_inside_itself_is_an_error() {
    let clock = ManualClock::default();
    let mut client = client!(App::new().wrap(expire(&clock)).wrap(expire(&clock)));
    assert_eq!(client.whoami().await.0, BROKEN);
}

#[actix_web::test]
async fn policy_or_extractor_without_the_middleware_is_an_error() {
    let app = App::new()
        .service(web::resource("/patch").wrap(PolicyPatch::new()).to(HttpResponse::Ok))
        .route("/vars", web::get().to(|_: SessionVars| async { HttpResponse::Ok().finish() }))
        .route(
            "/messages",
            web::get().to(|_: FlashMessages| async { HttpResponse::Ok().finish() }),
        );
    let mut client = client!(app);
    for path in ["/patch", "/vars", "/messages"] {
        let (status, body) = client.send(Method::GET, path).await;
        assert_eq!(status, BROKEN, "{path}");
        assert!(!body.contains("wrap"), "details belong in the log: {body}");
    }
}
