//! Endpoints for the script of open pages: status, keep-alive, sign-out, script and style.
//!
//! Requests to them are passive.

pub(crate) mod assets;
pub(crate) mod keep_alive;
pub(crate) mod logout;
pub(crate) mod status;

use actix_web::{dev::HttpServiceFactory, web};

use self::{assets::asset_resource, keep_alive::keep_alive, logout::logout, status::status};
use crate::{
    config::{KEEP_ALIVE, LOGOUT, STATUS},
    dialog::assets::{SCRIPT, STYLE},
    middleware::SessionExpire,
    policy::PolicyPatch,
};

impl SessionExpire {
    /// Returns the endpoints, mounted under
    /// [`endpoints_prefix`](crate::SessionExpireBuilder::endpoints_prefix).
    ///
    /// | request | response |
    /// |---|---|
    /// | `GET status` | 200 with the state of the session as JSON |
    /// | `POST keep-alive` | records activity and responds as `status`; 401 if the session has ended, 409 if another user has signed in, 400 for an invalid body |
    /// | `POST logout` | signs out; 303 to the login page, `HX-Redirect` for htmx, 200 with `{"state":"anonymous"}` for API clients |
    /// | `GET session.….js`, `session.….css` | script and style of [`SessionVars`](crate::SessionVars) |
    ///
    /// The body of a keep-alive is a form or JSON: `idle_for` is the number of seconds since the
    /// user was active. An empty body means zero.
    ///
    /// Status and keep-alive use the policy of the page that sends the request, and end no session.
    /// The page's markup contains the policy as a signed page token. If the policies have changed
    /// since, the token is void: status uses the application's policy, keep-alive records nothing,
    /// and the response contains `"policy":"stale"`.
    ///
    /// # Security
    ///
    /// Requests from other origins are refused with 403, unless
    /// [`allowed_origins`](crate::SessionExpireBuilder::allowed_origins) lists the origin.
    ///
    /// ```
    /// use actix_web::App;
    /// use session_expire::{Policy, SessionExpire};
    ///
    /// let expire = SessionExpire::builder(Policy::new()).build()?;
    /// let app = App::new().service(expire.endpoints()).wrap(expire);
    /// # Ok::<(), session_expire::error::ConfigError>(())
    /// ```
    pub fn endpoints(&self) -> impl HttpServiceFactory + 'static {
        web::scope(&self.config().prefix)
            .route(STATUS, web::get().to(status))
            .route(KEEP_ALIVE, web::post().to(keep_alive))
            .route(LOGOUT, web::post().to(logout))
            .service(asset_resource(SCRIPT))
            .service(asset_resource(STYLE))
            .wrap(PolicyPatch::new().passive(true))
    }
}
