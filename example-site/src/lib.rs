//! The example site of session-expire, as a library: the binary starts it, and tests run this very
//! site with a clock they can turn.
//!
//! ```no_run
//! use example_site::{Settings, Site};
//! use session_expire::{ManualClock, minutes};
//!
//! # async fn example() -> Result<(), example_site::SiteError> {
//! let clock = ManualClock::default();
//! let settings = Settings { clock: Some(clock.clone()), ..Settings::default() };
//! let site = Site::start(settings).await?;
//! actix_web::rt::spawn(site.server);
//! // sign in at site.address, then:
//! clock.advance(minutes(10));
//! # Ok(())
//! # }
//! ```

mod app;
mod assets;
mod device;
mod error;
mod kept;
mod key_file;
mod pages;
mod patient;
mod same_site;
mod settings;
mod stores;
mod users;
mod words;

use std::net::SocketAddr;

use actix_session::storage::{CookieSessionStore, SessionStore};
use actix_web::{HttpServer, dev::Server};

pub use app::{Shared, app};
pub use error::SiteError;
pub use settings::{Flags, PageIdles, Settings};
pub use stores::{RegistryKind, SessionsKind};
pub use users::{USERS, User};

/// Enough to show that the workers share their registry.
const WORKERS: usize = 2;

/// Seconds that open requests get when the site is told to stop.
const FAREWELL: u64 = 2;

/// The site, ready to serve.
pub struct Site {
    /// Where it listens; a port 0 in the settings has become a real one.
    pub address: SocketAddr,
    /// Serves until it is stopped. Await it, or spawn it and keep its handle.
    pub server: Server,
}

impl Site {
    /// Opens the registry, binds the address and starts the workers. It needs a running Actix system.
    ///
    /// # Errors
    ///
    /// A [`SiteError`] that says what to change.
    pub async fn start(settings: Settings) -> Result<Self, SiteError> {
        let (wanted, sessions) = (settings.bind, settings.sessions.clone());
        let shared = Shared::new(settings).await?;
        match sessions {
            SessionsKind::Cookie => Self::bind(wanted, shared, CookieSessionStore::default),
            SessionsKind::Redis(url) => {
                let store = stores::on_redis(&url).await?;
                Self::bind(wanted, shared, move || store.clone())
            }
        }
    }

    fn bind<S: SessionStore + 'static>(
        wanted: SocketAddr,
        shared: Shared,
        store: impl Fn() -> S + Clone + Send + 'static,
    ) -> Result<Self, SiteError> {
        let server = HttpServer::new(move || app(shared.clone(), store()))
            .workers(WORKERS)
            .shutdown_timeout(FAREWELL)
            .bind(wanted)
            .map_err(|source| SiteError::Bind { address: wanted, source })?;
        let address = server.addrs().first().copied().unwrap_or(wanted);
        Ok(Self { address, server: server.run() })
    }
}
