//! Example site of session-expire.
//!
//! The binary and the tests start it through this library. A test passes a [`ManualClock`]:
//!
//! [`ManualClock`]: session_expire::clock::ManualClock
//!
//! ```no_run
//! use example_site::{Settings, Site};
//! use session_expire::{clock::ManualClock, minutes};
//!
//! # async fn example() -> Result<(), example_site::SiteError> {
//! let clock = ManualClock::default();
//! let settings = Settings { clock: Some(clock.clone()), ..Settings::default() };
//! let site = Site::start(settings).await?;
//! actix_web::rt::spawn(site.server);
//! // Sign in at `site.address`, then:
//! clock.advance(minutes(10));
//! # Ok(())
//! # }
//! ```

mod app;
mod assets;
mod audit;
mod backends;
mod catalog;
mod compliance;
mod compression;
mod csrf;
mod device;
mod error;
mod flag_values;
mod format;
mod key_file;
mod language;
mod layout;
mod message_rate;
mod methods;
mod pages;
mod passwords;
mod redis_servers;
mod room;
mod settings;
mod shutdown;
mod sign_in_notice;
mod text_length;
mod text_size;
mod users;

use std::{any::Any, io, net::SocketAddr, pin::Pin, time::Duration};

use actix_web::{HttpServer, dev::Extensions, rt::net::TcpStream};
use socket2::SockRef;

use shutdown::Signals;

pub use app::{Shared, app};
pub use backends::RegistryKind;
pub use error::SiteError;
pub use message_rate::MessageRate;
pub use redis_servers::Password;
pub use settings::{Flags, PageIdles, Settings};
pub use users::{USERS, User};

/// Two workers demonstrate that workers share one registry.
const WORKERS: usize = 2;

/// Time after which a client that reads nothing is disconnected.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Closes a connection whose client reads nothing, such as a stalled socket of the chat. Only the
/// operating system detects the stall.
#[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "not available"))]
fn limit_stall(connection: &dyn Any, _: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let socket = SockRef::from(stream);
    #[cfg(target_os = "linux")]
    if let Err(error) = socket.set_tcp_user_timeout(Some(STALL_TIMEOUT)) {
        tracing::warn!(%error, "connection timeout not set");
    }
}

/// Site that is bound to its address.
pub struct Site {
    /// Address that the site listens on, with the chosen port instead of 0.
    pub address: SocketAddr,
    /// Serves requests until SIGTERM or SIGINT. Await or spawn it.
    pub server: Pin<Box<dyn Future<Output = io::Result<()>>>>,
}

impl Site {
    /// Opens the registry, binds the address and starts the workers. Needs a running Actix system.
    ///
    /// # Errors
    ///
    /// Returns [`SiteError`] if the policy, the registry or the address cannot be used.
    pub async fn start(settings: Settings) -> Result<Self, SiteError> {
        let bind = settings.bind;
        let shared = Shared::new(settings).await?;
        let (expire, requests) = (shared.expire().clone(), shared.requests().clone());
        let server = HttpServer::new(move || app(shared.clone()))
            .workers(WORKERS)
            .disable_signals()
            .shutdown_timeout(shutdown::STOP_TIMEOUT.as_secs())
            .on_connect(limit_stall)
            .bind(bind)
            .map_err(|source| SiteError::Bind { address: bind, source })?;
        let address = server.addrs().first().copied().unwrap_or(bind);
        let signals = Signals::listen().map_err(SiteError::Signals)?;
        let server = Box::pin(shutdown::serve(server.run(), signals, expire, requests));
        Ok(Self { address, server })
    }
}
