//! The site under measurement: its pages, its layers, and a client that repeats requests.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use actix_identity::{Identity, IdentityMiddleware};
use actix_session::{
    Session, SessionMiddleware,
    config::{PersistentSession, TtlExtensionPolicy},
    storage::CookieSessionStore,
};
use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse, Responder,
    body::{MessageBody, to_bytes},
    cookie::Key,
    dev::{Service, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    test::{TestRequest, init_service},
    web::{self, ServiceConfig},
};
use session_expire::{PolicyPatch, SessionExpire, minutes};

use crate::Outcome;

pub(crate) const USER: &str = "alice";
pub(crate) const WELCOME: &str = "welcome";

/// Names of six session entries of 100 bytes.
const ENTRIES: [&str; 6] = ["csrf_token", "cart", "locale", "theme", "filters", "return_to"];

/// A boxed future of one thread.
type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = Outcome<T>> + 'a>>;

/// A request for a page.
#[derive(Debug, Clone)]
pub(crate) struct PageRequest {
    pub(crate) page: &'static str,
    pub(crate) cookie: Option<String>,
}

impl PageRequest {
    /// Adds the headers of a browser, which session-expire reads.
    fn to_request(&self) -> TestRequest {
        let request = TestRequest::get()
            .uri(self.page)
            .insert_header((header::HOST, "site.example"))
            .insert_header((header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8"))
            .insert_header((header::ACCEPT_LANGUAGE, "en-US,en;q=0.5"))
            .insert_header(("sec-fetch-site", "same-origin"))
            .insert_header(("sec-fetch-mode", "navigate"));
        match &self.cookie {
            Some(cookie) => request.insert_header((header::COOKIE, cookie.as_str())),
            None => request,
        }
    }
}

pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A running site.
pub(crate) trait Site {
    /// Sends a request, and reads the whole response.
    fn send<'a>(&'a self, page_request: &'a PageRequest) -> LocalFuture<'a, Response>;

    /// Sends `times` of the requests in turn. Returns how long the responses took.
    fn replay<'a>(
        &'a self,
        page_requests: &'a [PageRequest],
        times: usize,
    ) -> LocalFuture<'a, Duration>;
}

/// `R` is the request type of actix-http, which actix-web does not export.
struct Started<S, R> {
    service: S,
    finish: fn(TestRequest) -> R,
}

impl<S, R, B> Site for Started<S, R>
where
    S: Service<R, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    fn send<'a>(&'a self, page_request: &'a PageRequest) -> LocalFuture<'a, Response> {
        Box::pin(async move {
            let response = self.service.call((self.finish)(page_request.to_request())).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body =
                to_bytes(response.into_body()).await.map_err(|_| "the body is incomplete")?;
            Ok(Response { status, headers, body: String::from_utf8(body.to_vec())? })
        })
    }

    fn replay<'a>(
        &'a self,
        page_requests: &'a [PageRequest],
        times: usize,
    ) -> LocalFuture<'a, Duration> {
        Box::pin(async move {
            let page_requests: Vec<_> = page_requests.iter().cycle().take(times).collect();
            let mut took = Duration::ZERO;
            for prepared in page_requests.chunks(PREPARED) {
                let requests =
                    prepared.iter().map(|page_request| (self.finish)(page_request.to_request()));
                let requests: Vec<_> = requests.collect();
                let start = Instant::now();
                for request in requests {
                    let mut waiting = pin!(None);
                    serve_counted(&self.service, request, waiting.as_mut())?;
                    if let Some(waiting) = waiting.as_pin_mut() {
                        waiting.await?;
                    }
                }
                took += start.elapsed();
            }
            Ok(took)
        })
    }
}

/// Requests that are built in advance: few, so that memory is reused as in a server, and enough to
/// make the cost of reading the clock negligible.
const PREPARED: usize = 4;

/// The code that is measured. Valgrind finds it by its name, see [`COUNTED`]. The future of a
/// request that must wait stays in `slot`.
#[inline(never)]
fn serve_counted<S: Service<R>, R>(
    service: &S,
    request: R,
    mut slot: Pin<&mut Option<S::Future>>,
) -> Result<(), &'static str> {
    slot.set(Some(service.call(request)));
    let Some(response) = slot.as_mut().as_pin_mut() else { return Ok(()) };
    match response.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => drop(response),
        Poll::Ready(Err(_)) => return Err("a request failed"),
        Poll::Pending => return Ok(()),
    }
    slot.set(None);
    Ok(())
}

/// The name of the measured function.
pub(crate) const COUNTED: &str = "serve_counted";

/// Starts a site without session-expire.
pub(crate) async fn start_bare(identity: IdentityMiddleware) -> Box<dyn Site> {
    let app = App::new().configure(|config| pages(config, 0)).wrap(identity).wrap(sessions());
    Box::new(Started { service: init_service(app).await, finish: TestRequest::to_request })
}

/// Starts a site without session-expire whose session cookie is renewed with every request: a
/// rolling timeout in the cookie.
pub(crate) async fn start_renewing() -> Box<dyn Site> {
    let lifecycle = PersistentSession::default()
        .session_ttl_extension_policy(TtlExtensionPolicy::OnEveryRequest);
    let sessions = SessionMiddleware::builder(CookieSessionStore::default(), Key::from(&[7; 64]))
        .session_lifecycle(lifecycle)
        .build();
    let app = App::new()
        .configure(|config| pages(config, 0))
        .wrap(IdentityMiddleware::default())
        .wrap(sessions);
    Box::new(Started { service: init_service(app).await, finish: TestRequest::to_request })
}

/// Starts a site with session-expire and `layers` policy layers around its page.
pub(crate) async fn start_with(expire: SessionExpire, layers: usize) -> Box<dyn Site> {
    let app = App::new().configure(|config| pages(config, layers)).wrap(expire);
    Box::new(Started { service: init_service(app).await, finish: TestRequest::to_request })
}

/// Session data in an encrypted cookie, the default of actix-session.
fn sessions() -> SessionMiddleware<CookieSessionStore> {
    SessionMiddleware::new(CookieSessionStore::default(), Key::from(&[7; 64]))
}

fn pages(config: &mut ServiceConfig, layers: usize) {
    let (page, patch) = (web::resource("/page"), PolicyPatch::new().idle(minutes(20)));
    match layers {
        0 => config.service(page.get(private)),
        1 => config.service(page.get(private).wrap(patch)),
        _ => config.service(page.get(private).wrap(patch.clone()).wrap(patch)),
    };
    config
        .route("/welcome", web::get().to(async || WELCOME))
        .route("/login", web::get().to(log_in))
        .route("/login-with-six", web::get().to(log_in_with_six));
}

async fn private(user: Identity) -> actix_web::Result<String> {
    Ok(user.id()?)
}

async fn log_in(req: HttpRequest) -> actix_web::Result<impl Responder> {
    Identity::login(&req.extensions(), USER.to_owned())?;
    Ok(HttpResponse::NoContent())
}

/// Signs in with six entries of 100 bytes in addition to the user.
async fn log_in_with_six(req: HttpRequest, session: Session) -> actix_web::Result<impl Responder> {
    for name in ENTRIES {
        session.insert(name, "x".repeat(98))?;
    }
    log_in(req).await
}
