//! Test site on a free port, with a manual clock and a [`TestRegistry`].

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use actix_web::{
    App, HttpServer,
    cookie::{Cookie, CookieJar, Key},
    dev::ServerHandle,
    web,
};
use session_expire::{
    Event, Policy, SessionExpire, SessionExpireBuilder,
    clock::{ManualClock, Timestamp},
    hours, minutes,
};

use crate::{Barrier, Browser, CONNECTION_TIMEOUT, Server, TestRegistry, pages};

type Configure = fn(&mut web::ServiceConfig);
type Customise = Box<dyn FnOnce(SessionExpireBuilder) -> SessionExpireBuilder>;

/// Builder of a [`Site`].
pub struct SiteBuilder {
    policy: Policy,
    clock: ManualClock,
    registry: TestRegistry,
    routes: Configure,
    customise: Customise,
}

/// A running site. It stops when it is dropped.
pub struct Site {
    server: Server,
    barrier: Barrier,
    events: Arc<Mutex<Vec<String>>>,
    /// The middleware of the site.
    pub expire: SessionExpire,
    /// The clock of the site. Only the test moves it.
    pub clock: ManualClock,
    /// The registry, unless the middleware was given another one.
    pub registry: TestRegistry,
}

impl Site {
    /// Starts a site with an idle timeout of 10 minutes and an absolute timeout of 8 hours.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Returns a builder with the same policy.
    #[must_use]
    pub fn builder() -> SiteBuilder {
        SiteBuilder {
            policy: Policy::new().idle(minutes(10)).absolute(hours(8)),
            clock: ManualClock::default(),
            registry: TestRegistry::default(),
            routes: |_| {},
            customise: Box::new(|builder| builder),
        }
    }

    /// Returns a new browser at this site.
    #[must_use]
    pub fn browser(&self) -> Browser {
        self.server.browser()
    }

    /// Returns a new browser in which `user` has signed in.
    #[must_use]
    pub fn signed_in(&self, user: &str) -> Browser {
        let browser = self.browser();
        browser.sign_in(user);
        browser
    }

    /// Advances the clock.
    pub fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Returns the events since the last call, each as [`describe_event`] formats it.
    pub fn take_events(&self) -> Vec<String> {
        std::mem::take(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until `n` requests have arrived at the [`Barrier`] since the start of the site.
    pub fn wait_for_arrivals(&self, n: usize) {
        self.barrier.wait_for_arrivals(n);
    }

    /// Releases all requests that wait at the [`Barrier`].
    pub fn open_barrier(&self) {
        self.barrier.open();
    }
}

impl SiteBuilder {
    /// Sets the policy.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the time at which the clock starts.
    #[must_use]
    pub fn clock_at(mut self, start: Timestamp) -> Self {
        self.clock = ManualClock::new(start);
        self
    }

    /// Sets the clock, for example the clock of another site.
    #[must_use]
    pub fn clock(mut self, clock: &ManualClock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Sets the registry, such as that of another site before a restart.
    #[must_use]
    pub fn registry(mut self, registry: TestRegistry) -> Self {
        self.registry = registry;
        self
    }

    /// Adds routes.
    #[must_use]
    pub fn routes(mut self, routes: Configure) -> Self {
        self.routes = routes;
        self
    }

    /// Sets options of the middleware.
    #[must_use]
    pub fn customise(
        mut self,
        customise: impl FnOnce(SessionExpireBuilder) -> SessionExpireBuilder + 'static,
    ) -> Self {
        self.customise = Box::new(customise);
        self
    }

    /// Starts the site.
    ///
    /// # Panics
    ///
    /// Panics if no port is free, or if the configuration is rejected.
    #[must_use]
    pub fn start(self) -> Site {
        let events = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&events);
        let builder = SessionExpire::builder(self.policy)
            .plain_http(true)
            .cookie_key(key())
            .clock(self.clock.clone())
            .registry(self.registry.clone())
            .observer(move |event| {
                log.lock().unwrap_or_else(PoisonError::into_inner).push(describe_event(event))
            });
        let expire = (self.customise)(builder).build().expect("a valid configuration");
        let (barrier, routes) = (Barrier::default(), self.routes);
        let (shared, mounted) = (barrier.clone(), expire.clone());
        let server = Server::start(move |listener, sender| {
            serve(listener, mounted, shared, routes, &sender)
        });
        Site { server, barrier, events, expire, clock: self.clock, registry: self.registry }
    }
}

/// Returns the value of an anonymous cookie with this content, sealed with the key that all sites
/// share.
#[must_use]
pub fn seal_anonymous_cookie(content: &str) -> String {
    let mut jar = CookieJar::new();
    jar.private_mut(&key()).add(Cookie::new("anonymous", content.to_owned()));
    jar.get("anonymous").map(|cookie| cookie.value().to_owned()).unwrap_or_default()
}

/// Returns the same key for every site. A cookie stays readable after a restart.
fn key() -> Key {
    Key::from(&[7; 64])
}

fn serve(
    listener: TcpListener,
    expire: SessionExpire,
    barrier: Barrier,
    routes: Configure,
    sender: &mpsc::Sender<ServerHandle>,
) {
    let app = move || {
        App::new()
            .app_data(web::Data::new(barrier.clone()))
            .configure(routes)
            .configure(pages::configure)
            .service(expire.endpoints())
            .wrap(expire.clone())
    };
    actix_web::rt::System::new()
        .block_on(async {
            let server = HttpServer::new(app)
                .workers(2)
                .keep_alive(CONNECTION_TIMEOUT)
                .client_request_timeout(CONNECTION_TIMEOUT)
                .listen(listener)?
                .disable_signals()
                .run();
            sender.send(server.handle()).map_err(std::io::Error::other)?;
            server.await
        })
        .expect("the server runs");
}

/// Returns a short description of an event, such as `alice ended: idle`.
#[must_use]
pub fn describe_event(event: &Event<'_>) -> String {
    match event {
        Event::LoggedIn { session, .. } => format!("{} signed in", session.user),
        Event::Ended { session, reason, .. } => format!("{} ended: {reason}", session.user),
        Event::KeptAlive { session, .. } => format!("{} renewed", session.user),
        Event::Refused { reason, .. } => format!("refused: {reason}"),
        Event::LoginRefused { user, .. } => format!("{user} refused"),
        Event::TicketRefused { user, .. } => {
            format!("{} ticket refused", user.unwrap_or("unknown"))
        }
        Event::EveryoneEnded { count, .. } => format!("{count} sessions of all users ended"),
        Event::RegistryFailed { .. } => "registry failed".to_owned(),
        Event::PolicyBreach { breach, .. } => format!("breach: {breach}"),
        _ => "another event".to_owned(),
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.open_barrier();
    }
}
