//! Paths with a meaning of their own: the login page, the confirmation page and the endpoints.

use actix_web::HttpRequest;

use super::{Config, EVENTS, KEEP_ALIVE, LOGOUT, SIGNED_IN, STATUS};
use crate::{
    dialog::assets::ASSETS,
    policy::Policy,
    request::return_path::{is_at, is_at_or_below},
};

impl Config {
    /// Returns `true` if the application's policy requires a login for `path`. The login page and
    /// the endpoints never require one.
    pub(crate) fn requires_login(&self, path: &str) -> bool {
        let is_open = || self.is_login_page(path, &self.policy) || self.is_endpoint(path);
        self.policy.require_login && !is_open()
    }

    /// Returns `true` for the requests that accept sessions that are not fresh: the login page, the
    /// confirmation page of `policy` and the paths below it, the endpoints, and a sign-out at
    /// `logout_url`.
    pub(crate) fn is_never_stale(&self, req: &HttpRequest, policy: &Policy) -> bool {
        let path = req.path();
        let is_sign_out = || !req.method().is_safe() && is_at(path, &self.logout_url);
        is_at_or_below(path, &policy.confirm_url)
            || self.is_login_page(path, policy)
            || is_at(path, &self.policy.login_url)
            || self.is_endpoint(path)
            || is_sign_out()
    }

    /// Returns `true` for the login page of `policy`, and for the pages for expired sessions and
    /// refused logins. They are never challenged.
    pub(crate) fn is_login_page(&self, path: &str, policy: &Policy) -> bool {
        is_at(path, &policy.login_url) || self.login_pages.contains(path)
    }

    fn is_endpoint(&self, path: &str) -> bool {
        path.strip_prefix(&*self.prefix).is_some_and(is_endpoint)
    }
}

/// Returns `true` for the path of an endpoint under the prefix.
fn is_endpoint(path: &str) -> bool {
    let is_asset = |name| ASSETS.iter().any(|asset| asset.path() == name);
    [STATUS, KEEP_ALIVE, LOGOUT, SIGNED_IN, EVENTS].contains(&path)
        || path.strip_prefix('/').is_some_and(is_asset)
}
