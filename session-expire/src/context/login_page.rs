//! The login page that a request comes to, or is sent to.

use std::cell::{Cell, RefCell};

use actix_web::HttpRequest;

use super::RequestContext;
use crate::{messages::flash::StoredFlash, request::return_path::is_at};

/// What a request has to do with the login page.
#[derive(Default)]
pub(super) struct LoginPage {
    /// The text of a challenge, for the next page.
    pub(super) challenge_reason: RefCell<Option<StoredFlash>>,
    /// The user fills in the login form, and need not be told why the old session ended.
    pub(super) is_reason_dismissed: Cell<bool>,
    /// The request comes from a challenge that has ended nothing.
    pub(super) is_at_marked: Cell<bool>,
    /// The login page that this request is sent to by a challenge that ends nothing.
    pub(super) marked: RefCell<Option<String>>,
}

impl LoginPage {
    /// Returns `true` if the anonymous cookie may have to change.
    pub(super) fn may_change_cookie(&self) -> bool {
        self.is_reason_dismissed.get()
            || self.challenge_reason.borrow().is_some()
            || self.is_at_marked.get()
            || self.marked.borrow().is_some()
    }
}

impl RequestContext {
    /// Returns `true` if a challenge that has ended nothing has sent the request to this login page.
    ///
    /// The page may forward users who are signed in. It would send this one back to where the
    /// challenge came from, and so on: so it sees an anonymous visitor, once.
    pub(super) fn is_sent_to_login(&self, req: &HttpRequest) -> bool {
        let login = self.cookies.anonymous.marked_login.as_deref();
        self.access().is_active()
            && req.method().is_safe()
            && login.is_some_and(|login| is_at(req.path(), login))
    }

    /// Remembers the login page of a challenge that ends nothing.
    pub(crate) fn mark_login(&self) {
        *self.login_page.marked.borrow_mut() = Some(self.policy().login_url.to_string());
    }
}
