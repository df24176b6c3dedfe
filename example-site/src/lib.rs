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
mod compliance;
mod csrf;
mod device;
mod error;
mod flag_values;
mod format;
mod key_file;
mod layout;
mod message_rate;
mod pages;
mod passwords;
mod redis_servers;
mod room;
mod settings;
mod shutdown;
mod text_size;
mod users;

use std::{any::Any, net::SocketAddr, time::Duration};

use actix_web::{
    HttpServer,
    dev::{Extensions, Server},
    rt::{self, net::TcpStream},
};
use socket2::SockRef;

pub use app::{Shared, app};
pub use backends::RegistryKind;
pub use error::SiteError;
pub use message_rate::MessageRate;
pub use redis_servers::Password;
pub use settings::{Flags, PageIdles, Settings};
pub use users::{USERS, User};

/// Two workers demonstrate that workers share one registry.
const WORKERS: usize = 2;

/// Seconds for open requests to finish when the site stops.
const SHUTDOWN_TIMEOUT: u64 = 2;

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
    /// Serves requests until it is stopped. Await or spawn it.
    pub server: Server,
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
        let expire = shared.expire().clone();
        let server = HttpServer::new(move || app(shared.clone()))
            .workers(WORKERS)
            .disable_signals()
            .shutdown_timeout(SHUTDOWN_TIMEOUT)
            .on_connect(limit_stall)
            .bind(bind)
            .map_err(|source| SiteError::Bind { address: bind, source })?;
        let address = server.addrs().first().copied().unwrap_or(bind);
        let server = server.run();
        rt::spawn(shutdown::stop_at_signal(expire, server.handle()));
        Ok(Self { address, server })
    }
}
