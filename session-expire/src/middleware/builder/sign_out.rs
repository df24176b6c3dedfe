//! Builder options for the response to a sign-out.

use std::sync::Arc;

use super::SessionExpireBuilder;
use crate::response::sign_out::{SignOut, SiteData, clear_site_data};

impl SessionExpireBuilder {
    /// Sets a function that changes the response to a sign-out, for example to delete cookies of
    /// the application. Default: none.
    ///
    /// It runs once for each request that signs its user out: `Identity::logout`,
    /// `session.purge()`, [`SessionHandle::sign_out`](crate::SessionHandle::sign_out), or the
    /// sign-out endpoint. It also runs if the session had already ended, or if there was none. It
    /// must not block the thread of the request.
    ///
    /// It does not run if:
    ///
    /// - the sign-out fails with 503.
    /// - the session expires, or a challenge ends it.
    /// - the session ends otherwise: by an eviction, by [`Sessions`](crate::Sessions), or by the
    ///   login of another user in the same browser.
    ///
    /// An [observer](Self::observer) receives the events of all ends, but cannot change a response.
    ///
    /// ```
    /// use actix_web::cookie::Cookie;
    /// use session_expire::{Policy, SessionExpire};
    ///
    /// let expire = SessionExpire::builder(Policy::new())
    ///     .on_sign_out(|sign_out| {
    ///         sign_out.remove_cookie(Cookie::build("cart", "").path("/").finish());
    ///     })
    ///     .build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn on_sign_out<F>(mut self, hook: F) -> Self
    where
        F: Fn(&mut SignOut<'_>) + Send + Sync + 'static,
    {
        self.sign_out.hook = Some(Arc::new(hook));
        self
    }

    /// Sets which data of the site the browser deletes at a sign-out (header `Clear-Site-Data`;
    /// ASVS 5.0 14.3.1). Default: none, without the header.
    ///
    /// The response to each successful sign-out gets the header, unless the handler has set it.
    /// Browsers obey it on secure origins only.
    ///
    /// It is off by default because other applications may share the origin:
    /// [`SiteData::Storage`] also deletes drafts, preferences and the storage of other applications
    /// on the origin. [`SiteData::Cookies`] deletes the cookies of all applications on the
    /// registrable domain, which signs the user out of them. It also deletes the message about the
    /// sign-out. [`SiteData::Cache`] may delay the response in Chrome by many seconds. By default,
    /// browsers do not cache responses for signed-in users, even without it.
    ///
    /// ```
    /// use session_expire::{Policy, SessionExpire, sign_out::SiteData};
    ///
    /// let builder = SessionExpire::builder(Policy::new());
    /// let expire = builder.clear_site_data([SiteData::Storage]).build()?;
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn clear_site_data(mut self, data: impl IntoIterator<Item = SiteData>) -> Self {
        self.sign_out.clear_site_data = clear_site_data(data);
        self
    }
}
