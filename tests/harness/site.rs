//! A site that listens on a free port and lives on a clock that only the test turns.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use actix_web::{
    App, HttpServer,
    cookie::{Cookie, CookieJar, Key},
    dev::ServerHandle,
    web,
};
use session_expire::{
    Event, ManualClock, Policy, SessionExpire, SessionExpireBuilder, Timestamp, hours, minutes,
};

use crate::{Browser, Probe, Server, pages};

type Configure = fn(&mut web::ServiceConfig);
type Customise = Box<dyn FnOnce(SessionExpireBuilder) -> SessionExpireBuilder>;

/// A site that is being set up.
pub struct SiteBuilder {
    policy: Policy,
    clock: ManualClock,
    probe: Probe,
    routes: Configure,
    customise: Customise,
}

/// A running site. It stops when it is dropped.
pub struct Site {
    server: Server,
    brake: pages::Brake,
    events: Arc<Mutex<Vec<String>>>,
    /// Its clock.
    pub clock: ManualClock,
    /// Its registry.
    pub registry: Probe,
}

impl Site {
    /// A site with 10 minutes idle and 8 hours absolute.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// The same, to be changed first.
    #[must_use]
    pub fn builder() -> SiteBuilder {
        SiteBuilder {
            policy: Policy::new().idle(minutes(10)).absolute(hours(8)),
            clock: ManualClock::default(),
            probe: Probe::default(),
            routes: |_| {},
            customise: Box::new(|builder| builder),
        }
    }

    /// A new browser at this site.
    #[must_use]
    pub fn browser(&self) -> Browser {
        self.server.browser()
    }

    /// A new browser in which `user` has signed in.
    #[must_use]
    pub fn signed_in(&self, user: &str) -> Browser {
        let browser = self.browser();
        browser.sign_in(user);
        browser
    }

    /// Turns the clock.
    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// What the observer was told since the last look.
    pub fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until `n` requests stand at `/slow` or `/slow-public`.
    pub fn wait_for_slow(&self, n: usize) {
        while self.brake.waiting.load(std::sync::atomic::Ordering::SeqCst) < n {
            thread::yield_now();
        }
    }

    /// Lets them go on.
    pub fn release_slow(&self) {
        self.brake.released.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

impl SiteBuilder {
    /// Uses this policy.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Starts the clock here.
    #[must_use]
    pub fn clock_at(mut self, start: Timestamp) -> Self {
        self.clock = ManualClock::new(start);
        self
    }

    /// Uses a registry that another site has used: the same one after a restart.
    #[must_use]
    pub fn registry(mut self, probe: Probe) -> Self {
        self.probe = probe;
        self
    }

    /// Adds pages.
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
    /// When the machine has no free port, or the configuration is wrong.
    #[must_use]
    pub fn start(self) -> Site {
        let events = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&events);
        let builder = SessionExpire::builder(self.policy)
            .plain_http(true)
            .cookie_key(key())
            .clock(self.clock.clone())
            .registry(self.probe.clone())
            .observer(move |event| {
                log.lock().unwrap_or_else(PoisonError::into_inner).push(name_of_event(event))
            });
        let expire = (self.customise)(builder).build().expect("the test's policy is sound");
        let (brake, routes) = (pages::Brake::default(), self.routes);
        let shared = brake.clone();
        let server =
            Server::start(move |listener, tell| serve(listener, expire, shared, routes, &tell));
        Site { server, brake, events, clock: self.clock, registry: self.probe }
    }
}

/// An anonymous cookie of this content, sealed with the site's key.
#[must_use]
pub fn sealed(state: &str) -> String {
    let mut jar = CookieJar::new();
    jar.private_mut(&key()).add(Cookie::new("anonymous", state.to_owned()));
    jar.get("anonymous").map(|cookie| cookie.value().to_owned()).unwrap_or_default()
}

/// The same for every site, so that a cookie of one is readable at another with the same registry.
fn key() -> Key {
    Key::from(&[7; 64])
}

fn serve(
    listener: TcpListener,
    expire: SessionExpire,
    brake: pages::Brake,
    routes: Configure,
    tell: &mpsc::Sender<ServerHandle>,
) {
    let app = move || {
        App::new()
            .app_data(web::Data::new(brake.clone()))
            .configure(routes)
            .configure(pages::configure)
            .service(expire.endpoints())
            .wrap(expire.clone())
    };
    actix_web::rt::System::new()
        .block_on(async {
            let server = HttpServer::new(app).workers(2).listen(listener)?.disable_signals().run();
            tell.send(server.handle()).map_err(std::io::Error::other)?;
            server.await
        })
        .expect("the server runs");
}

/// An event in words.
#[must_use]
pub fn name_of_event(event: &Event<'_>) -> String {
    match event {
        Event::LoggedIn { user, .. } => format!("{user} signed in"),
        Event::Ended { user, reason, .. } => format!("{user} ended: {reason}"),
        Event::Renewed { user, .. } => format!("{user} renewed"),
        Event::Refused { reason } => format!("refused: {reason}"),
        Event::LoginRefused { user } => format!("{user} refused"),
        Event::EveryoneEnded { count } => format!("{count} sessions of all users ended"),
        Event::RegistryFailed { .. } => "registry failed".to_owned(),
        _ => "something new".to_owned(),
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.release_slow();
    }
}
