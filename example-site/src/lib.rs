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
//! let site = Site::start(settings)?;
//! actix_web::rt::spawn(site.server);
//! // sign in at site.address, then:
//! clock.advance(minutes(10));
//! # Ok(())
//! # }
//! ```

mod app;
mod assets;
mod error;
mod key_file;
mod pages;
mod same_site;
mod settings;
mod users;
mod words;

use std::net::SocketAddr;

use actix_web::{HttpServer, dev::Server};

pub use app::{Shared, app};
pub use error::SiteError;
pub use settings::{Flags, PageIdles, RegistryKind, SessionsKind, Settings};
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
    /// Binds the address and starts the workers. It needs a running Actix system.
    ///
    /// # Errors
    ///
    /// A [`SiteError`] that says what to change.
    pub fn start(settings: Settings) -> Result<Self, SiteError> {
        let wanted = settings.bind;
        let shared = Shared::new(settings)?;
        let server = HttpServer::new(move || app(shared.clone()))
            .workers(WORKERS)
            .shutdown_timeout(FAREWELL)
            .bind(wanted)
            .map_err(|source| SiteError::Bind { address: wanted, source })?;
        let address = server.addrs().first().copied().unwrap_or(wanted);
        Ok(Self { address, server: server.run() })
    }
}
