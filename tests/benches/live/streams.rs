//! Site without a network socket, its logins, and streams of their sessions.

use std::sync::{Mutex, PoisonError};

use actix_web::{
    App, Error, HttpResponse,
    body::MessageBody,
    cookie::Key,
    dev::{Service, ServiceResponse},
    test::{TestRequest, init_service},
    web,
};
use session_expire::{
    Limit, Policy, SessionExpire, SessionHandle, SignInError, hours, live::SessionEnd,
    registry::Registry,
};

/// Ends of the sessions that the handler watches.
static WATCHED: Mutex<Vec<SessionEnd>> = Mutex::new(vec![]);

async fn sign_in(
    session: SessionHandle,
    user: web::Path<String>,
) -> Result<HttpResponse, SignInError> {
    session.sign_in(user.into_inner()).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn watch(session: SessionHandle) -> HttpResponse {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner).push(session.ended());
    HttpResponse::Ok().finish()
}

/// Returns a middleware with this registry.
pub(crate) fn middleware(registry: impl Registry + 'static) -> SessionExpire {
    let policy = Policy::new().idle(hours(1)).absolute(hours(8)).max_sessions(Limit::Off);
    let builder = SessionExpire::builder(policy).plain_http(true).cookie_key(Key::generate());
    builder.registry(registry).build().unwrap()
}

/// Returns the name of a user.
pub(crate) fn user(number: usize) -> String {
    format!("user-{number}")
}

/// Logs in this number of users, and returns their cookies.
pub(crate) async fn log_in(expire: &SessionExpire, logins: usize) -> Vec<String> {
    let site = site(expire).await;
    let mut cookies = Vec::with_capacity(logins);
    for number in 0..logins {
        let login = TestRequest::post().uri(&format!("/sign-in/{}", user(number)));
        let response = site.call(login.to_request()).await.unwrap();
        let cookie = response.response().cookies().next().unwrap();
        cookies.push(format!("{}={}", cookie.name(), cookie.value()));
    }
    cookies
}

/// Opens `times` streams for each cookie.
pub(crate) async fn open(
    expire: &SessionExpire,
    cookies: &[String],
    times: usize,
) -> Vec<SessionEnd> {
    let site = site(expire).await;
    WATCHED.lock().unwrap().reserve_exact(cookies.len() * times);
    for cookie in cookies {
        for _ in 0..times {
            let request = TestRequest::get().uri("/watch");
            let request = request.insert_header(("cookie", cookie.as_str())).to_request();
            assert_eq!(site.call(request).await.unwrap().status(), 200);
        }
    }
    std::mem::take(&mut *WATCHED.lock().unwrap())
}

async fn site(
    expire: &SessionExpire,
) -> impl Service<
    actix_http::Request,
    Response = ServiceResponse<impl MessageBody + use<>>,
    Error = Error,
> + use<> {
    let app = App::new()
        .route("/sign-in/{user}", web::post().to(sign_in))
        .route("/watch", web::get().to(watch));
    init_service(app.wrap(expire.clone())).await
}
