//! Layers in the wrong order are noticed, loudly; nothing is ever open in silence.

use std::sync::mpsc;

use actix_identity::{Identity, IdentityMiddleware};
use actix_session::{SessionMiddleware, storage::CookieSessionStore};
use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse,
    cookie::Key,
    http::StatusCode,
    test::{TestRequest, call_service, init_service},
    web,
};
use session_expire::{
    ActivityUpdate, EndTarget, Ended, FlashMessages, Loaded, LoginOutcome, NewLogin, Policy,
    PolicyPatch, Query, RecordKey, Registry, RegistryFuture, SessionExpire, SessionLimit,
    SessionRecord, SessionVars,
};

fn expire() -> SessionExpire {
    SessionExpire::builder(Policy::new()).build().unwrap()
}

fn sessions() -> SessionMiddleware<CookieSessionStore> {
    SessionMiddleware::new(CookieSessionStore::default(), Key::from(&[7; 64]))
}

async fn login(req: HttpRequest) -> HttpResponse {
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    HttpResponse::Ok().finish()
}

/// The answers of an app to `GET /` and two logins; none at all when it doesn't even start.
macro_rules! answers_of {
    ($app:expr) => {{
        let (tell, told) = mpsc::channel();
        let run = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = $app
                    .route("/", web::get().to(HttpResponse::Ok))
                    .route("/login", web::get().to(login));
                let app = init_service(app).await;
                for path in ["/", "/login", "/login"] {
                    let answer = call_service(&app, TestRequest::with_uri(path).to_request()).await;
                    tell.send(answer.status()).unwrap();
                }
            });
        });
        drop(run.join());
        told.try_iter().collect::<Vec<StatusCode>>()
    }};
}

const FINE: StatusCode = StatusCode::OK;
const BROKEN: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

#[test]
fn the_right_order_works() {
    let app = || App::new().wrap(expire()).wrap(IdentityMiddleware::default()).wrap(sessions());
    assert_eq!(answers_of!(app()), [FINE, FINE, FINE]);
}

#[test]
fn an_app_with_a_layer_inside_that_belongs_outside_does_not_start() {
    let app = || App::new().wrap(IdentityMiddleware::default()).wrap(expire()).wrap(sessions());
    assert!(answers_of!(app()).is_empty());
    let app = || App::new().wrap(sessions()).wrap(expire()).wrap(IdentityMiddleware::default());
    assert!(answers_of!(app()).is_empty());
    let app = || App::new().wrap(sessions()).wrap(IdentityMiddleware::default()).wrap(expire());
    assert!(answers_of!(app()).is_empty());
}

#[test]
fn without_the_identity_layer_every_answer_is_an_error() {
    let app = || App::new().wrap(expire()).wrap(sessions());
    assert_eq!(answers_of!(app())[0], BROKEN);
}

#[test]
fn without_the_session_layer_the_lost_login_is_noticed() {
    let app = || App::new().wrap(expire()).wrap(IdentityMiddleware::default());
    assert_eq!(answers_of!(app()), [FINE, FINE, BROKEN]);
}

#[test]
fn two_middlewares_around_one_handler_are_an_error() {
    let app = || {
        App::new()
            .wrap(expire())
            .wrap(expire())
            .wrap(IdentityMiddleware::default())
            .wrap(sessions())
    };
    assert_eq!(answers_of!(app())[0], BROKEN);
}

#[actix_web::test]
async fn a_policy_or_an_extractor_without_the_middleware_is_an_error_and_never_a_no_op() {
    let app = App::new()
        .service(web::resource("/patch").wrap(PolicyPatch::new()).to(HttpResponse::Ok))
        .route("/vars", web::get().to(|_: SessionVars| async { HttpResponse::Ok().finish() }))
        .route("/messages", web::get().to(|_: FlashMessages| async { HttpResponse::Ok().finish() }))
        .wrap(IdentityMiddleware::default())
        .wrap(sessions());
    let app = init_service(app).await;
    for path in ["/patch", "/vars", "/messages"] {
        let answer = call_service(&app, TestRequest::with_uri(path).to_request()).await;
        assert_eq!(answer.status(), BROKEN, "{path}");
        let body = actix_web::test::read_body(answer).await;
        assert!(
            !String::from_utf8_lossy(&body).contains("wrap"),
            "the cure is for the log: {body:?}"
        );
    }
}

