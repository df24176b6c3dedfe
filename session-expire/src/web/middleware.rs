//! The middleware: what an application wraps around itself.

use std::{
    fmt,
    future::Ready,
    pin::Pin,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpResponse,
    body::EitherBody,
    dev::{Extensions, ServiceRequest, ServiceResponse, Transform},
    http::StatusCode,
};
use pin_project_lite::pin_project;

use super::{
    advice,
    around::{Around, Inside, Reply, Wrapped},
    gate::Gate,
    ledger::Ledger,
    reply,
    settle::{is_settled, settle, settle_failure},
    setup::Setup,
    stack::{self, Stack},
};
use crate::sessions::Sessions;

/// The middleware that ends sessions properly.
///
/// Wrap it around the whole [`App`](actix_web::App), then `IdentityMiddleware`, then
/// `SessionMiddleware`: the last `wrap` runs first. An order that would let an expired session through is
/// noticed at the start, a missing layer with the first requests (without `SessionMiddleware`: the first
/// logins) and answered with 500; the log and the standard error say what to change. Nothing that writes
/// to the session may stand between `SessionExpire` and `IdentityMiddleware`, and all of the application
/// must lie inside, the login above all.
///
/// Build it once, outside the closure of `HttpServer::new`, and clone it inside: all workers must
/// share one registry.
///
/// # Cost
///
/// For a signed-in visitor one look into the registry per request; nothing is written unless
/// `last_seen` has moved by more than the smallest [`Policy::slack`](crate::Policy::slack) of all policies
/// mounted so far. For others next to nothing.
///
/// ```
/// use actix_identity::IdentityMiddleware;
/// use actix_session::{SessionMiddleware, storage::CookieSessionStore};
/// use actix_web::{App, HttpServer, cookie::Key};
/// use session_expire::{Policy, SessionExpire};
///
/// let key = Key::generate();
/// let expire = SessionExpire::builder(Policy::new()).build()?;
/// let server = HttpServer::new(move || {
///     App::new()
///         .wrap(expire.clone())
///         .wrap(IdentityMiddleware::default())
///         .wrap(SessionMiddleware::new(CookieSessionStore::default(), key.clone()))
/// });
/// # Ok::<(), session_expire::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct SessionExpire {
    setup: Arc<Setup>,
}

impl SessionExpire {
    pub(crate) fn new(setup: Setup) -> Self {
        Self { setup: Arc::new(setup) }
    }

    /// The sessions of users, for whatever is no request: a job, a command line, a test.
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use session_expire::{Clock, NewLogin, MemoryRegistry, Policy, Registry, SessionExpire, SystemClock};
    /// # let (registry, policy) = (MemoryRegistry::new(), Policy::new());
    /// # let now = SystemClock::default().now();
    /// # for device in ["Firefox on Linux", "Safari on iPhone"] {
    /// #     let mut login = NewLogin::new("alice", now, &policy);
    /// #     login.client.device = device.into();
    /// #     registry.login(login).await?;
    /// # }
    /// # let expire = SessionExpire::builder(policy).registry(registry).build()?;
    /// // Alice has closed her account.
    /// assert_eq!(expire.sessions().end_all("alice").await?, 2);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        self.setup.sessions()
    }

    pub(crate) fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }
}

impl fmt::Debug for SessionExpire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.setup.fmt(f)
    }
}

impl<S: Inside> Transform<S, ServiceRequest> for SessionExpire {
    type Response = ServiceResponse<EitherBody<S::Body>>;
    type Error = actix_web::Error;
    type Transform = Wrapped<Expiring, S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        if let Some(error) = stack::inside_out::<S>() {
            static SAID: AtomicBool = AtomicBool::new(false);
            advice::say(&SAID, &error.to_string());
            return std::future::ready(Err(()));
        }
        advice::notice_mounting(&self.setup);
        let mut shared = Extensions::new();
        shared.insert(Arc::clone(&self.setup));
        if let Some(programs) = &self.setup.programs {
            shared.insert(programs.clone());
        }
        let layer = Layer {
            setup: Arc::clone(&self.setup),
            shared: Rc::new(shared),
            stack: Stack::default(),
        };
        Wrapped::ready(Expiring(Rc::new(layer)), service)
    }
}

/// [`SessionExpire`], mounted in one worker.
#[derive(Debug)]
pub struct Expiring(Rc<Layer>);

#[derive(Debug)]
struct Layer {
    setup: Arc<Setup>,
    /// Carries the setup to layers and extractors further in.
    shared: Rc<Extensions>,
    stack: Stack,
}

impl<S: Inside> Around<S> for Expiring {
    type Future = Passage<S>;

    fn call(&self, service: &Rc<S>, mut req: ServiceRequest) -> Self::Future {
        let layer = Rc::clone(&self.0);
        if let Err(error) = layer.stack.check(req.request()) {
            let answer = req.into_response(HttpResponse::from_error(error)).map_into_right_body();
            return Passage::Story { story: Box::pin(std::future::ready(Ok(answer))) };
        }
        req.add_data_container(Rc::clone(&layer.shared));
        let ledger = Ledger::of(req.request(), layer.setup.identity_key);
        if ledger.is_blank() {
            return Passage::Stranger { layer, ledger, inside: service.call(req) };
        }
        layer.stack.session_was_loaded();
        Passage::Story { story: Box::pin(pass(layer, Rc::clone(service), req, ledger)) }
    }
}

/// The whole story of a request that brings a session along.
async fn pass<S: Inside>(
    layer: Rc<Layer>,
    service: Rc<S>,
    req: ServiceRequest,
    ledger: Ledger,
) -> Reply<S::Body> {
    let gate = match Gate::open(Arc::clone(&layer.setup), ledger, req.request()).await {
        Ok(gate) => gate,
        Err(error) => {
            return Ok(req.into_response(HttpResponse::from_error(error)).map_into_right_body());
        }
    };
    match service.call(req).await {
        Ok(res) => {
            let mut res = res.map_into_left_body();
            if is_settled(&gate, res.request()) {
                reply::forbid_caching(res.headers_mut());
                return Ok(reply::for_people(res));
            }
            // Boxed, so that the future of the common case stays small enough to be allocated fast.
            Box::pin(settle(&layer.stack, res)).await
        }
        Err(error) => Err(Box::pin(settle_failure(&gate, error)).await),
    }
}

pin_project! {
    /// A request on its way in and out.
    #[project = Way]
    pub enum Passage<S: Inside> {
        /// Without a session there is nothing to judge, and mostly nothing to settle.
        Stranger { layer: Rc<Layer>, ledger: Ledger, #[pin] inside: S::Future },
        /// Everything else.
        Story { story: Pin<Box<dyn Future<Output = Reply<S::Body>>>> },
    }
}

impl<S: Inside> Future for Passage<S> {
    type Output = Reply<S::Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (layer, res) = match self.as_mut().project() {
            Way::Story { story } => return story.as_mut().poll(cx),
            Way::Stranger { layer, ledger, inside } => {
                let res = ready!(inside.poll(cx))?.map_into_left_body();
                if has_nothing_to_settle(ledger, &res) {
                    return Poll::Ready(Ok(res));
                }
                (Rc::clone(layer), res)
            }
        };
        self.set(Self::Story { story: Box::pin(async move { settle(&layer.stack, res).await }) });
        self.poll(cx)
    }
}

fn has_nothing_to_settle<B>(ledger: &Ledger, res: &ServiceResponse<B>) -> bool {
    res.status() != StatusCode::UNAUTHORIZED
        && ledger.is_unchanged()
        && !Gate::exists(res.request())
}
