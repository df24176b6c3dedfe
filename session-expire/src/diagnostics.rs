//! Configuration warnings, each logged once per application.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use actix_web::HttpRequest;

/// Sessions without a user that are seen before the log says so.
const SESSIONS_WITHOUT_USER: u32 = 100;

/// What has been logged for one application.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    unknown_session: Once,
    missing_endpoints: Once,
    endpoints_checked: Once,
    other_session_layer: Once,
    same_user_login: Once,
    no_user: Once,
    sessions_without_user: AtomicU32,
}

/// A flag that is set once.
#[derive(Debug, Default)]
struct Once(AtomicBool);

impl Once {
    /// Returns `true` the first time.
    fn is_first(&self) -> bool {
        !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed)
    }
}

impl Diagnostics {
    /// A session arrived whose record the registry does not know.
    pub(crate) fn warn_unknown_session(&self) {
        if self.unknown_session.is_first() {
            tracing::warn!(
                event = "sys_unknown_session",
                "unknown session: expected after a restart with a MemoryRegistry; otherwise build SessionExpire \
                 once, outside the closure of HttpServer::new"
            );
        }
    }

    /// A page asks for endpoints that the application does not serve.
    pub(crate) fn warn_missing_endpoints(&self, prefix: &str, req: &HttpRequest) {
        if !self.endpoints_checked.is_first() {
            return;
        }
        let status = format!("{prefix}/status");
        if !req.resource_map().has_resource(&status) && self.missing_endpoints.is_first() {
            tracing::error!(
                event = "sys_missing_endpoints",
                path = status,
                "endpoints are not mounted: add `.service(expire.endpoints())` to the App"
            );
        }
    }

    /// Another session layer is wrapped around or inside SessionExpire.
    pub(crate) fn error_other_session_layer(&self, place: &'static str) {
        if self.other_session_layer.is_first() {
            tracing::error!(
                event = "sys_other_session_layer",
                place,
                "a second session layer: remove `.wrap(SessionMiddleware…)`; SessionExpire provides \
                 `Session` and `Identity`"
            );
        }
    }

    /// A login form called `Identity::login` for the user who is signed in, shortly before the end.
    pub(crate) fn warn_same_user_login(&self) {
        if self.same_user_login.is_first() {
            tracing::warn!(
                event = "sys_same_user_login",
                "Identity::login of the same user renews the session key but not the timeouts; call \
                 SessionHandle::sign_in to start a new session"
            );
        }
    }

    /// An anonymous visitor's session was stored.
    pub(crate) fn count_session_without_user(&self) {
        let seen = self.sessions_without_user.fetch_add(1, Ordering::Relaxed);
        if seen == SESSIONS_WITHOUT_USER && self.no_user.is_first() {
            tracing::warn!(
                event = "sys_no_user",
                "many sessions and no user: if the application keeps the user in an entry of its own, name it with \
                 `identity_key`"
            );
        }
    }

    /// A user was seen.
    pub(crate) fn saw_user(&self) {
        // A relaxed load is free; the store happens once.
        if !self.no_user.0.load(Ordering::Relaxed) {
            self.no_user.0.store(true, Ordering::Relaxed);
        }
    }
}
