//! Endpoints that open pages use: status, keep-alive, sign-out, script and style.

pub(crate) mod assets;
pub(crate) mod keep_alive;
pub(crate) mod logout;
pub(crate) mod status;

use actix_web::{dev::HttpServiceFactory, web};

use self::{assets::asset, keep_alive::keep_alive, logout::logout, status::status};
use crate::{
    config::{KEEP_ALIVE, LOGOUT, STATUS},
    dialog::assets::{SCRIPT, STYLE},
    middleware::SessionExpire,
    policy::PolicyPatch,
};

impl SessionExpire {
    /// Returns the endpoints, under [`endpoints_prefix`](crate::SessionExpireBuilder::endpoints_prefix).
    ///
    /// | request | response |
    /// |---|---|
    /// | `GET status` | 200 and how the session stands, as JSON; no activity |
    /// | `POST keep-alive` | the same, after recording that the user was active `idle_for` seconds ago (form or JSON; an empty body means now); 401 if the session has ended, 409 if another user has signed in, 400 for an invalid body |
    /// | `POST logout` | signs out: 303 to the login page, for htmx `HX-Redirect`, for API clients 200 and `{"state":"anonymous"}` |
    /// | `GET session.….js`, `session.….css` | script and style of [`SessionVars`](crate::SessionVars) |
    ///
    /// Status and keep-alive are checked under the policy of the page that asks, which its markup
    /// carries as a signed page token; neither ends a session. A void token (the policies have changed
    /// since) counts as the application's policy, for status only, and the response says
    /// `"policy":"stale"`. Requests of other origins are refused with 403, but for
    /// [`allowed_origins`](crate::SessionExpireBuilder::allowed_origins).
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use actix_web::{App, test::{self, TestRequest, call_and_read_body}};
    /// use session_expire::{Policy, SessionExpire};
    /// let expire = SessionExpire::builder(Policy::new()).build()?;
    /// let app = test::init_service(App::new().service(expire.endpoints()).wrap(expire)).await;
    /// let request = TestRequest::get().uri("/session/status").to_request();
    /// assert_eq!(call_and_read_body(&app, request).await, r#"{"state":"anonymous"}"#);
    /// # Ok(()) }
    /// ```
    pub fn endpoints(&self) -> impl HttpServiceFactory + 'static {
        web::scope(&self.config().prefix)
            .route(STATUS, web::get().to(status))
            .route(KEEP_ALIVE, web::post().to(keep_alive))
            .route(LOGOUT, web::post().to(logout))
            .service(asset(SCRIPT))
            .service(asset(STYLE))
            .wrap(PolicyPatch::new().passive(true))
    }
}
