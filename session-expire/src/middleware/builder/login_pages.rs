//! Builder options for pages other than the login page.

use std::sync::Arc;

use super::SessionExpireBuilder;

impl SessionExpireBuilder {
    /// Sets the page for requests whose session has ended or expired, a path of this site. Default:
    /// the login page.
    ///
    /// A challenge of such a request leads there instead of to
    /// [`login_url`](crate::Policy::login_url), with the same return path in `next`. Problem
    /// responses and the status contain it as `login_url`. Anonymous requests are still challenged
    /// with `login_url`, and so are requests under a layer that sets its own `login_url`.
    ///
    /// Like the login page, this page is never challenged. It should show the reason, and link to
    /// the login page or contain the login form.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire};
    ///
    /// let builder = SessionExpire::builder(Policy::new());
    /// let expire = builder.expired_url("/session-ended").refused_url("/too-many").build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn expired_url(mut self, path: impl Into<Arc<str>>) -> Self {
        self.login_pages.expired = Some(path.into());
        self
    }

    /// Sets the page for logins by `Identity::login` that the session limit refuses, a path of this
    /// site. Default: none; the response is a 409 that lists the active sessions.
    ///
    /// A navigation is redirected there, with the return path of the login form in `next`. For
    /// htmx, the 409 has `HX-Redirect`. For API clients, the 409 has the member `login_url`. The
    /// option does not apply to [`SessionHandle::sign_in`](crate::SessionHandle::sign_in): its
    /// handler receives [`SignInError::Refused`](crate::SignInError::Refused) and chooses the
    /// response.
    ///
    /// Like the login page, this page is never challenged. Its visitors are not signed in.
    pub fn refused_url(mut self, path: impl Into<Arc<str>>) -> Self {
        self.login_pages.refused = Some(path.into());
        self
    }
}
