//! Middleware for sessions, identity and expiry.
//!
//! One `wrap` provides all three. Applications mount [`SessionExpire`] around the whole `App`.

mod anonymous_request;
pub(crate) mod body_check;
pub(crate) mod builder;
mod exempt_policy;
#[cfg(test)]
#[cfg(not(shuttle))]
mod fast_path_tests;
pub(crate) mod inner_service;
pub(crate) mod policy_layer;
mod reporting_clock;
pub(crate) mod response_future;
pub(crate) mod service;
#[cfg(feature = "testing")]
mod testing;

use std::{fmt, future::Ready, rc::Rc, sync::Arc};

use actix_identity::IdentityMiddleware;
use actix_web::{
    body::EitherBody,
    dev::{Extensions, ServiceRequest, ServiceResponse, Transform},
};

use self::{inner_service::InnerService, service::SessionExpireService};
use crate::{config::Config, context::mounted::MountedApp, sessions::Sessions};

/// Middleware for sessions, identity and their expiry.
///
/// Wrap it around the whole [`App`](actix_web::App). It reads the session cookie, loads the session
/// record with its data, and provides [`Session`](actix_session::Session) and
/// [`Identity`](actix_identity::Identity) to inner middlewares and handlers. `SessionMiddleware`
/// and `IdentityMiddleware` are not needed. A second `SessionMiddleware` is a configuration error:
/// the response is 500, and the log names the `wrap` to remove.
///
/// Build it once, outside the closure of `HttpServer::new`, and clone it inside. All workers must
/// share one registry.
///
/// # Cost
///
/// A signed-in request costs one look-up in the registry. It writes only if the handler changed the
/// session or activity is due. Activity is due if `last_seen` is older than a sixtieth of the
/// strictest idle timeout (30 s at most).
///
/// ```
/// use actix_web::{App, HttpServer};
/// use session_expire::{Policy, SessionExpire};
///
/// let expire = SessionExpire::builder(Policy::new()).build()?;
/// let server = HttpServer::new(move || App::new().wrap(expire.clone()));
/// # Ok::<(), session_expire::error::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct SessionExpire {
    config: Arc<Config>,
}

impl SessionExpire {
    pub(crate) fn new(config: Config) -> Self {
        Self { config: Arc::new(config) }
    }

    /// Returns the [`Sessions`] of all users, for code outside of requests: a job, a command, a
    /// test.
    ///
    /// ```
    /// use session_expire::{SessionExpire, error::RegistryError};
    ///
    /// async fn close_account(expire: &SessionExpire, user: &str) -> Result<usize, RegistryError> {
    ///     expire.sessions().end_all(user).await
    /// }
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        self.config.sessions(None)
    }

    /// Ends all guarded streams and event streams at once. Streams that are opened later end
    /// immediately.
    ///
    /// Call this method before a graceful shutdown, which otherwise waits for the streams.
    ///
    /// ```
    /// use actix_web::dev::ServerHandle;
    /// use session_expire::SessionExpire;
    ///
    /// async fn shut_down(expire: SessionExpire, server: ServerHandle) {
    ///     expire.close_streams();
    ///     server.stop(true).await;
    /// }
    /// ```
    pub fn close_streams(&self) {
        self.config.watcher.shut_down();
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }
}

impl fmt::Debug for SessionExpire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

impl<S: InnerService> Transform<S, ServiceRequest> for SessionExpire {
    type Response = ServiceResponse<EitherBody<S::Body>>;
    type Error = actix_web::Error;
    type Transform = SessionExpireService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let Some(mounted) = MountedApp::new(Arc::clone(&self.config)).map(Rc::new) else {
            return std::future::ready(Err(()));
        };
        let mut extensions = Extensions::new();
        extensions.insert(Rc::clone(&mounted));
        let identity = IdentityMiddleware::builder().id_key(self.config.identity_key).build();
        let identity = identity.new_transform(service).into_inner();
        std::future::ready(
            identity.map(|inner| SessionExpireService::new(mounted, Rc::new(extensions), inner)),
        )
    }
}
