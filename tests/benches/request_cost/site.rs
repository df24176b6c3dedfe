//! The site that is asked: its pages, its layers, and a visitor who asks again and again.

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

/// Names of six entries of 100 bytes: a form's token, a cart, filters and the like.
const ENTRIES: [&str; 6] = ["csrf_token", "cart", "locale", "theme", "filters", "return_to"];

/// A future that knows no type parameters and stays in its thread.
type Soon<'a, T> = Pin<Box<dyn Future<Output = Outcome<T>> + 'a>>;

/// What a visitor asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) page: &'static str,
    pub(crate) cookie: Option<String>,
}

impl Wish {
    /// With the headers that a browser sends, those that session-expire reads among them.
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

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A site that has been started.
pub(crate) trait Site {
    /// Asks once and reads the whole answer.
    fn ask<'a>(&'a self, wish: &'a Wish) -> Soon<'a, Answer>;

    /// Asks `times` times, going round the wishes, and says how long the answering took.
    fn replay<'a>(&'a self, wishes: &'a [Wish], times: usize) -> Soon<'a, Duration>;
}

/// `R` is Actix's request below the framework, a type that actix-web does not name.
struct Started<S, R> {
    service: S,
    finish: fn(TestRequest) -> R,
}

impl<S, R, B> Site for Started<S, R>
where
    S: Service<R, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    fn ask<'a>(&'a self, wish: &'a Wish) -> Soon<'a, Answer> {
        Box::pin(async move {
            let answer = self.service.call((self.finish)(wish.to_request())).await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = to_bytes(answer.into_body()).await.map_err(|_| "the body broke off")?;
            Ok(Answer { status, headers, body: String::from_utf8(body.to_vec())? })
        })
    }

    fn replay<'a>(&'a self, wishes: &'a [Wish], times: usize) -> Soon<'a, Duration> {
        Box::pin(async move {
            let wishes: Vec<_> = wishes.iter().cycle().take(times).collect();
            let mut took = Duration::ZERO;
            for few in wishes.chunks(FEW) {
                let requests = few.iter().map(|wish| (self.finish)(wish.to_request()));
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

/// Requests that are made in advance: so few that memory is used over and over as in a server, and
/// enough that reading the clock does not count.
const FEW: usize = 4;

/// What is counted, and nothing else. valgrind finds it by its name, see [`COUNTED`]. A request that
/// has to wait for somebody else is left in `slot`.
#[inline(never)]
fn serve_counted<S: Service<R>, R>(
    service: &S,
    request: R,
    mut slot: Pin<&mut Option<S::Future>>,
) -> Result<(), &'static str> {
    slot.set(Some(service.call(request)));
    let Some(answer) = slot.as_mut().as_pin_mut() else { return Ok(()) };
    match answer.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(answer)) => drop(answer),
        Poll::Ready(Err(_)) => return Err("a request failed"),
        Poll::Pending => return Ok(()),
    }
    slot.set(None);
    Ok(())
}

/// The name of the function that is measured.
pub(crate) const COUNTED: &str = "serve_counted";

/// The site without us.
pub(crate) async fn start_bare(identity: IdentityMiddleware) -> Box<dyn Site> {
    let app = App::new().configure(|config| pages(config, 0)).wrap(identity).wrap(sessions());
    Box::new(Started { service: init_service(app).await, finish: TestRequest::to_request })
}

/// The site without us, whose session layer renews its cookie with every request: what a rolling
/// timeout costs that lives in the cookie.
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

/// The site with us, and `layers` policies around its page.
pub(crate) async fn start_with(expire: SessionExpire, layers: usize) -> Box<dyn Site> {
    let app = App::new().configure(|config| pages(config, layers)).wrap(expire);
    Box::new(Started { service: init_service(app).await, finish: TestRequest::to_request })
}

/// Everything in an encrypted cookie: the default of actix-session.
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

/// Signs in with six entries of 100 bytes beside the user.
async fn log_in_with_six(req: HttpRequest, session: Session) -> actix_web::Result<impl Responder> {
    for name in ENTRIES {
        session.insert(name, "x".repeat(98))?;
    }
    log_in(req).await
}
