//! Endpoints for open pages: status, events, keep-alive, sign-out, scripts and styles, and the last
//! page of the sign-in for a locked page.
//!
//! Requests to them are passive.

pub(crate) mod assets;
mod events;
pub(crate) mod keep_alive;
pub(crate) mod logout;
mod signed_in;
pub(crate) mod status;

use actix_web::{dev::HttpServiceFactory, web};

use self::{
    assets::asset_resource, events::events, keep_alive::keep_alive, logout::logout,
    signed_in::signed_in, status::status,
};
use crate::{
    config::{EVENTS, KEEP_ALIVE, LOGOUT, SIGNED_IN, STATUS},
    dialog::assets::ASSETS,
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
    /// | `GET events` | with [`live_pages`](crate::SessionExpireBuilder::live_pages), a stream of server-sent events; the data of each is the JSON of `status`. 204 for anonymous visitors and after a sign-out |
    /// | `POST logout` | signs out; 303 to the login page, `HX-Redirect` for htmx, 200 with `{"state":"anonymous"}` for API clients |
    /// | `GET signed-in` | last page of the sign-in for a [locked page](crate::guide::dialog#locked-pages); it notifies the other tabs and closes itself |
    /// | `GET session.….js`, `session.….css` | script and style of [`SessionVars`](crate::SessionVars) |
    /// | `GET signed_in.….js`, `signed_in.….css` | script and style of `signed-in` |
    ///
    /// `HEAD` returns the status and the headers of `GET`, and opens no stream. Other methods
    /// receive 405 with `Allow`. A request for another version of a script or style receives this
    /// version with `no-cache`, because processes differ during a rolling deployment.
    ///
    /// The body of a keep-alive is a form or JSON: `idle_for` is the number of seconds since the
    /// user was active. An empty body means zero.
    ///
    /// Status and keep-alive use the policy of the page that sends the request, and end no session.
    /// The page's markup contains the policy as a signed page token. If the policies have changed
    /// since, the token is void: status uses the application's policy, keep-alive records nothing,
    /// and the response contains `"policy":"stale"`.
    ///
    /// A locked page adds `locked=1`. While the cookie belongs to the session for which the page
    /// was rendered, the state is then `expired` with the reason `idle`, even after activity
    /// elsewhere.
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
        let scope = web::scope(&self.config().prefix)
            .service(web::resource(STATUS).get(status).head(status))
            .service(web::resource(KEEP_ALIVE).post(keep_alive))
            .service(web::resource(LOGOUT).post(logout))
            .service(web::resource(SIGNED_IN).get(signed_in).head(signed_in));
        let scope =
            ASSETS.into_iter().fold(scope, |scope, asset| scope.service(asset_resource(asset)));
        let scope = match self.config().live_pages {
            true => scope.service(web::resource(EVENTS).get(events).head(events)),
            false => scope,
        };
        scope.wrap(PolicyPatch::new().passive(true))
    }
}