#[actix_web::test]
async fn an_identity_under_another_key_is_found_or_refused() {
    let identity = || IdentityMiddleware::builder().id_key("user").build();
    for (expire, expected) in [
        (expire(), BROKEN),
        (SessionExpire::builder(Policy::new()).identity_key("user").build().unwrap(), FINE),
    ] {
        let app = App::new()
            .route("/login", web::get().to(login))
            .route("/", web::get().to(|_: Identity| async { HttpResponse::Ok().finish() }))
            .wrap(expire)
            .wrap(identity())
            .wrap(sessions());
        let app = init_service(app).await;
        let answer = call_service(&app, TestRequest::with_uri("/login").to_request()).await;
        let cookie = answer.response().cookies().next().map(|cookie| cookie.into_owned());
        let status = match cookie {
            None => answer.status(),
            Some(cookie) => {
                call_service(&app, TestRequest::with_uri("/").cookie(cookie).to_request())
                    .await
                    .status()
            }
        };
        assert_eq!(status, expected);
    }
}

#[test]
fn a_configuration_that_contradicts_itself_is_refused_with_its_cure() {
    use session_expire::minutes;
    for (result, words) in [
        (
            SessionExpire::builder(Policy::new().idle(minutes(1)).warn(minutes(1))).build(),
            "warn: 1m is not shorter than idle = 1m",
        ),
        (SessionExpire::builder(Policy::new().idle(minutes(0))).build(), "idle: zero"),
        (
            SessionExpire::builder(Policy::new().max_sessions(1)).registry(Uncounting).build(),
            "max_sessions: this registry cannot",
        ),
        (
            SessionExpire::builder(Policy::new().login_url("https://evil.example/")).build(),
            "login_url: ",
        ),
        (
            SessionExpire::builder(Policy::new()).endpoints_prefix("session/").build(),
            "endpoints_prefix: ",
        ),
        (SessionExpire::builder(Policy::new()).logout_url("//x").build(), "logout_url: "),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// A registry whose author has left counting out.
struct Uncounting;

impl Registry for Uncounting {
    fn login(&self, _: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        unreachable!()
    }

    fn load(&self, _: RecordKey) -> RegistryFuture<'_, Option<Loaded>> {
        unreachable!()
    }

    fn touch(&self, _: RecordKey, _: ActivityUpdate) -> RegistryFuture<'_, ()> {
        unreachable!()
    }

    fn end(&self, _: EndTarget, _: Ended) -> RegistryFuture<'_, Vec<SessionRecord>> {
        unreachable!()
    }

    fn make_room(
        &self,
        _: RecordKey,
        _: SessionLimit,
        _: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        unreachable!()
    }

    fn find(&self, _: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        unreachable!()
    }

    fn counts(&self) -> bool {
        false
    }
}

#[actix_web::test]
async fn a_handler_s_limit_that_nobody_enforces_is_an_error() {
    let app = App::new()
        .service(
            web::resource("/one").wrap(PolicyPatch::new().max_sessions(1)).to(HttpResponse::Ok),
        )
        .wrap(SessionExpire::builder(Policy::new()).registry(Uncounting).build().unwrap())
        .wrap(IdentityMiddleware::default())
        .wrap(sessions());
    let app = init_service(app).await;
    let answer = call_service(&app, TestRequest::with_uri("/one").to_request()).await;
    assert_eq!(answer.status(), BROKEN);
}
