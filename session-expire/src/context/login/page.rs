//! Login-page state: notices for the page, and redirects to it.
//!
//! A challenge that ends no session redirects to the login page, which may redirect signed-in users
//! back. The anonymous cookie records the redirect to prevent a loop.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use actix_web::HttpRequest;

use super::super::RequestContext;
use crate::{
    cookies::takeover_offer::StoredOffer,
    messages::flash::StoredFlash,
    request::{RequestInfo, return_path::is_at},
};

/// Login-page state of a request.
#[derive(Default)]
pub(in crate::context) struct LoginPage {
    /// Notice that the next page shows.
    pub(in crate::context) next_notice: RefCell<Option<StoredFlash>>,
    /// `true` if the user posts the login form and needs no notice about the old session.
    pub(in crate::context) is_reason_dismissed: Cell<bool>,
    /// `true` if the request follows a redirect of a challenge that ended no session.
    pub(in crate::context) is_redirect_followed: Cell<bool>,
    /// Login page to which a challenge redirects this request without ending its session.
    pub(in crate::context) redirect: RefCell<Option<String>>,
    /// New offer to continue a refused login.
    pub(in crate::context) takeover: RefCell<Option<StoredOffer>>,
}

impl LoginPage {
    /// Returns `true` if the anonymous cookie may need a change.
    pub(in crate::context) fn may_change_cookie(&self) -> bool {
        self.is_reason_dismissed.get()
            || self.next_notice.borrow().is_some()
            || self.is_redirect_followed.get()
            || self.redirect.borrow().is_some()
            || self.takeover.borrow().is_some()
    }
}

impl RequestContext {
    /// Returns `true` if a challenge that ended no session has redirected the browser to this page.
    ///
    /// A login page may redirect signed-in users to the page they came from, which would challenge
    /// them again. The login page therefore sees an anonymous visitor once.
    pub(in crate::context) fn is_redirected_to_login(&self, req: &HttpRequest) -> bool {
        let login = self.cookies.anonymous.login_redirect.as_deref();
        self.access().is_active()
            && req.method().is_safe()
            && login.is_some_and(|login| is_at(req.path(), login))
    }

    /// Records that a challenge redirects to the login page without ending the session.
    pub(crate) fn record_login_redirect(&self) {
        *self.login_page.redirect.borrow_mut() = Some(self.expired_url().to_string());
    }

    /// Returns the page for a request whose session has ended or expired. The `login_url` of a
    /// layer takes precedence over the application's `expired_url`.
    pub(crate) fn expired_url(&self) -> Arc<str> {
        let login_url = Arc::clone(&self.policy().login_url);
        let expired = self.config().login_pages.expired.as_ref();
        expired
            .filter(|_| login_url == self.config().policy.login_url)
            .map_or(login_url, Arc::clone)
    }

    /// Returns `true` if the request submits a form of the login page, or of the page for expired
    /// sessions or refused logins.
    pub(in crate::context) fn submits_login(&self, info: &RequestInfo) -> bool {
        !info.is_safe_method && self.config().is_login_page(&info.path, &self.policy())
    }
}
